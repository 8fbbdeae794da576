//! What agents may use at most, and when and where they may act.

use serde_json::{Value, json};

use crate::scene::{Scene, call};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn query() -> Value {
    call("database.query", json!({"sql": "SELECT 1"}))
}

fn headers(scene: &Scene, more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let more = more
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    scene.headers().into_iter().chain(more).collect()
}

/// The status and error code of a call with more headers.
fn asked(scene: &Scene, body: &Value, more: &[(&'static str, &str)]) -> (u16, Value) {
    let headers = headers(scene, more);
    let (status, body) = scene.send("POST", "/v1/verify", headers, body.to_string().as_bytes());
    (status, body["error_code"].clone())
}

#[test]
fn an_agent_over_its_calls_a_minute_is_told_when_to_come_again() {
    let scene = Scene::new().bounding("scout", &json!({"calls_per_minute": 2}));
    for _ in 0..2 {
        assert_eq!(scene.post("/v1/verify", &query()).1["allowed"], true);
    }
    let body = query().to_string();
    let headers = scene.headers();
    let (_, reply) = scene.exchange("POST", "/v1/verify", headers, body.as_bytes());
    let reply = reply.unwrap();
    assert_eq!(reply.status, 429);
    for header in [
        ("retry-after", "65"),
        ("x-ratelimit-limit", "2"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "65"),
    ] {
        assert!(
            reply.headers.contains(&(header.0, header.1.to_owned())),
            "{header:?}"
        );
    }
    let event = scene.last_event();
    assert!(event.blocked && event.denial_reason.as_deref() == Some("rate_limited"));
    let other = scene.post_as("helper", "/v1/verify", &query());
    assert_eq!(
        other["allowed"], true,
        "another agent has bounds of its own"
    );
    scene.wait(65);
    assert_eq!(scene.post("/v1/verify", &query()).1["allowed"], true);
}

#[test]
fn what_an_agent_s_record_does_not_bound_is_bounded_by_default() {
    let bounds = r#""mint":"exchange","boundaries":{"calls_per_minute":1,"calls_per_session":1}"#;
    let scene = Scene::with(bounds).bounding("scout", &json!({"calls_per_minute": 3}));
    let in_session = || asked(&scene, &query(), &[("x-ag-session", "one")]);
    assert_eq!(in_session().0, 200);
    let over = json!("session_budget_exceeded");
    assert_eq!(in_session(), (429, over), "the default's");
    assert_eq!(asked(&scene, &query(), &[]).0, 200, "its own");
}

#[test]
fn calls_are_counted_whatever_they_are_made_in() {
    let scene = Scene::with(
        r#""mint":"exchange","boundaries":{"calls_per_minute":1},
           "rest":[{"method":"POST","path":"/rows","tool":"database.query"}]"#,
    );
    let post = |path: &str, body: Value| {
        let (_, reply) = scene.exchange("POST", path, scene.headers(), body.to_string().as_bytes());
        reply.map_or(200, |reply| reply.status)
    };
    let mcp = |method: &str| {
        let params = json!({"name": "database.query", "arguments": {"sql": "SELECT 1"}});
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    };
    assert_eq!(post("/v1/scan-input", json!({"text": "hello"})), 200);
    assert_eq!(post("/mcp", mcp("tools/list")), 200, "only calls are calls");
    assert_eq!(post("/mcp", mcp("tools/call")), 200);
    assert_eq!(post("/mcp", mcp("tools/call")), 429);
    assert_eq!(post("/v1/proxy", query()), 429);
    assert_eq!(post("/rows", json!({"sql": "SELECT 1"})), 429);
    assert_eq!(post("/mcp", mcp("tools/list")), 200);
}

#[test]
fn bytes_are_bounded_for_whatever_is_sent() {
    let bounds = json!({"bytes_per_minute": 1000});
    let scene = Scene::new().bounding("scout", &bounds);
    let text = json!({"text": "word ".repeat(120)});
    assert_eq!(scene.post("/v1/scan-output", &text).0, 200);
    let (status, body) = scene.post("/v1/scan-output", &text);
    assert_eq!((status, &body["error_code"]), (429, &json!("rate_limited")));
}

#[test]
fn an_agent_calls_no_more_when_answers_have_brought_it_enough_for_an_hour() {
    let scene = Scene::new().bounding("scout", &json!({"answer_bytes_per_hour": 300}));
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "database.query", "arguments": {"sql": "SELECT 1"}}});
    let answered = |text: &str| {
        let (_, reply) =
            scene.exchange("POST", "/mcp", scene.headers(), call.to_string().as_bytes());
        if let Some(reply) = reply {
            return reply.status;
        }
        let content = json!([{"type": "text", "text": text}]);
        let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"content": content}});
        scene.answered_by_upstream("application/json", &[answer.to_string().as_bytes()]);
        200
    };
    assert_eq!(answered(&"word ".repeat(30)), 200);
    assert_eq!(
        answered(&"word ".repeat(30)),
        200,
        "what is asked for comes"
    );
    assert_eq!(answered("more"), 429);
    assert_eq!(scene.post("/v1/verify", &query()).0, 429);
    let other = scene.post_as("helper", "/v1/verify", &query());
    assert_eq!(other["allowed"], true);
}

#[test]
fn a_model_s_client_is_refused_in_the_words_of_its_provider() {
    let scene =
        Scene::with(r#""mint":"exchange","boundaries":{"calls_per_minute":0}"#).on_route("llm");
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]});
    let headers = scene.headers();
    let path = "/v1/chat/completions";
    let (_, reply) = scene.exchange("POST", path, headers, body.to_string().as_bytes());
    let reply = reply.unwrap();
    assert_eq!(reply.status, 429);
    assert!(reply.headers.iter().any(|(name, _)| *name == "retry-after"));
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(body["error"]["type"], "rate_limit_error");
}

#[test]
fn a_session_has_a_budget() {
    let scene = Scene::new().bounding("scout", &json!({"calls_per_session": 1}));
    let session = |id| asked(&scene, &query(), &[("x-ag-session", id)]);
    assert_eq!(session("one").0, 200);
    let over = json!("session_budget_exceeded");
    assert_eq!(session("one"), (429, over));
    assert_eq!(session("two").0, 200);
}

#[test]
fn a_session_is_locked_to_the_tools_that_it_was_begun_with() {
    let scene = Scene::new();
    let in_session = |tool, tools: Option<&str>| {
        let params = json!({"sql": "SELECT 1", "path": "a.txt"});
        let mut headers = vec![("x-ag-session", "one")];
        headers.extend(tools.map(|tools| ("x-ag-authorized-tools", tools)));
        asked(&scene, &call(tool, params), &headers).0
    };
    assert_eq!(in_session("database.query", Some("database.query")), 200);
    assert_eq!(
        in_session("file.read", None),
        403,
        "a lock cannot be left out"
    );
    assert_eq!(in_session("file.read", Some("file.read")), 403);
    assert_eq!(in_session("database.query", None), 200);
}

#[test]
fn a_tool_that_an_agent_has_not_called_before_is_marked_once() {
    let scene = Scene::new();
    let labels = |scene: &Scene| {
        scene.post("/v1/verify", &query());
        scene.last_event().labels
    };
    assert_eq!(labels(&scene), ["first-time-tool"]);
    assert!(labels(&scene).is_empty());
}

#[test]
fn an_agent_acts_only_at_its_hours() {
    // It is Friday 2027-01-15, 08:00 UTC.
    let check = |boundaries: Value, allowed: bool| {
        let scene = Scene::new().bounding("scout", &boundaries);
        let answer = scene.post("/v1/verify", &query()).1;
        assert_eq!(answer["allowed"], allowed, "{boundaries}");
        if !allowed {
            assert_eq!(answer["denial"]["rule_id"], "outside-hours");
            assert_eq!(
                answer["denial"]["reason_codes"],
                json!(["outside_boundaries"])
            );
        }
        let prompt = scene.post("/v1/scan-input", &json!({"text": "hello"})).1;
        assert_eq!(prompt["allowed"], allowed, "{boundaries}");
    };
    check(json!({"hours": "8-9"}), true);
    check(json!({"hours": "9-8"}), false);
    check(json!({"days": ["fri"]}), true);
    check(json!({"days": ["sat", "sun"]}), false);
}

#[test]
fn an_agent_reaches_only_its_domains() {
    let bounds = json!({"domains": ["api.example.com", "*.internal.example"]});
    let scene = Scene::new().bounding("scout", &bounds);
    let check = |url: &str, allowed: bool| {
        let params = json!({"sql": "SELECT 1", "sources": [{"at": url}]});
        let answer = scene.post("/v1/verify", &call("database.query", params)).1;
        assert_eq!(answer["allowed"], allowed, "{url}");
    };
    check("https://api.example.com/x?y=1", true);
    check("HTTPS://API.example.com:8443", true);
    check("https://db.internal.example", true);
    check("no url at all", true);
    check("https://example.com", false);
    check("https://api.example.com@evil.example/", false);
    check("https://api.example.com.evil.example/", false);
    check("https:evil.example", false);
    check("//evil.example/x", false);
    check("https://api.example.com\\@evil.example", false);
    check(
        "see https://api.example.com and https://evil.example",
        false,
    );
}
