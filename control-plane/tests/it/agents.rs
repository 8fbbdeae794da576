//! Agents: registered, changed, killed.

use clampd_model::{AgentClaims, AgentId, Credential};
use clampd_token::SigningKey;
use serde_json::{Value, json};

use crate::scene::{SECRET, Scene, exchange_fields, jwt, now};

#[test]
fn an_agent_needs_nothing_to_register_and_gets_an_id_and_a_secret() {
    let scene = Scene::new();
    let agent = scene
        .admin()
        .send("POST", "/v1/agents", None, b"")
        .expect(201);
    let (id, secret) = (
        agent["id"].as_str().unwrap(),
        agent["secret"].as_str().unwrap(),
    );
    assert_eq!((id.len(), secret.len()), (36, 68));
    assert!(secret.starts_with("ags_"));
    assert_eq!(
        (&agent["state"], &agent["alg"]),
        (&json!("active"), &json!("HS256"))
    );
    let shown = scene.admin().get(&format!("/v1/agents/{id}"));
    assert!(!shown.text.contains("secret"), "{}", shown.text);
    assert_eq!(shown.expect(200)["id"], id);
}

#[test]
fn an_agent_may_bring_its_own_id_and_secret_once() {
    let scene = Scene::new();
    let agent = json!({
        "id": "b0000001-0004-0000-0000-000000000001", "name": "scout", "secret": SECRET,
        "scopes": ["db:read", "mail:*"], "framework": "langchain",
    });
    let registered = scene.admin().post("/v1/agents", &agent).expect(201);
    for field in ["id", "name", "secret", "scopes", "framework"] {
        assert_eq!(registered[field], agent[field]);
    }
    scene
        .admin()
        .post("/v1/agents", &agent)
        .expect_error(409, "already_exists");
    let listed = scene.admin().get("/v1/agents").expect(200);
    assert_eq!(listed["agents"].as_array().unwrap().len(), 1);
}

#[test]
fn an_agent_with_a_public_key_has_no_secret_at_all() {
    let scene = Scene::new();
    scene.tool();
    let key = SigningKey::from_seed([7; 32]);
    let public_key = key.verifying_key().to_text();
    let agent = json!({ "id": "e", "public_key": public_key, "scopes": ["*"] });
    let registered = scene.admin().post("/v1/agents", &agent).expect(201);
    assert_eq!(
        (&registered["alg"], registered.get("secret")),
        (&json!("EdDSA"), None)
    );
    let bundle = scene.bundle(0, 0);
    let credential = bundle.sections.agents.unwrap().entries.remove(0).credential;
    assert_eq!(credential, Credential::EdDsa { public_key });

    let claims = AgentClaims {
        sub: AgentId::parse("e").unwrap(),
        iss: None,
        iat: None,
        exp: now() + 60,
        aud: Some("ag-gateway".to_owned()),
        scopes: None,
    };
    let token = eddsa(&claims, &key);
    let granted = scene
        .proxy()
        .form("/v1/tokens/exchange", &exchange_fields(&token));
    assert_eq!(granted.status, 200, "{granted:?}");
    // The record's algorithm counts, not the token's header.
    let forged = scene
        .proxy()
        .form("/v1/tokens/exchange", &exchange_fields(&jwt("e")));
    assert_eq!(forged.status, 400);
}

fn eddsa(claims: &AgentClaims, key: &SigningKey) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let encode = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let header = encode(json!({ "alg": "EdDSA", "typ": "JWT" }));
    let signed = format!("{header}.{}", encode(serde_json::to_value(claims).unwrap()));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

#[test]
fn an_agent_can_be_renamed_and_given_other_scopes() {
    let scene = Scene::new();
    scene.agent("a", &["db:read"]);
    let patch = json!({ "name": "Scout", "scopes": [] });
    let agent = scene
        .admin()
        .json("PATCH", "/v1/agents/a", &patch)
        .expect(200);
    assert_eq!(
        (&agent["name"], &agent["scopes"]),
        (&json!("Scout"), &json!([]))
    );
    let bundle = scene.bundle(0, 0);
    assert!(bundle.sections.agents.unwrap().entries[0].scopes.is_empty());
}

#[test]
fn after_a_rotation_only_the_new_secret_counts() {
    let scene = Scene::new();
    scene.agent("a", &["db:*"]);
    scene.tool();
    let rotated = scene
        .admin()
        .send("POST", "/v1/agents/a/rotate", None, b"")
        .expect(200);
    let old = scene
        .proxy()
        .form("/v1/tokens/exchange", &exchange_fields(&jwt("a")));
    assert_eq!(
        (old.status, &old.body["error_code"]),
        (400, &json!("invalid_jwt"))
    );
    let jwt = crate::scene::jwt_of("a", rotated["secret"].as_str().unwrap());
    let new = scene
        .proxy()
        .form("/v1/tokens/exchange", &exchange_fields(&jwt));
    assert_eq!(new.status, 200);
}

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
fn what_no_agent_can_be_is_refused_and_nothing_is_changed() {
    let scene = Scene::new();
    let before = scene.bundle(0, 0).revision;
    let long = "s".repeat(129);
    let many = vec!["s"; 65];
    for (agent, status, code) in [
        (json!({ "id": "a b" }), 422, "invalid_value"),
        (json!({ "id": "" }), 422, "invalid_value"),
        (json!({ "id": 7 }), 400, "invalid_body"),
        (json!({ "name": "" }), 422, "invalid_value"),
        (json!({ "name": "a\nb" }), 422, "invalid_value"),
        (json!({ "secret": "short" }), 422, "invalid_value"),
        (json!({ "public_key": "short" }), 422, "invalid_value"),
        (
            json!({ "secret": SECRET, "public_key": "x" }),
            422,
            "invalid_value",
        ),
        (json!({ "scopes": "db:read" }), 400, "invalid_body"),
        (json!({ "scopes": ["db read"] }), 422, "invalid_value"),
        (json!({ "scopes": [long] }), 422, "invalid_value"),
        (json!({ "scopes": many }), 422, "invalid_value"),
        (
            json!({ "id": "a", "delegated_by": "a" }),
            422,
            "invalid_value",
        ),
        (json!({ "delegated_by": "nobody" }), 404, "agent_not_found"),
        (json!({ "unknown": 1 }), 400, "invalid_body"),
        (json!([]), 400, "invalid_body"),
    ] {
        scene
            .admin()
            .post("/v1/agents", &agent)
            .expect_error(status, code);
    }
    for path in ["kill", "suspend", "revive", "rotate"] {
        let path = format!("/v1/agents/nobody/{path}");
        scene
            .admin()
            .post(&path, &json!({}))
            .expect_error(404, "agent_not_found");
    }
    let patch = json!({ "name": "x" });
    scene
        .admin()
        .json("PATCH", "/v1/agents/nobody", &patch)
        .expect_error(404, "agent_not_found");
    assert_eq!(scene.bundle(0, 0).revision, before);
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
