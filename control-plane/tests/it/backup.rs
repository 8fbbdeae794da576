//! A copy of the database and the master key are all that a restored service needs.

use std::process::Command;

use clampd_control_plane::config::StorageArguments;
use serde_json::json;

use crate::{
    audit::event,
    scene::{Scene, checked_bundle},
    server::{TestDatabase, program, run},
    tokens::ready_on,
};

#[test]
fn a_copy_made_while_sqlite_is_served_is_a_service_again() {
    let scene = Scene::on_sqlite(clampd_control_plane::config::Settings::default());
    restored(scene, |scene| {
        let copy = scene.directory.path().join("restored");
        std::fs::create_dir(&copy).unwrap();
        let data = scene.directory.path().join("data");
        let database = rusqlite::Connection::open(data.join("clampd.db")).unwrap();
        let into = copy.join("clampd.db");
        database
            .execute("VACUUM INTO ?1", [into.to_str().unwrap()])
            .unwrap();
        std::fs::copy(data.join("master.key"), copy.join("master.key")).unwrap();
        (StorageArguments::in_directory(copy), None)
    });
}

#[test]
fn a_dump_of_postgres_is_a_service_again() {
    restored(Scene::on_postgres(), |scene| {
        let dump = scene.directory.path().join("backup.dump");
        let (from, to) = (scene.database.as_ref().unwrap().url(), TestDatabase::new());
        run(Command::new(program("pg_dump")).args(["-Fc", "-f", dump.to_str().unwrap(), &from]));
        run(Command::new(program("pg_restore")).args([
            "--no-owner",
            "-d",
            &to.url(),
            dump.to_str().unwrap(),
        ]));
        let storage = StorageArguments {
            database_url: Some(to.url()),
            ..scene.storage.clone()
        };
        (storage, Some(to))
    });
}

/// Fills a service, copies it while it runs, loses it, and serves the copy.
fn restored(scene: Scene, copy: impl FnOnce(&Scene) -> (StorageArguments, Option<TestDatabase>)) {
    let mut scene = ready_on(scene);
    let tool = json!({ "role": "tool", "key": "ag_test_tool" });
    scene.admin().post("/v1/keys", &tool).expect(201);
    let events = json!({ "events": [event("1"), event("2")] });
    scene.proxy().post("/v1/audit/events", &events).expect(200);
    let token = json!({ "token": scene.micro_token("a") });
    let introspect = |scene: &Scene| {
        let tool = scene.client("ag_test_tool");
        tool.post("/v1/introspect", &token).expect(200)["active"].clone()
    };
    assert_eq!(introspect(&scene), true);
    let before = scene.bundle(0, 0);
    let (storage, database) = copy(&scene);
    scene.stop();
    scene.storage = storage;
    scene.restart();
    let after = checked_bundle(&scene.proxy(), &scene.keys.trust_root, 0, 0);
    assert_eq!(after.revision, before.revision);
    assert_eq!(introspect(&scene), false, "a used token stays used");
    let check = scene.admin().get("/v1/audit/verify").expect(200);
    assert_eq!(
        (&check["valid"], &check["events"]),
        (&json!(true), &json!(2))
    );
    let more = json!({ "events": [event("2"), event("3")] });
    let taken = scene.proxy().post("/v1/audit/events", &more).expect(200);
    assert_eq!(taken, json!({ "accepted": 1, "duplicates": 1 }));
    let sql = json!({ "sql": "SELECT count(*) FROM audit_logs" });
    let count = scene.admin().post("/v1/audit/query", &sql).expect(200);
    assert_eq!(count["rows"], json!([[3]]));
    scene.stop();
    drop(database);
}
