//! Micro-tokens: who gets one, and that one use is one use.

use std::{sync::Barrier, thread};

use clampd_model::{AgentClaims, AgentId};
use serde_json::{Value, json};

use crate::scene::{Scene, exchange_fields, jwt, jwt_with, now};

pub(crate) fn ready() -> Scene {
    ready_on(Scene::new())
}

/// With an agent and a tool.
pub(crate) fn ready_on(scene: Scene) -> Scene {
    scene.agent("a", &["db:*"]);
    scene.tool();
    scene
}

#[test]
fn an_agents_jwt_becomes_a_token_that_a_tool_accepts_once() {
    let scene = ready();
    let fields = exchange_fields(&jwt("a"));
    let granted = scene
        .proxy()
        .form("/v1/tokens/exchange", &fields)
        .expect(200);
    assert_eq!(
        (&granted["token_type"], &granted["expires_in"]),
        (&json!("Bearer"), &json!(30))
    );
    assert_eq!(granted["scope"], "db:read");
    let tool = scene.role("tool");
    let token = json!({ "token": granted["access_token"] });
    let first = tool.post("/v1/introspect", &token).expect(200);
    assert_eq!(first["active"], true);
    assert_eq!(
        (&first["sub"], &first["scope"]),
        (&json!("a"), &json!("db:read"))
    );
    assert_eq!(first["call_binding"].as_str(), Some(fields[4].1.as_str()));
    assert_eq!(first["tool_binding"].as_str().map(str::len), Some(64));
    assert!(first["exp"].as_u64().unwrap() <= now() + 30);
    assert!(first.get("reason").is_none());
    let second = tool.post("/v1/introspect", &token).expect(200);
    assert_eq!(second, json!({ "active": false, "reason": "already_used" }));
}

#[test]
fn of_64_parallel_introspections_exactly_one_is_active() {
    let scene = ready();
    let tool = scene.role("tool");
    for _ in 0..5 {
        let token = json!({ "token": scene.micro_token("a") });
        let start = Barrier::new(64);
        let answers: Vec<Value> = thread::scope(|scope| {
            let ask = || {
                start.wait();
                tool.post("/v1/introspect", &token).expect(200)
            };
            let asking: Vec<_> = (0..64).map(|_| scope.spawn(ask)).collect();
            asking
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(
            answers
                .iter()
                .filter(|answer| answer["active"] == true)
                .count(),
            1
        );
        let used = answers
            .iter()
            .filter(|answer| answer["reason"] == "already_used")
            .count();
        assert_eq!(used, 63);
    }
}

#[test]
fn a_used_token_stays_used_after_a_restart() {
    let mut scene = ready();
    let tool_key = json!({ "role": "tool", "key": "ag_test_tool" });
    scene.admin().post("/v1/keys", &tool_key).expect(201);
    let token = json!({ "token": scene.micro_token("a") });
    let introspect = |scene: &Scene| {
        scene
            .client("ag_test_tool")
            .post("/v1/introspect", &token)
            .expect(200)["active"]
            .clone()
    };
    assert_eq!(introspect(&scene), true);
    scene.restart();
    assert_eq!(introspect(&scene), false);
}

#[test]
fn tokens_of_a_killed_or_suspended_agent_are_refused_until_it_is_revived() {
    let scene = ready();
    let tool = scene.role("tool");
    let token = json!({ "token": scene.micro_token("a") });
    for (order, reason) in [("suspend", "agent_suspended"), ("kill", "agent_killed")] {
        scene
            .admin()
            .post(&format!("/v1/agents/a/{order}"), &json!({}))
            .expect(200);
        let answer = tool.post("/v1/introspect", &token).expect(200);
        assert_eq!(answer, json!({ "active": false, "reason": reason }));
        let refused = scene
            .proxy()
            .form("/v1/tokens/exchange", &exchange_fields(&jwt("a")));
        assert_eq!(
            (refused.status, &refused.body["error_code"]),
            (403, &json!(reason))
        );
    }
    scene
        .admin()
        .post("/v1/agents/a/revive", &json!({}))
        .expect(200);
    assert_eq!(
        tool.post("/v1/introspect", &token).expect(200)["active"],
        true
    );
}

#[test]
fn a_revoked_token_is_refused() {
    let scene = ready();
    let tool = scene.role("tool");
    let token = json!({ "token": scene.micro_token("a") });
    let revoked = scene.admin().post("/v1/tokens/revoke", &token).expect(200);
    assert_eq!(revoked, json!({ "revoked": true }));
    let answer = tool.post("/v1/introspect", &token).expect(200);
    assert_eq!(answer, json!({ "active": false, "reason": "revoked" }));
}

#[test]
fn a_tools_key_reads_only_tokens_for_its_own_service() {
    let scene = ready();
    let admin = scene.admin();
    for (audience, reason) in [("sql", None), ("mail", Some("audience_mismatch"))] {
        let key = admin.post("/v1/keys", &json!({ "role": "tool", "audience": audience }));
        let key = key.expect(201)["key"].as_str().unwrap().to_owned();
        let token = vec![("token", scene.micro_token("a"))];
        let answer = scene
            .client(&key)
            .form("/v1/introspect", &token)
            .expect(200);
        assert_eq!(answer.get("reason").and_then(Value::as_str), reason);
    }
}

#[test]
fn what_is_no_token_of_ours_is_told_apart() {
    let scene = ready();
    let tool = scene.role("tool");
    let good = scene.micro_token("a");
    let (head, _) = good.rsplit_once('.').unwrap();
    let altered = format!("{head}.{}", "A".repeat(86));
    for (token, reason) in [
        ("", "malformed"),
        ("x.y.z", "malformed"),
        (jwt("a").as_str(), "malformed"),
        (altered.as_str(), "invalid_signature"),
    ] {
        let answer = tool
            .post("/v1/introspect", &json!({ "token": token }))
            .expect(200);
        assert_eq!(
            answer,
            json!({ "active": false, "reason": reason }),
            "{token}"
        );
    }
}

#[test]
fn an_exchange_without_a_right_to_it_is_refused_as_oauth_wants() {
    let scene = ready();
    scene.agent("narrow", &["mail:send"]);
    let claims = |agent: &str| AgentClaims {
        sub: AgentId::parse(agent).unwrap(),
        iss: None,
        iat: None,
        exp: now() + 60,
        aud: None,
        scopes: None,
    };
    let expired = jwt_with(&AgentClaims {
        exp: now() - 31,
        ..claims("a")
    });
    let narrowed = AgentClaims {
        scopes: Some(vec!["mail:send".to_owned()]),
        ..claims("a")
    };
    let with = |name: &str, value: &str| {
        let mut fields = exchange_fields(&jwt("a"));
        fields.retain(|(known, _)| *known != name);
        if !value.is_empty() {
            fields.push((
                Box::leak(name.to_owned().into_boxed_str()),
                value.to_owned(),
            ));
        }
        fields
    };
    for (fields, status, error, code) in [
        (
            exchange_fields(&jwt("nobody")),
            400,
            "invalid_grant",
            "agent_not_found",
        ),
        (
            exchange_fields(&expired),
            400,
            "invalid_grant",
            "invalid_jwt",
        ),
        (
            exchange_fields("nonsense"),
            400,
            "invalid_grant",
            "invalid_jwt",
        ),
        (
            exchange_fields(&jwt("narrow")),
            403,
            "invalid_scope",
            "scope_not_granted",
        ),
        (
            exchange_fields(&jwt_with(&narrowed)),
            403,
            "invalid_scope",
            "scope_not_granted",
        ),
        (
            with("scope", "db:write"),
            403,
            "invalid_scope",
            "scope_not_granted",
        ),
        (
            with("tool", "unknown"),
            400,
            "invalid_target",
            "tool_not_registered",
        ),
        (
            with("tool", "no name"),
            400,
            "invalid_request",
            "invalid_value",
        ),
        (
            with("grant_type", "password"),
            400,
            "unsupported_grant_type",
            "invalid_value",
        ),
        (
            with("grant_type", ""),
            400,
            "invalid_request",
            "invalid_value",
        ),
        (
            with("call_binding", "x"),
            422,
            "invalid_request",
            "invalid_value",
        ),
        (
            with("session_id", "a b"),
            422,
            "invalid_request",
            "invalid_value",
        ),
    ] {
        let answer = scene.proxy().form("/v1/tokens/exchange", &fields);
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(
            (&answer.body["error"], &answer.body["error_code"]),
            (&json!(error), &json!(code))
        );
        assert!(
            answer.body["error_description"].is_string() && answer.body["request_id"].is_string()
        );
    }
}
