//! Tokens that a gateway mints by itself.

use clampd_model::{AgentId, MicroTokenClaims, TrustLevel};
use clampd_token::{ISSUER, sign_micro_token_hs256};
use serde_json::{Value, json};

use crate::{scene::now, tokens::ready};

#[test]
fn a_token_that_a_proxy_minted_by_itself_is_introspected_like_any_other() {
    let scene = ready();
    let tool = scene.role("tool");
    let mint = scene.bundle(0, 0).sections.local_mint.unwrap().entries;
    let claims = |jti: &str, life: u64| MicroTokenClaims {
        iss: ISSUER.to_owned(),
        aud: "sql".to_owned(),
        sub: AgentId::parse("a").unwrap(),
        scope: "db:read".to_owned(),
        iat: now(),
        exp: now() + life,
        jti: jti.to_owned(),
        tool_binding: "0".repeat(64),
        call_binding: "1".repeat(64),
        session_id: Some("s".to_owned()),
        trust_level: Some(TrustLevel::Degraded),
    };
    let introspect = |token: String| {
        tool.post("/v1/introspect", &json!({ "token": token }))
            .expect(200)
    };
    let token = sign_micro_token_hs256(&claims("1", 30), &mint.key_id, &mint.key);
    let answer = introspect(token.clone());
    assert_eq!(
        (&answer["active"], &answer["trust_level"]),
        (&json!(true), &json!("degraded"))
    );
    assert_eq!(answer["session_id"], "s");
    assert_eq!(introspect(token)["reason"], "already_used");

    let long = sign_micro_token_hs256(&claims("2", 3_600), &mint.key_id, &mint.key);
    assert_eq!(introspect(long)["reason"], "expired");
    let (proxy, epoch) = mint.key_id.rsplit_once('.').unwrap();
    let old_id = format!("{proxy}.{}", epoch.parse::<u64>().unwrap() - 2);
    let old = sign_micro_token_hs256(&claims("3", 30), &old_id, &mint.key);
    assert_eq!(introspect(old)["reason"], "invalid_signature");
}

#[test]
fn tokens_of_a_proxy_whose_key_was_deleted_are_refused() {
    let scene = ready();
    let made = scene
        .admin()
        .post("/v1/keys", &json!({ "role": "proxy" }))
        .expect(201);
    let proxy = scene.client(made["key"].as_str().unwrap());
    let bundle = crate::scene::checked_bundle(&proxy, &scene.keys.trust_root, 0, 0);
    let mint = bundle.sections.local_mint.unwrap().entries;
    let claims = MicroTokenClaims {
        iss: ISSUER.to_owned(),
        aud: "sql".to_owned(),
        sub: AgentId::parse("a").unwrap(),
        scope: "db:read".to_owned(),
        iat: now(),
        exp: now() + 30,
        jti: "1".to_owned(),
        tool_binding: String::new(),
        call_binding: String::new(),
        session_id: None,
        trust_level: None,
    };
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(scene.admin().delete(&path).status, 204);
    let token = sign_micro_token_hs256(&claims, &mint.key_id, &mint.key);
    let answer = scene
        .role("tool")
        .post("/v1/introspect", &json!({ "token": token }))
        .expect(200);
    assert_eq!(answer["reason"], "invalid_signature");
}

#[test]
fn a_token_minted_locally_just_before_midnight_is_good_after_it() {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let scene = ready();
    let mint = scene.bundle(0, 0).sections.local_mint.unwrap().entries;
    let master = scene.directory.path().join("data/master.key");
    let master = STANDARD
        .decode(std::fs::read_to_string(master).unwrap().trim())
        .unwrap();
    let mut parts = mint.key_id.split('.');
    let (prefix, proxy) = (parts.next().unwrap(), parts.next().unwrap());
    let today: u64 = parts.next().unwrap().parse().unwrap();
    let tool = scene.role("tool");
    for (epoch, reason) in [
        (today, None),
        (today - 1, None),
        (today - 2, Some("invalid_signature")),
        (today + 1, Some("invalid_signature")),
    ] {
        let claims = MicroTokenClaims {
            iss: ISSUER.to_owned(),
            aud: "sql".to_owned(),
            sub: AgentId::parse("a").unwrap(),
            scope: "db:read".to_owned(),
            iat: now(),
            exp: now() + 30,
            jti: epoch.to_string(),
            tool_binding: String::new(),
            call_binding: String::new(),
            session_id: None,
            trust_level: None,
        };
        let master = master.as_slice().try_into().unwrap();
        let key = clampd_token::derive_local_mint_key(master, proxy, epoch);
        let token = sign_micro_token_hs256(&claims, &format!("{prefix}.{proxy}.{epoch}"), &key);
        let answer = tool
            .post("/v1/introspect", &json!({ "token": token }))
            .expect(200);
        assert_eq!(
            answer.get("reason").and_then(Value::as_str),
            reason,
            "{epoch}"
        );
    }
}
