//! A write with an `Idempotency-Key` is done once, however often it is asked for.

use std::thread;

use serde_json::json;

use crate::{client::Client, scene::Scene};

const KEY: &str = "idempotency-key";

#[test]
fn a_write_that_is_asked_for_again_is_answered_again_and_not_done_again() {
    let scene = Scene::new();
    let admin = scene.admin().with(KEY, "first");
    let first = admin.post("/v1/keys", &json!({ "role": "tool" }));
    let again = admin.post("/v1/keys", &json!({ "role": "tool" }));
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.text, again.text, "the secret that is told once too");
    assert_eq!(first.header("idempotency-replayed"), None);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_ne!(first.header("x-request-id"), again.header("x-request-id"));
    let keys = scene.admin().get("/v1/keys").expect(200);
    assert_eq!(keys["keys"].as_array().unwrap().len(), 3);
    scene
        .admin()
        .with(KEY, "second")
        .post("/v1/keys", &json!({ "role": "tool" }))
        .expect(201);
    let keys = scene.admin().get("/v1/keys").expect(200);
    assert_eq!(keys["keys"].as_array().unwrap().len(), 4);
}

#[test]
fn a_key_is_for_one_request_of_one_caller() {
    let scene = Scene::new();
    let admin = scene.admin().with(KEY, "k");
    admin.post("/v1/agents", &json!({ "id": "a" })).expect(201);
    admin
        .post("/v1/agents", &json!({ "id": "b" }))
        .expect_error(422, "idempotency_key_reused");
    admin
        .put("/v1/tools/a", &json!({ "id": "a" }))
        .expect_error(422, "idempotency_key_reused");
    let other = scene.role("operator").with(KEY, "k");
    other.post("/v1/agents", &json!({ "id": "b" })).expect(201);
    let elsewhere = scene.other_organisation();
    let elsewhere = scene.client(&elsewhere.admin_key).with(KEY, "k");
    elsewhere
        .post("/v1/agents", &json!({ "id": "a" }))
        .expect(201);
}

#[test]
fn a_request_that_changed_nothing_leaves_its_key_free() {
    let scene = Scene::new();
    let admin = scene.admin().with(KEY, "k");
    admin
        .post("/v1/agents/a/kill", &json!({}))
        .expect_error(404, "agent_not_found");
    scene.agent("a", &[]);
    admin.post("/v1/agents/a/kill", &json!({})).expect(200);
    let auditor = scene.role("auditor").with(KEY, "k");
    auditor
        .post("/v1/agents/a/revive", &json!({}))
        .expect_error(403, "forbidden_role");
    let stranger = Client::new(&scene.url, "").with(KEY, "k");
    stranger
        .post("/v1/agents/a/revive", &json!({}))
        .expect_error(401, "missing_api_key");
}

#[test]
fn a_key_that_is_none_is_refused() {
    let scene = Scene::new();
    for key in ["", "two words", &"x".repeat(256)] {
        let admin = scene.admin().with(KEY, key);
        admin
            .post("/v1/agents", &json!({ "id": "a" }))
            .expect_error(422, "invalid_value");
    }
    scene
        .admin()
        .get("/v1/agents/a")
        .expect_error(404, "agent_not_found");
}

#[test]
fn of_many_at_the_same_time_over_two_replicas_one_is_done() {
    let mut scene = Scene::new();
    let mut urls = vec![scene.url.clone()];
    if scene.database.is_some() {
        urls.push(scene.replica());
    }
    let authorization = format!("Bearer {}", scene.keys.admin_key);
    let answers: Vec<_> = (0..16)
        .map(|at| {
            let client = Client::new(&urls[at % urls.len()], &authorization).with(KEY, "k");
            thread::spawn(move || client.post("/v1/keys", &json!({ "role": "tool" })))
        })
        .collect();
    let mut bodies = Vec::new();
    for answer in answers {
        let answer = answer.join().unwrap();
        match answer.status {
            201 => bodies.push(answer.text),
            _ => answer.expect_error(409, "idempotency_key_in_use"),
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    let keys = scene.admin().get("/v1/keys").expect(200);
    assert_eq!(keys["keys"].as_array().unwrap().len(), 3);
}

#[test]
fn a_write_whose_end_nobody_knows_is_not_done_again() {
    let scene = Scene::new();
    let admin = scene.admin().with(KEY, "k");
    admin.post("/v1/agents", &json!({ "id": "a" })).expect(201);
    scene.alter("UPDATE cp_idempotency SET answer = NULL");
    admin
        .post("/v1/agents", &json!({ "id": "a" }))
        .expect_error(409, "idempotency_key_in_use");
}

#[test]
fn an_answer_is_kept_for_a_day_and_sealed() {
    let scene = Scene::on_sqlite(clampd_control_plane::config::Settings::default());
    let admin = scene.admin().with(KEY, "k");
    let made = admin
        .post("/v1/keys", &json!({ "role": "tool" }))
        .expect(201);
    let path = scene.directory.path().join("data/clampd.db");
    let database = rusqlite::Connection::open(path).unwrap();
    let kept: Vec<u8> = database
        .query_row("SELECT answer FROM cp_idempotency", (), |row| row.get(0))
        .unwrap();
    let secret = made["key"].as_str().unwrap().as_bytes();
    assert!(!kept.windows(secret.len()).any(|part| part == secret));
    scene.alter("UPDATE cp_idempotency SET created_at = created_at - 86401");
    let again = admin
        .post("/v1/keys", &json!({ "role": "tool" }))
        .expect(201);
    assert_ne!(made["key"], again["key"]);
}

#[test]
fn a_token_is_never_introspected_from_memory() {
    let scene = Scene::new();
    scene.agent("a", &["db:*"]);
    scene.tool();
    let tool = scene.role("tool").with(KEY, "k");
    let token = json!({ "token": scene.micro_token("a") });
    assert_eq!(
        tool.post("/v1/introspect", &token).expect(200)["active"],
        true
    );
    assert_eq!(
        tool.post("/v1/introspect", &token).expect(200)["active"],
        false
    );
}
