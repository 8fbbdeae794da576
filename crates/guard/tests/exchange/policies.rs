//! What policies do to an exchange. They stand here in the compact form that bundles carry.

use clampd_model::{EntityKind, Expr, Field, ParameterKind, Verdict};
use serde_json::{Value, json};

use crate::scene::{NOW, Scene, call};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const EVERYTHING: &str = r#"{"id": "base", "effect": "permit", "actions": 31}"#;

/// A policy of that effect under a condition.
fn policy(id: &str, effect: &str, when: Expr) -> Value {
    json!({"id": id, "effect": effect, "reason": "closed", "actions": 31, "when": when})
}

fn eq(field: Field, value: Expr) -> Expr {
    Expr::Eq(Box::new((Expr::Field(field), value)))
}

fn text(text: &str) -> Expr {
    Expr::Text(text.to_owned())
}

fn entity(kind: EntityKind, id: &str) -> Expr {
    Expr::Entity(kind, id.to_owned())
}

fn contains(field: Field, value: Expr) -> Expr {
    Expr::Contains(Box::new((Expr::Field(field), value)))
}

/// A scene under the base and these policies.
fn under(policies: &[Value]) -> Scene {
    let base: Value = serde_json::from_str(EVERYTHING).unwrap();
    let all: Vec<Value> = [&[base], policies].concat();
    Scene::new().under(&json!(all))
}

fn query(scene: &Scene) -> Value {
    let call = call(
        "database.query",
        json!({"sql": "SELECT 1", "limit": 5, "dry": true}),
    );
    scene.post("/v1/proxy", &call).1
}

/// Whether a forbid under that condition stops a harmless call.
#[track_caller]
fn stops(when: Expr, wanted: bool) {
    let body = query(&under(&[policy("p", "forbid", when.clone())]));
    assert_eq!(body["allowed"], !wanted, "{when:?}: {body}");
}

#[test]
fn a_forbid_stops_a_call_and_gives_its_reason() {
    let scene = under(&[policy("night", "forbid", Expr::Bool(true))]);
    let body = query(&scene);
    assert_eq!(
        (&body["allowed"], &body["action"]),
        (&json!(false), &json!("block"))
    );
    assert_eq!(body["denial_reason"], "policy night: closed");
    assert_eq!(body["denial"]["rule_id"], "night");
    assert_eq!(body["scope_token"], Value::Null);
    let event = scene.events().pop().unwrap();
    assert_eq!(
        (event.policy_reason.as_str(), event.scope_granted),
        ("policy night: closed", None)
    );
}

#[test]
fn what_no_policy_permits_is_stopped() {
    let body = query(&Scene::new().under(&json!([])));
    assert_eq!(body["denial_reason"], "no policy permits it");
}

#[test]
fn policies_cannot_permit_what_the_scopes_or_the_thresholds_stop() {
    let scene = under(&[]);
    let body = scene
        .post("/v1/proxy", &call("shell.exec", json!({"cmd": "ls"})))
        .1;
    assert_eq!(body["denial_reason"], "scope not granted: shell:exec");
    let drop = call("database.query", json!({"sql": "DROP TABLE users"}));
    assert_eq!(scene.post("/v1/proxy", &drop).1["action"], "block");
}

#[test]
fn policies_see_the_request_as_it_is() {
    // Friday, 15 January 2027, 8:00 UTC.
    assert_eq!(NOW, 1_800_000_000_000_000);
    stops(eq(Field::Hour, Expr::Long(8)), true);
    stops(eq(Field::Weekday, Expr::Long(5)), true);
    stops(eq(Field::AgentId, text("scout")), true);
    stops(eq(Field::AgentState, text("active")), true);
    stops(eq(Field::AgentPurpose, text("reports")), true);
    stops(eq(Field::ToolName, text("database.query")), true);
    stops(eq(Field::ToolCategory, text("database")), true);
    stops(eq(Field::ToolUpstream, text("http://127.0.0.1:9001")), true);
    stops(eq(Field::Risk, Expr::Decimal(0)), true);
    stops(eq(Field::DelegationDepth, Expr::Long(1)), true);
    stops(eq(Field::DelegationConfidence, text("none")), true);
    let is_in = |of: Expr, kind: EntityKind, id: &str| Expr::In(Box::new((of, entity(kind, id))));
    stops(is_in(Expr::Principal, EntityKind::Group, "team"), true);
    stops(is_in(Expr::Principal, EntityKind::Group, "other"), false);
    stops(
        is_in(Expr::Resource, EntityKind::Category, "database"),
        true,
    );
    stops(contains(Field::AgentScopes, text("db:read")), true);
    stops(contains(Field::AgentScopes, text("shell:exec")), false);
    stops(Expr::Has(Field::TargetHost), false);
    stops(Expr::Has(Field::Session), false);
    let calls = |calls| {
        Expr::LessEq(Box::new((
            Expr::Long(calls),
            Expr::Field(Field::CallsLastMinute),
        )))
    };
    stops(calls(1), true);
    stops(calls(2), false);
    let parameter = |kind, name: &str| Expr::HasParameter(kind, vec![name.to_owned()]);
    stops(parameter(ParameterKind::Text, "sql"), true);
    stops(parameter(ParameterKind::Number, "limit"), true);
    stops(parameter(ParameterKind::Flag, "dry"), true);
    stops(parameter(ParameterKind::Number, "sql"), false);
}

#[test]
fn policies_see_what_was_found() {
    let found = |field, word: &str| policy("found", "forbid", contains(field, text(word)));
    let drop = call("database.query", json!({"sql": "DROP TABLE users"}));
    for (field, word) in [
        (Field::Labels, "destructive-sql"),
        (Field::Rules, "sql-drop-table"),
    ] {
        let body = under(&[found(field, word)]).post("/v1/proxy", &drop).1;
        assert_eq!(body["denial_reason"], "policy found: closed", "{field:?}");
        assert_eq!(
            query(&under(&[found(field, word)]))["allowed"],
            true,
            "{field:?}"
        );
    }
}

#[test]
fn the_target_and_the_chain_are_told() {
    let host = Expr::And(vec![
        Expr::Has(Field::TargetHost),
        eq(Field::TargetHost, text("127.0.0.1")),
    ]);
    for path in ["/v1/proxy", "/v1/verify"] {
        let scene = under(&[policy("p", "forbid", host.clone())]);
        let mut call = call("database.query", json!({}));
        assert_eq!(scene.post(path, &call).1["allowed"], true);
        call["target_url"] = json!("http://127.0.0.1:9001/q");
        assert_eq!(scene.post(path, &call).1["allowed"], false, "{path}");
    }
    // What a header calls verified is declared all the same.
    let declared = Expr::And(vec![
        eq(Field::DelegationConfidence, text("declared")),
        contains(
            Field::DelegationMembers,
            entity(EntityKind::Agent, "helper"),
        ),
    ]);
    let scene = under(&[policy("p", "forbid", declared)]);
    let mut call = call("database.query", json!({}));
    call["delegation_chain"] = json!(["helper", "scout"]);
    let mut headers = scene.headers();
    headers.push(("x-clampd-delegation-confidence", "verified".into()));
    let body = scene
        .send("POST", "/v1/verify", headers, call.to_string().as_bytes())
        .1;
    let reason = body["denial_reason"].as_str().unwrap();
    assert!(reason.ends_with("policy p: closed"), "{reason}");
}

#[test]
fn nobody_has_a_call_made_that_they_may_not_delegate() {
    let delegate = json!({
        "id": "approvers", "effect": "forbid", "reason": "ask first", "actions": 16,
        "when": Expr::Eq(Box::new((Expr::Principal, entity(EntityKind::Agent, "helper")))),
    });
    let scene = under(&[delegate]);
    let mut call = call("database.query", json!({}));
    assert_eq!(scene.post("/v1/verify", &call).1["allowed"], true);
    call["delegation_chain"] = json!(["helper", "scout"]);
    let body = scene.post("/v1/verify", &call).1;
    assert_eq!(
        body["denial_reason"],
        "agent helper may not delegate this: policy approvers: ask first"
    );
    // Names of agents are the same in any case of letters.
    call["delegation_chain"] = json!(["HELPER", "scout"]);
    assert_eq!(scene.post("/v1/verify", &call).1["allowed"], false);
}

#[test]
fn a_flag_marks_and_a_monitored_policy_is_only_told() {
    let with_mode = |mode: &str| {
        let mut policy = policy("p", "forbid", Expr::Bool(true));
        policy["mode"] = json!(mode);
        under(&[policy])
    };
    let flagged = with_mode("flag");
    let body = query(&flagged);
    assert_eq!(
        (&body["allowed"], &body["action"]),
        (&json!(true), &json!("flag"))
    );
    assert_eq!(flagged.verdicts(), [Verdict::Flag]);
    assert!(
        body["reasoning"]
            .as_str()
            .unwrap()
            .contains("flagged by policy p: closed")
    );
    let monitored = with_mode("monitor");
    let body = query(&monitored);
    assert_eq!(
        (&body["allowed"], &body["action"]),
        (&json!(true), &json!("pass"))
    );
    let event = monitored.events().pop().unwrap();
    assert!(
        event
            .policy_reason
            .contains("monitored policies that apply: p")
    );
}

#[test]
fn a_permit_narrows_the_scope_and_never_widens_it() {
    let granting = |scope: &str| {
        let base = json!({"id": "own", "effect": "permit", "actions": 31, "scope": scope});
        Scene::new().under(&json!([base]))
    };
    let scene = granting("db:read");
    let body = query(&scene);
    assert_eq!(body["scope_granted"], "db:read");
    let form = String::from_utf8(scene.last_call("cp").body).unwrap();
    assert!(
        form.contains("scope=db%3Aread&") || form.ends_with("scope=db%3Aread"),
        "{form}"
    );
    // Wider changes nothing; something else is nothing that can be granted.
    assert_eq!(query(&granting("db:*"))["scope_granted"], "db:read");
    let body = query(&granting("shell:exec"));
    assert_eq!(body["allowed"], false);
    assert_eq!(
        body["denial_reason"],
        "policy own grants a scope that the tool does not have"
    );
}

#[test]
fn a_forbid_that_cannot_be_evaluated_stops_the_call() {
    let sum = Expr::Mul(Box::new((Expr::Field(Field::Hour), Expr::Long(i64::MAX))));
    let overflow = Expr::Less(Box::new((sum, Expr::Long(0))));
    let body = query(&under(&[policy("sum", "forbid", overflow.clone())]));
    assert_eq!(body["denial_reason"], "policy sum could not be evaluated");
    let mut monitored = policy("sum", "forbid", overflow.clone());
    monitored["mode"] = json!("monitor");
    assert_eq!(query(&under(&[monitored]))["allowed"], true);
    // A permit that cannot be evaluated permits nothing.
    let scene = Scene::new().under(&json!([policy("sum", "permit", overflow)]));
    assert_eq!(query(&scene)["denial_reason"], "no policy permits it");
}

#[test]
fn prompts_and_answers_are_held_against_policies_too() {
    let forbid = |actions: u8| {
        under(&[json!({"id": "p", "effect": "forbid", "reason": "closed", "actions": actions})])
    };
    let (respond, prompt) = (2, 8);
    let text = json!({"text": "hello"});
    assert_eq!(
        forbid(prompt).post("/v1/scan-input", &text).1["allowed"],
        false
    );
    assert_eq!(
        forbid(prompt).post("/v1/scan-output", &text).1["allowed"],
        true
    );
    assert_eq!(
        forbid(respond).post("/v1/scan-input", &text).1["allowed"],
        true
    );
    let answer = json!({"tool": "database.query", "response_data": "rows"});
    assert_eq!(
        forbid(respond).post("/v1/inspect", &answer).1["allowed"],
        false
    );
    assert_eq!(
        forbid(prompt).post("/v1/inspect", &answer).1["allowed"],
        true
    );
    let mut call = call("database.query", json!({}));
    call["target_url"] = json!("http://127.0.0.1:9001/q");
    let scene = forbid(respond);
    let body = scene.post("/v1/proxy", &call).1;
    assert_eq!(
        (&body["allowed"], &body["tool_response"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(scene.calls_to("sql"), 1);
}

#[test]
fn a_list_shows_what_policies_let_be_seen() {
    let hidden = json!({
        "id": "hidden", "effect": "forbid", "actions": 4,
        "when": Expr::Eq(Box::new((Expr::Resource, entity(EntityKind::Tool, "file.read")))),
    });
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let tools = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": [
        {"name": "database.query", "description": "runs SQL"},
        {"name": "file.read", "description": "reads a file"},
    ]}});
    for (scene, seen) in [(under(&[]), true), (under(&[hidden]), false)] {
        let (_, reply) = scene.exchange("POST", "/mcp", scene.headers(), list.as_bytes());
        assert!(reply.is_none(), "{reply:?}");
        let chunks = tools.to_string();
        let got = scene.answered_by_upstream("application/json", &[chunks.as_bytes()]);
        assert!(got.contains("database.query"), "{got}");
        assert_eq!(got.contains("file.read"), seen, "{got}");
    }
}
