//! The token that one allowed call carries to its tool.

use clampd_model::{AgentId, MicroTokenClaims, Secret};

use crate::{
    SigningKey, VerifyingKey,
    agent_jwt::CLOCK_SKEW_SECONDS,
    canonical::hex,
    jws::{Jws, hmac_sha256, sign_ed25519, sign_hmac},
};

/// The `iss` of micro-tokens.
pub const ISSUER: &str = "clampd";

/// The `kid` of the control plane's micro-token key.
pub const SCOPE_KEY_ID: &str = "scope-v1";

/// Why a micro-token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MicroTokenError {
    /// It is no micro-token.
    #[error("malformed")]
    Malformed,
    /// Nobody we know signed it.
    #[error("invalid_signature")]
    InvalidSignature,
    /// Its 30 seconds are over, or have not begun.
    #[error("expired")]
    Expired,
}

/// A key that may have signed a micro-token.
#[derive(Debug, Clone)]
pub enum MicroTokenKey {
    /// The control plane's own, Ed25519.
    Ed25519(VerifyingKey),
    /// One proxy's for one epoch, HMAC-SHA256.
    Hs256(Secret),
}

/// Signs with the control plane's key.
pub fn sign_micro_token_ed25519(claims: &MicroTokenClaims, key: &SigningKey) -> String {
    sign_ed25519(claims, SCOPE_KEY_ID, key)
}

/// Signs with a proxy's key; `key_id` names proxy and epoch to the control plane.
pub fn sign_micro_token_hs256(claims: &MicroTokenClaims, key_id: &str, key: &Secret) -> String {
    sign_hmac(claims, Some(key_id), key.expose().as_bytes())
}

/// The `kid` that a micro-token names, before anything is verified.
pub fn micro_token_key_id(token: &str) -> Option<String> {
    Jws::parse(token)?.header.kid
}

/// The agent that a token of [`ISSUER`] names, before anything is verified: it proves nothing.
pub fn micro_token_subject(token: &str) -> Option<AgentId> {
    let claims: serde_json::Value = Jws::parse(token)?.claims()?;
    let claim = |name| claims.get(name)?.as_str();
    let subject = claim("sub").filter(|_| claim("iss") == Some(ISSUER))?;
    AgentId::parse(subject).ok()
}

/// Checks signature and time at `now` (Unix seconds). That it is used once is for the caller to
/// see to, by its `jti`.
///
/// # Errors
/// [`MicroTokenError`] when it must not be honoured.
pub fn verify_micro_token(
    token: &str,
    now: u64,
    key_of: impl FnOnce(&str) -> Option<MicroTokenKey>,
) -> Result<MicroTokenClaims, MicroTokenError> {
    let jws = Jws::parse(token).ok_or(MicroTokenError::Malformed)?;
    let claims: MicroTokenClaims = jws.claims().ok_or(MicroTokenError::Malformed)?;
    let key = jws
        .header
        .kid
        .as_deref()
        .and_then(key_of)
        .ok_or(MicroTokenError::InvalidSignature)?;
    let signed = match (&key, jws.header.alg.as_str()) {
        (MicroTokenKey::Ed25519(key), "EdDSA") => jws.is_signed_with_ed25519(key),
        (MicroTokenKey::Hs256(key), "HS256") => jws.is_signed_with_hmac(key.expose().as_bytes()),
        _ => false,
    };
    if !signed || claims.iss != ISSUER {
        return Err(MicroTokenError::InvalidSignature);
    }
    // The end is exact: a token that lives 30 seconds gets no minute. Only a gateway's clock that
    // runs ahead is forgiven.
    if claims.exp <= now || claims.iat > now.saturating_add(CLOCK_SKEW_SECONDS) {
        return Err(MicroTokenError::Expired);
    }
    Ok(claims)
}

/// The key with which one proxy may sign in one epoch: HMAC-SHA256 of the master key over both,
/// as 64 characters of lower-case hex.
pub fn derive_local_mint_key(master: &[u8; 32], proxy_id: &str, epoch: u64) -> Secret {
    let message = format!("clampd-local-mint-v1\n{epoch}\n{proxy_id}");
    Secret::new(hex(&hmac_sha256(master, message.as_bytes())))
}

#[cfg(test)]
mod tests {
    use clampd_model::{AgentId, MicroTokenClaims};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{
        ISSUER, MicroTokenError, MicroTokenKey, SCOPE_KEY_ID, derive_local_mint_key,
        sign_micro_token_ed25519, sign_micro_token_hs256, verify_micro_token,
    };
    use crate::SigningKey;

    const NOW: u64 = 1_800_000_000;

    fn claims() -> MicroTokenClaims {
        MicroTokenClaims {
            iss: ISSUER.into(),
            aud: "http://127.0.0.1:9001".into(),
            sub: AgentId::parse("a").unwrap(),
            scope: "db:read".into(),
            iat: NOW,
            exp: NOW + 30,
            jti: "1".into(),
            tool_binding: "t".into(),
            call_binding: "c".into(),
            session_id: None,
            trust_level: None,
        }
    }

    #[test]
    fn a_micro_token_lives_thirty_seconds() {
        let key = SigningKey::from_seed([3; 32]);
        let token = sign_micro_token_ed25519(&claims(), &key);
        for (now, wanted) in [
            (NOW, Ok(())),
            (NOW + 29, Ok(())),
            (NOW + 30, Err(MicroTokenError::Expired)),
            (NOW - 31, Err(MicroTokenError::Expired)),
        ] {
            let got = verify_micro_token(&token, now, |kid| {
                (kid == SCOPE_KEY_ID).then(|| MicroTokenKey::Ed25519(key.verifying_key()))
            });
            assert_eq!(got.map(drop), wanted, "{now}");
        }
    }

    #[test]
    fn a_proxy_signs_for_itself_and_its_epoch_only() {
        let master = [9; 32];
        let mine = derive_local_mint_key(&master, "proxy-1", 20_000);
        let token = sign_micro_token_hs256(&claims(), "local.proxy-1.20000", &mine);
        let with = |proxy: &str, epoch| {
            let key = derive_local_mint_key(&master, proxy, epoch);
            verify_micro_token(&token, NOW, |_| Some(MicroTokenKey::Hs256(key))).map(drop)
        };
        assert_eq!(with("proxy-1", 20_000), Ok(()));
        assert_eq!(
            with("proxy-2", 20_000),
            Err(MicroTokenError::InvalidSignature)
        );
        assert_eq!(
            with("proxy-1", 20_001),
            Err(MicroTokenError::InvalidSignature)
        );
    }
}
