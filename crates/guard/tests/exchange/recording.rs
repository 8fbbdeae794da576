//! What `audit.mode` `required` promises: nothing passes before its event is with the control plane.

use clampd_guard::Callout;
use serde_json::{Value, json};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::scene::{Scene, call};

const REQUIRED: &str = r#""mint":"local","audit":{"mode":"required"}"#;

fn scene(answer: Option<(u16, &str)>) -> Scene {
    Scene::with(REQUIRED).exchanging(answer)
}

fn mcp(sql: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
           "params": {"name": "database.query", "arguments": {"sql": sql}}})
    .to_string()
}

fn forwarded(sql: &str) -> Value {
    json!({"tool": "database.query", "params": {"sql": sql},
           "target_url": "http://127.0.0.1:9001/query"})
}

/// The events that were sent ahead.
fn sent(callout: &Callout) -> Vec<Value> {
    let path = callout.headers.iter().find(|(name, _)| name == ":path");
    assert_eq!(path.unwrap().1, "/v1/audit/events");
    let body: Value = serde_json::from_slice(&callout.body).unwrap();
    body["events"].as_array().unwrap().clone()
}

#[test]
fn a_call_passes_once_its_event_is_acknowledged() {
    let scene = scene(Some((200, "{}")));
    let (_, body) = scene.post(
        "/v1/verify",
        &call("database.query", json!({"sql": "SELECT 1"})),
    );
    assert_eq!(body["allowed"], true);
    let (ahead, after) = (sent(&scene.last_call("cp")), scene.last_event());
    assert_eq!(ahead[0]["event_id"], after.event_id);
    assert_eq!(ahead[0]["tool_name"], "database.query");

    let (_, body) = scene.post("/v1/proxy", &forwarded("SELECT 1"));
    assert_eq!(body["allowed"], true);
    assert_eq!(scene.calls_to("sql"), 1);

    let headers = scene.headers();
    let (_, reply) = scene.exchange("POST", "/mcp", headers, mcp("SELECT 1").as_bytes());
    assert!(reply.is_none());
    let ahead = sent(&scene.last_call("cp"));
    scene.answered_by_upstream("application/json", &[b"{}"]);
    // What the tool answered is an event of its own, of the same request.
    let after = scene.last_event();
    assert_eq!(ahead[0]["request_id"], after.request_id);
    assert_ne!(ahead[0]["event_id"], after.event_id);
}

#[test]
fn what_the_trail_does_not_take_goes_nowhere() {
    for answer in [
        None,
        Some((503, "{}")),
        Some((401, "{}")),
        Some((400, "{}")),
    ] {
        let scene = scene(answer);
        for path in ["/v1/verify", "/v1/proxy"] {
            let (status, body) = scene.post(path, &forwarded("SELECT 1"));
            assert_eq!(
                (status, &body["error_code"]),
                (503, &json!("control_plane_unavailable"))
            );
        }
        let (status, _) = scene.post("/v1/scan-input", &json!({"text": "hello"}));
        assert_eq!(status, 503);
        let body = mcp("SELECT 1");
        let (_, reply) = scene.exchange("POST", "/mcp", scene.headers(), body.as_bytes());
        let told = String::from_utf8(reply.expect("a refusal").body).unwrap();
        assert!(told.contains("\"isError\":true"), "{told}");
        assert_eq!(scene.calls_to("sql"), 0);
        assert!(scene.events().iter().all(|event| event.blocked));
    }
}

#[test]
fn what_is_stopped_waits_for_nobody() {
    let scene = scene(None);
    let evil = call("database.query", json!({"sql": "DROP TABLE users"}));
    let (status, body) = scene.post("/v1/verify", &evil);
    assert_eq!((status, &body["allowed"]), (200, &json!(false)));
    assert_eq!(scene.calls_to("cp"), 0);
}

#[test]
fn an_agent_that_is_killed_while_its_event_travels_gets_nothing() {
    let scene = scene(Some((200, "{}"))).killing_in_flight("scout");
    let (status, body) = scene.post("/v1/proxy", &forwarded("SELECT 1"));
    assert_eq!((status, &body["error_code"]), (403, &json!("agent_killed")));
    assert_eq!(scene.calls_to("sql"), 0);
    let body = mcp("SELECT 1");
    let (_, reply) = scene.exchange("POST", "/mcp", scene.headers(), body.as_bytes());
    assert!(reply.is_some());
}
