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
fn boundaries_reach_the_bundle_and_can_be_taken_away() {
    let scene = Scene::new();
    let bounds = json!({ "calls_per_minute": 60, "hours": "8-18", "domains": ["*.example.com"] });
    let agent = json!({ "id": "a", "boundaries": bounds });
    let registered = scene.admin().post("/v1/agents", &agent).expect(201);
    assert_eq!(registered["boundaries"], bounds);
    let in_bundle = || {
        let agents = scene.bundle(0, 0).sections.agents.unwrap().entries;
        json!(agents.into_iter().next().unwrap().boundaries)
    };
    let patched = |patch: Value| scene.admin().json("PATCH", "/v1/agents/a", &patch);
    assert_eq!(in_bundle(), bounds);
    patched(json!({ "name": "scout" })).expect(200);
    assert_eq!(in_bundle(), bounds);
    patched(json!({ "boundaries": { "days": ["mon"] } })).expect(200);
    assert_eq!(in_bundle(), json!({ "days": ["mon"] }));
    for wrong in [
        json!({ "hours": "9" }),
        json!({ "calls_per_minute": -1 }),
        json!({ "calls_a_minute": 1 }),
        json!({ "days": ["monday"] }),
        json!(1),
    ] {
        patched(json!({ "boundaries": wrong })).expect_error(400, "invalid_body");
    }
    assert_eq!(in_bundle(), json!({ "days": ["mon"] }));
    patched(json!({ "boundaries": null })).expect(200);
    assert_eq!(in_bundle(), json!(null));
    let shown = scene.admin().get("/v1/agents/a").expect(200);
    assert_eq!(shown.get("boundaries"), None);
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
