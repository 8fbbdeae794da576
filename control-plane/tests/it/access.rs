//! Who may call what.

use serde_json::json;

use crate::{client::Client, scene::Scene};

/// A route and the roles that may call it.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) roles: &'static [&'static str],
}

const READERS: &[&str] = &["admin", "operator", "auditor"];
const WRITERS: &[&str] = &["admin", "operator"];
const ADMIN: &[&str] = &["admin"];
const PROXY: &[&str] = &["proxy"];
const TOOL: &[&str] = &["tool"];

const fn route(method: &'static str, path: &'static str, roles: &'static [&'static str]) -> Route {
    Route {
        method,
        path,
        roles,
    }
}

/// Every route that needs a key.
pub(crate) const ROUTES: &[Route] = &[
    route("GET", "/metrics", READERS),
    route("GET", "/v1/agents", READERS),
    route("POST", "/v1/agents", WRITERS),
    route("GET", "/v1/agents/x", READERS),
    route("PATCH", "/v1/agents/x", WRITERS),
    route("POST", "/v1/agents/x/kill", WRITERS),
    route("POST", "/v1/agents/x/suspend", WRITERS),
    route("POST", "/v1/agents/x/revive", WRITERS),
    route("POST", "/v1/agents/x/rotate", WRITERS),
    route("GET", "/v1/keys", ADMIN),
    route("POST", "/v1/keys", ADMIN),
    route("DELETE", "/v1/keys/x", ADMIN),
    route("GET", "/v1/tools", READERS),
    route("GET", "/v1/tools/x", READERS),
    route("PUT", "/v1/tools/x", WRITERS),
    route("DELETE", "/v1/tools/x", WRITERS),
    route("POST", "/v1/tool-approvals", WRITERS),
    route("GET", "/v1/policies", READERS),
    route("GET", "/v1/policies/x", READERS),
    route("PUT", "/v1/policies/x", WRITERS),
    route("DELETE", "/v1/policies/x", WRITERS),
    route("POST", "/v1/policies/validate", READERS),
    route("GET", "/v1/policy-reference", READERS),
    route("POST", "/v1/evaluate", READERS),
    route("GET", "/v1/rules", READERS),
    route("GET", "/v1/rules/x", READERS),
    route("PUT", "/v1/rules/x", WRITERS),
    route("DELETE", "/v1/rules/x", WRITERS),
    route("GET", "/v1/organisation", READERS),
    route("GET", "/v1/settings", READERS),
    route("PUT", "/v1/settings", WRITERS),
    route("GET", "/v1/automatic-kill", READERS),
    route("PUT", "/v1/automatic-kill", WRITERS),
    route("DELETE", "/v1/automatic-kill", WRITERS),
    route("GET", "/v1/bundle?since=0", PROXY),
    route("POST", "/v1/tokens/exchange", PROXY),
    route("POST", "/v1/tokens/revoke", WRITERS),
    route("POST", "/v1/introspect", TOOL),
    route("POST", "/v1/audit/events", PROXY),
    route("POST", "/v1/audit/query", READERS),
    route("GET", "/v1/audit/verify", READERS),
    route("GET", "/v1/audit/export", READERS),
    // Refused once the caller may ask: the stream of an answer never ends.
    route("GET", "/v1/audit/stream?after=x", READERS),
    route("GET", "/v1/audit/retention", READERS),
    route("PUT", "/v1/audit/retention", ADMIN),
    route("GET", "/v1/jwks", READERS),
];

#[test]
fn each_route_serves_its_roles_and_no_other() {
    let scene = Scene::new();
    for role in ["admin", "operator", "auditor", "proxy", "tool", "agent"] {
        let client = scene.role(role);
        for Route {
            method,
            path,
            roles,
        } in ROUTES
        {
            // A body that is refused once the caller may send one: nothing is changed.
            let answer = client.send(method, path, Some("application/json"), b"not JSON");
            if roles.contains(&role) {
                assert!(
                    ![401, 403].contains(&answer.status),
                    "{role} {method} {path}: {answer:?}"
                );
            } else {
                assert_eq!(answer.status, 403, "{role} {method} {path}: {answer:?}");
                answer.expect_error(403, "forbidden_role");
            }
        }
    }
}

#[test]
fn without_a_good_key_nothing_is_looked_at() {
    let scene = Scene::new();
    for (authorization, code) in [
        ("", "missing_api_key"),
        ("Bearer", "missing_api_key"),
        ("Bearer ", "missing_api_key"),
        ("Basic YWdfbGl2ZQ==", "missing_api_key"),
        ("Bearer ag_live_unknown", "invalid_api_key"),
        ("Bearer nonsense", "invalid_api_key"),
    ] {
        let client = Client::new(&scene.url, authorization);
        client
            .send("POST", "/v1/agents", None, b"\xff{")
            .expect_error(401, code);
    }
    let nobody = Client::new(&scene.url, "");
    for Route { method, path, .. } in ROUTES {
        nobody
            .send(method, path, None, b"")
            .expect_error(401, "missing_api_key");
    }
    nobody
        .get("/v1/nothing")
        .expect_error(401, "missing_api_key");
    assert_eq!(nobody.get("/health").status, 200);
    assert_eq!(nobody.get("/ready").status, 200);
}

#[test]
fn a_deleted_key_is_refused_at_once() {
    let scene = Scene::new();
    let made = scene
        .admin()
        .post("/v1/keys", &json!({ "role": "auditor" }))
        .expect(201);
    let auditor = scene.client(made["key"].as_str().unwrap());
    assert_eq!(auditor.get("/v1/agents").status, 200);
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(scene.admin().delete(&path).status, 204);
    auditor
        .get("/v1/agents")
        .expect_error(401, "invalid_api_key");
    scene
        .admin()
        .delete(&path)
        .expect_error(404, "key_not_found");
}

#[test]
fn the_key_that_is_used_cannot_forget_itself() {
    let scene = Scene::new();
    let keys = scene.admin().get("/v1/keys").expect(200);
    let admin = keys["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["role"] == "admin");
    let path = format!("/v1/keys/{}", admin.unwrap()["id"].as_str().unwrap());
    scene.admin().delete(&path).expect_error(409, "key_in_use");
}

#[test]
fn a_key_is_told_once_and_never_listed() {
    let scene = Scene::new();
    let own = json!({ "role": "agent", "key": "ag_test_acme_2026", "name": "acme" });
    assert_eq!(
        scene.admin().post("/v1/keys", &own).expect(201)["key"],
        "ag_test_acme_2026"
    );
    scene
        .admin()
        .post("/v1/keys", &own)
        .expect_error(409, "already_exists");
    let listed = scene.admin().get("/v1/keys");
    assert!(listed.text.contains("acme") && !listed.text.contains("ag_test_acme_2026"));
    assert!(!listed.text.contains("sha256"));
    for (key, status) in [
        (json!({ "role": "agent", "key": "sk-live" }), 422),
        (json!({ "role": "agent", "audience": "sql" }), 422),
        (json!({ "role": "emperor" }), 400),
        (json!({}), 400),
    ] {
        assert_eq!(scene.admin().post("/v1/keys", &key).status, status, "{key}");
    }
}

#[test]
fn whoever_guesses_keys_must_wait_and_others_need_not() {
    let scene = Scene::new();
    let guess = scene.client("ag_test_acme_2027");
    for _ in 0..10 {
        guess.get("/v1/agents").expect_error(401, "invalid_api_key");
    }
    let braked = guess.get("/v1/agents");
    let seconds = braked
        .header("retry-after")
        .unwrap()
        .parse::<u64>()
        .unwrap();
    assert!((1..=60).contains(&seconds));
    braked.expect_error(429, "rate_limited");
    assert_eq!(scene.admin().get("/v1/agents").status, 200);
}

#[test]
fn one_organisation_cannot_touch_anothers_things() {
    let scene = Scene::new();
    scene.agent("a", &["db:*"]);
    scene.tool();
    let token = scene.micro_token("a");
    let other = scene.other_organisation();
    let admin = scene.client(&other.admin_key);
    assert_eq!(admin.get("/v1/agents").expect(200)["agents"], json!([]));
    for (method, path, code) in [
        ("GET", "/v1/agents/a", "agent_not_found"),
        ("POST", "/v1/agents/a/kill", "agent_not_found"),
        ("POST", "/v1/agents/a/rotate", "agent_not_found"),
        ("GET", "/v1/tools/database.query", "tool_not_found"),
        ("DELETE", "/v1/tools/database.query", "tool_not_found"),
    ] {
        admin
            .send(method, path, Some("application/json"), b"{}")
            .expect_error(404, code);
    }
    let tool = admin
        .post("/v1/keys", &json!({ "role": "tool" }))
        .expect(201);
    let tool = scene.client(tool["key"].as_str().unwrap());
    let answer = tool
        .post("/v1/introspect", &json!({ "token": token }))
        .expect(200);
    assert_eq!(
        answer,
        json!({ "active": false, "reason": "invalid_signature" })
    );
    let ours = scene
        .role("tool")
        .post("/v1/introspect", &json!({ "token": token }))
        .expect(200);
    assert_eq!(
        ours["active"], true,
        "the other's attempt did not use it up"
    );
    assert_ne!(other.trust_root, scene.keys.trust_root);
}
