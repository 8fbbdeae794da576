//! What every request may expect, good or bad.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::json;

use crate::scene::Scene;

#[test]
fn a_body_that_is_no_json_or_too_large_or_packed_is_refused_with_a_code() {
    let scene = Scene::new();
    let admin = scene.admin();
    let json_type = Some("application/json");
    admin
        .send("POST", "/v1/keys", json_type, b"{")
        .expect_error(400, "invalid_body");
    admin
        .send("POST", "/v1/keys", json_type, b"\xff\xfe")
        .expect_error(400, "invalid_body");
    admin
        .send("POST", "/v1/keys", None, b"{}")
        .expect_error(415, "unsupported_media_type");
    let text = Some("text/plain");
    admin
        .send("POST", "/v1/keys", text, b"{}")
        .expect_error(415, "unsupported_media_type");
    let large = vec![b' '; 256 * 1024 + 1];
    admin
        .send("POST", "/v1/keys", json_type, &large)
        .expect_error(413, "payload_too_large");
    let deep = "[".repeat(100_000);
    admin
        .send("POST", "/v1/keys", json_type, deep.as_bytes())
        .expect_error(400, "invalid_body");
}

#[test]
fn a_body_that_never_says_how_long_it_is_is_cut_off_too() {
    let scene = Scene::new();
    let mut stream = TcpStream::connect(scene.url.strip_prefix("http://").unwrap()).unwrap();
    let head = format!(
        "POST /v1/keys HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
        scene.keys.admin_key
    );
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for _ in 0..8 {
        // The service may have closed already.
        let _ = stream.write_all(chunk.as_bytes());
    }
    let mut answer = [0; 64];
    let read = stream.read(&mut answer).unwrap();
    assert!(
        answer[..read].starts_with(b"HTTP/1.1 413 "),
        "{:?}",
        &answer[..read]
    );
}

#[test]
fn what_is_not_there_is_said_so() {
    let scene = Scene::new();
    let admin = scene.admin();
    admin
        .get("/v1/nothing")
        .expect_error(404, "route_not_found");
    admin.get("/").expect_error(404, "route_not_found");
    admin
        .delete("/v1/agents")
        .expect_error(405, "method_not_allowed");
    admin
        .get("/v1/agents/nobody")
        .expect_error(404, "agent_not_found");
    admin
        .get("/v1/agents/%ff")
        .expect_error(400, "invalid_request");
    admin
        .delete("/v1/keys/nothing")
        .expect_error(404, "key_not_found");
}

#[test]
fn every_answer_has_a_request_id_and_a_good_one_is_taken_over() {
    let scene = Scene::new();
    let get = |id: &str| {
        let request = ureq::get(format!("{}/health", scene.url)).header("x-request-id", id);
        let answer = request.call().unwrap();
        answer.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(get("trace-1"), "trace-1");
    assert_eq!(get("no good").len(), 36);
    assert_eq!(get(&"x".repeat(129)).len(), 36);
    let answer = scene.admin().get("/v1/agents/nobody");
    assert_eq!(
        answer.header("x-request-id"),
        answer.body["request_id"].as_str()
    );
}

#[test]
fn an_error_does_not_repeat_a_secret_that_was_sent() {
    let scene = Scene::new();
    for body in [
        json!({ "secret": 7, "scopes": "ags_hidden" }),
        json!({ "id": "ags_hidden with spaces" }),
        json!({ "scopes": ["ags_hidden with spaces"] }),
    ] {
        let answer = scene.admin().post("/v1/agents", &body);
        assert!(
            answer.status >= 400 && !answer.text.contains("ags_hidden"),
            "{answer:?}"
        );
    }
}

#[test]
fn metrics_count_what_happened() {
    let scene = Scene::new();
    scene.agent("a", &["db:*"]);
    scene.tool();
    let tool = scene.role("tool");
    let token = json!({ "token": scene.micro_token("a") });
    for _ in 0..3 {
        tool.post("/v1/introspect", &token).expect(200);
    }
    let events = json!({ "events": [crate::audit::event("1"), crate::audit::event("1")] });
    scene.proxy().post("/v1/audit/events", &events).expect(200);
    let metrics = scene.admin().get("/metrics").text;
    for line in [
        "clampd_bundle_revision 3",
        "clampd_audit_events_total 1",
        "clampd_audit_duplicates_total 1",
        "clampd_token_exchanges_total{result=\"issued\"} 1",
        "clampd_introspections_total{result=\"active\"} 1",
        "clampd_introspections_total{result=\"already_used\"} 2",
        "clampd_bundle_polls_waiting 0",
        "clampd_kills_total 0",
    ] {
        assert!(
            metrics.lines().any(|known| known == line),
            "{line}\n{metrics}"
        );
    }
}

#[test]
fn a_connection_outlives_requests_that_are_refused_before_their_body_is_read() {
    let scene = Scene::new();
    let address = scene.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    for size in [10, 100_000, 900_000] {
        let head = format!(
            "POST /v1/agents HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\
             content-type: application/json\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&vec![b' '; size]).unwrap();
        let mut answer = Vec::new();
        while !answer.windows(2).any(|pair| pair == b"\"}") {
            let mut part = [0; 1_024];
            let read = stream.read(&mut part).unwrap();
            assert_ne!(read, 0, "closed: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&part[..read]);
        }
        assert!(
            answer.starts_with(b"HTTP/1.1 401 "),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
}
