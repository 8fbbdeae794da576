//! Kills: by order and by rule.

use clampd_model::{AuditEvent, RiskScore};
use serde_json::{Value, json};

use crate::{
    audit::event,
    scene::{SECRET, Scene, exchange_fields, jwt, now},
    tokens::ready,
};

#[test]
fn a_kill_says_what_it_reached_and_when() {
    let scene = Scene::new();
    scene.agent("a", &[]);
    let killed = scene
        .admin()
        .send("POST", "/v1/agents/a/kill", None, b"")
        .expect(200);
    assert_eq!(
        (&killed["id"], &killed["state"]),
        (&json!("a"), &json!("killed"))
    );
    let layers = killed["layers"].as_array().unwrap();
    let names: Vec<_> = layers
        .iter()
        .map(|layer| layer["layer"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "registry_state",
            "deny_list",
            "sessions",
            "audit",
            "tokens",
            "bundle_push"
        ]
    );
    for layer in layers {
        assert_eq!(layer["ok"], true);
        assert!(layer["ms"].as_f64().unwrap() < 500.0, "{layer}");
    }
    assert_eq!(
        scene.admin().get("/v1/agents/a").expect(200)["state"],
        "killed"
    );
    let metrics = scene.admin().get("/metrics").text;
    assert!(metrics.contains("clampd_kills_total 1\n"), "{metrics}");
}

#[test]
fn a_kill_ends_the_sessions_that_had_begun_for_good() {
    let scene = ready();
    let child = json!({ "id": "child", "secret": SECRET, "delegated_by": "a" });
    scene.admin().post("/v1/agents", &child).expect(201);
    let tell = |agent: &str, session: &str, timestamp: u64| {
        let event = AuditEvent {
            agent_id: agent.to_owned(),
            session_id: Some(session.to_owned()),
            timestamp,
            ..event(&format!("{agent}-{session}-{timestamp}"))
        };
        let events = json!({ "events": [event] });
        scene.proxy().post("/v1/audit/events", &events).expect(200);
    };
    let exchange = |session: &str| {
        let mut fields = exchange_fields(&jwt("a"));
        fields.push(("session_id", session.to_owned()));
        scene.proxy().form("/v1/tokens/exchange", &fields)
    };
    let order = |order: &str| {
        let path = format!("/v1/agents/a/{order}");
        let done = scene.admin().post(&path, &json!({ "cascade": true }));
        done.expect(200)["layers"].clone()
    };
    let ended = |layers: &Value| {
        let layers = layers.as_array().unwrap().iter();
        let mut sessions = layers.filter(|layer| layer["layer"] == "sessions");
        sessions.next().map(|layer| layer["ended"].clone())
    };
    let micros = || now() * 1_000_000;
    tell("a", "one", micros() - 1_000_000);
    tell("a", "two", micros() - 1_000_000);
    tell("child", "one", micros() - 1_000_000);
    // A proxy's clock that is ahead makes no session younger than it is.
    tell("a", "ahead", micros() + 3_600_000_000);
    let out = exchange("two").expect(200)["access_token"].clone();
    assert_eq!(
        ended(&order("suspend")),
        None,
        "a suspension only interrupts"
    );
    order("revive");
    exchange("one").expect(200);

    assert_eq!(ended(&order("kill")), Some(json!(4)));
    assert_eq!(
        ended(&order("kill")),
        Some(json!(0)),
        "they are ended already"
    );
    order("revive");
    // It had begun before the kill, though nobody had told of it by then.
    tell("a", "untold", micros() - 10_000_000);
    for session in ["one", "two", "ahead", "untold"] {
        exchange(session).expect_error(403, "session_ended");
    }
    let token = json!({ "token": out });
    let answer = scene
        .role("tool")
        .post("/v1/introspect", &token)
        .expect(200);
    assert_eq!(
        answer,
        json!({ "active": false, "reason": "session_ended" })
    );
    exchange("new").expect(200);
    tell("a", "new", micros() + 2_000_000);
    exchange("new").expect(200);
    assert_eq!(ended(&order("kill")), Some(json!(1)));
}

#[test]
fn a_cascade_reaches_all_that_were_delegated_to_and_nobody_else() {
    let scene = Scene::new();
    let register = |id: &str, delegated_by: Option<&str>| {
        let agent = json!({ "id": id, "secret": SECRET, "delegated_by": delegated_by });
        scene.admin().post("/v1/agents", &agent).expect(201);
    };
    register("root", None);
    register("child", Some("root"));
    register("grandchild", Some("child"));
    register("stranger", None);
    let order = json!({ "reason": "breach", "cascade": true });
    let killed = scene
        .admin()
        .post("/v1/agents/root/kill", &order)
        .expect(200);
    let mut agents: Vec<_> = killed["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    agents.sort_unstable();
    assert_eq!(agents, ["child", "grandchild", "root"]);
    let states = scene.bundle(0, 0).sections.states.unwrap().entries;
    assert_eq!(states.len(), 3);
    scene
        .admin()
        .post("/v1/agents/child/revive", &json!({}))
        .expect(200);
    let states = scene.bundle(0, 0).sections.states.unwrap().entries;
    assert_eq!(
        states.len(),
        2,
        "without a cascade only the one that was named"
    );
}

#[test]
fn a_killed_agent_cannot_be_suspended_only_revived() {
    let scene = Scene::new();
    scene.agent("a", &[]);
    scene
        .admin()
        .post("/v1/agents/a/kill", &json!({}))
        .expect(200);
    scene
        .admin()
        .post("/v1/agents/a/suspend", &json!({}))
        .expect_error(409, "agent_killed");
    assert_eq!(
        scene.admin().get("/v1/agents/a").expect(200)["state"],
        "killed"
    );
    scene
        .admin()
        .post("/v1/agents/a/revive", &json!({}))
        .expect(200);
    assert_eq!(
        scene.admin().get("/v1/agents/a").expect(200)["state"],
        "active"
    );
}

#[test]
fn an_agent_that_is_blocked_again_and_again_is_killed_when_a_rule_says_so() {
    let scene = Scene::new();
    let delegated = json!({ "id": "b", "secret": SECRET, "delegated_by": "a" });
    scene.agent("a", &[]);
    scene.admin().post("/v1/agents", &delegated).expect(201);
    let state =
        |id: &str| scene.admin().get(&format!("/v1/agents/{id}")).expect(200)["state"].clone();
    let hand_in = |ids: &[&str]| {
        let events: Vec<_> = ids.iter().map(|id| crate::audit::blocked(id)).collect();
        scene
            .proxy()
            .post("/v1/audit/events", &json!({ "events": events }))
            .expect(200);
    };
    hand_in(&["1", "2", "3", "4"]);
    assert_eq!(state("a"), "active", "without a rule nobody is killed");

    let rule = json!({ "blocked_calls": 6, "within_seconds": 60, "cascade": true });
    scene
        .admin()
        .get("/v1/automatic-kill")
        .expect_error(404, "automatic_kill_not_found");
    scene.admin().put("/v1/automatic-kill", &rule).expect(200);
    assert_eq!(scene.admin().get("/v1/automatic-kill").expect(200), rule);
    hand_in(&["4", "5"]);
    assert_eq!(state("a"), "active", "one event counts once");
    hand_in(&["6"]);
    assert_eq!((state("a"), state("b")), (json!("killed"), json!("killed")));
    assert_eq!(scene.bundle(0, 0).sections.states.unwrap().entries.len(), 2);
    let reason = scene.admin().get("/v1/agents/a").expect(200)["state_reason"].clone();
    assert_eq!(reason, "6 calls blocked within 60 s");

    scene
        .admin()
        .post("/v1/agents/a/revive", &json!({}))
        .expect(200);
    hand_in(&["7"]);
    assert_eq!(
        state("a"),
        "active",
        "what was blocked before counts no more"
    );
    assert_eq!(scene.admin().delete("/v1/automatic-kill").status, 204);
    hand_in(&["8", "9", "10", "11", "12", "13"]);
    assert_eq!(state("a"), "active");
    for rule in [
        json!({ "blocked_calls": 0, "within_seconds": 60 }),
        json!({ "blocked_calls": 1, "within_seconds": 0 }),
    ] {
        scene
            .admin()
            .put("/v1/automatic-kill", &rule)
            .expect_error(422, "invalid_value");
    }
}

#[test]
fn an_agent_whose_risk_stays_high_is_killed_when_a_rule_says_so_and_begins_anew_when_revived() {
    let scene = Scene::new();
    for id in ["risky", "calm"] {
        scene.agent(id, &[]);
    }
    let heir = json!({ "id": "child", "delegated_by": "risky" });
    scene.admin().post("/v1/agents", &heir).expect(201);
    let rule = json!({
        "blocked_calls": 10_000, "within_seconds": 60, "risk_at": 0.4, "cascade": true,
    });
    scene.admin().put("/v1/automatic-kill", &rule).expect(200);
    let hand_in = |id: &str, agent: &str, risk: f64| {
        let mut event = crate::audit::event(id);
        event.agent_id = agent.to_owned();
        event.risk_score = RiskScore::new(risk);
        let events = json!({ "events": [event] });
        scene.proxy().post("/v1/audit/events", &events).expect(200);
    };
    let agent = |id: &str| scene.admin().get(&format!("/v1/agents/{id}")).expect(200);
    // A fifth of the way to each score: 0.2, 0.36, 0.488.
    for (at, state) in ["active", "active", "killed"].iter().enumerate() {
        hand_in(&format!("risky-{at}"), "risky", 1.0);
        hand_in(&format!("calm-{at}"), "calm", 0.3);
        assert_eq!(agent("risky")["state"], *state, "after {at}");
    }
    assert_eq!(agent("child")["state"], "killed");
    assert_eq!(agent("calm")["state"], "active");
    assert_eq!(agent("risky")["state_reason"], "risk 0.488 is at least 0.4");
    scene
        .admin()
        .post("/v1/agents/risky/revive", &json!({}))
        .expect(200);
    hand_in("risky-4", "risky", 1.0);
    assert_eq!(agent("risky")["state"], "active");
    for risk_at in [json!(0), json!(1.1), json!(0.12345)] {
        let rule = json!({ "blocked_calls": 1, "within_seconds": 1, "risk_at": risk_at });
        scene
            .admin()
            .put("/v1/automatic-kill", &rule)
            .expect_error(422, "invalid_value");
    }
}
