//! The JWT by which an agent says who it is.

use clampd_model::{AgentClaims, AgentId, Credential, Secret};
use serde::Deserialize;

use crate::{
    VerifyingKey,
    canonical::sha256_hex,
    jws::{Jws, sign_hmac},
};

/// How far two clocks may be apart, in seconds.
pub const CLOCK_SKEW_SECONDS: u64 = 30;

/// The `aud` of an EdDSA agent's JWT.
pub const GATEWAY_AUDIENCE: &str = "ag-gateway";

/// Why an agent's JWT is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgentJwtError {
    /// It is no JWT with the claims that are required.
    #[error("JWT validation failed: malformed")]
    Malformed,
    /// The agent that it names is not known.
    #[error("agent is not registered")]
    UnknownAgent,
    /// Its algorithm is not the one that the agent is registered with.
    #[error("JWT validation failed: algorithm is not the agent's")]
    WrongAlgorithm,
    /// It was not signed with the agent's key.
    #[error("JWT validation failed: InvalidSignature")]
    InvalidSignature,
    /// Its time is over, or has not come.
    #[error("JWT validation failed: expired or not yet valid")]
    OutsideValidity,
    /// It is for another service.
    #[error("JWT validation failed: wrong audience")]
    WrongAudience,
}

/// The HMAC key of an agent's secret: the lower-case hex of its SHA-256 for one that starts with
/// `ags_`, else the secret itself.
pub fn agent_hmac_key(secret: &Secret) -> Secret {
    let text = secret.expose();
    if text.starts_with("ags_") {
        Secret::new(sha256_hex(text.as_bytes()))
    } else {
        Secret::new(text)
    }
}

/// Makes an agent's JWT with its HMAC key.
pub fn sign_agent_jwt_hs256(claims: &AgentClaims, key: &Secret) -> String {
    sign_hmac(claims, None, key.expose().as_bytes())
}

/// Checks an agent's JWT at `now` (Unix seconds) with the credential on record.
///
/// The algorithm is the record's; the token's header must agree and chooses nothing.
///
/// # Errors
/// [`AgentJwtError`] when the caller is not proven to be that agent.
pub fn verify_agent_jwt<'r>(
    token: &str,
    now: u64,
    credential_of: impl FnOnce(&AgentId) -> Option<&'r Credential>,
) -> Result<AgentClaims, AgentJwtError> {
    let jws = Jws::parse(token).ok_or(AgentJwtError::Malformed)?;
    let claims: AgentClaims = jws.claims().ok_or(AgentJwtError::Malformed)?;
    let credential = credential_of(&claims.sub).ok_or(AgentJwtError::UnknownAgent)?;
    match credential {
        Credential::Hs256 { key } => {
            demand(jws.header.alg == "HS256", AgentJwtError::WrongAlgorithm)?;
            let signed = jws.is_signed_with_hmac(key.expose().as_bytes());
            demand(signed, AgentJwtError::InvalidSignature)?;
        }
        Credential::EdDsa { public_key } => {
            demand(jws.header.alg == "EdDSA", AgentJwtError::WrongAlgorithm)?;
            let key =
                VerifyingKey::parse(public_key).map_err(|_| AgentJwtError::InvalidSignature)?;
            demand(
                jws.is_signed_with_ed25519(&key),
                AgentJwtError::InvalidSignature,
            )?;
            let ours = claims.aud.as_deref() == Some(GATEWAY_AUDIENCE);
            demand(ours, AgentJwtError::WrongAudience)?;
        }
    }
    let not_before = jws.claims::<NotBefore>().map_or(0, |c| c.nbf.unwrap_or(0));
    let issued = claims.iat.unwrap_or(0).max(not_before);
    let begun = issued <= now.saturating_add(CLOCK_SKEW_SECONDS);
    let ended = claims.exp.saturating_add(CLOCK_SKEW_SECONDS) <= now;
    demand(begun && !ended, AgentJwtError::OutsideValidity)?;
    Ok(claims)
}

/// RFC 7519 section 4.1.5.
#[derive(Deserialize)]
struct NotBefore {
    #[serde(default)]
    nbf: Option<u64>,
}

fn demand(holds: bool, or: AgentJwtError) -> Result<(), AgentJwtError> {
    if holds { Ok(()) } else { Err(or) }
}

#[cfg(test)]
mod tests {
    use clampd_model::{AgentClaims, AgentId, Credential, Secret};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{AgentJwtError, agent_hmac_key, sign_agent_jwt_hs256, verify_agent_jwt};
    use crate::{SigningKey, jws::sign_ed25519};

    const NOW: u64 = 1_800_000_000;

    fn claims() -> AgentClaims {
        AgentClaims {
            sub: AgentId::parse("my-agent").unwrap(),
            iss: Some("clampd-sdk".into()),
            iat: Some(NOW),
            exp: NOW + 3600,
            aud: None,
            scopes: None,
        }
    }

    fn hs256(secret: &str) -> Credential {
        Credential::Hs256 {
            key: agent_hmac_key(&Secret::new(secret)),
        }
    }

    #[track_caller]
    fn check(token: &str, credential: &Credential, now: u64, wanted: Result<(), AgentJwtError>) {
        let got = verify_agent_jwt(token, now, |_| Some(credential)).map(drop);
        assert_eq!(got, wanted);
    }

    #[test]
    fn an_ags_secret_signs_with_the_hex_of_its_hash() {
        let key = agent_hmac_key(&Secret::new("ags_x"));
        assert_eq!(key.expose(), crate::sha256_hex(b"ags_x"));
        assert_eq!(agent_hmac_key(&Secret::new("plain")).expose(), "plain");
    }

    #[test]
    fn a_jwt_holds_for_its_own_agent_key_and_time_only() {
        let credential = hs256("ags_right");
        let Credential::Hs256 { key } = &credential else {
            unreachable!()
        };
        let token = sign_agent_jwt_hs256(&claims(), key);
        check(&token, &credential, NOW, Ok(()));
        check(&token, &credential, NOW - 30, Ok(()));
        check(
            &token,
            &credential,
            NOW - 31,
            Err(AgentJwtError::OutsideValidity),
        );
        check(&token, &credential, NOW + 3600 + 29, Ok(()));
        check(
            &token,
            &credential,
            NOW + 3600 + 30,
            Err(AgentJwtError::OutsideValidity),
        );
        check(
            &token,
            &hs256("ags_wrong"),
            NOW,
            Err(AgentJwtError::InvalidSignature),
        );
        for bad in [
            "",
            ".",
            "..",
            "a.b.c",
            token.get(1..).unwrap(),
            &format!("{token}."),
            token.get(..40).unwrap(),
        ] {
            check(bad, &credential, NOW, Err(AgentJwtError::Malformed));
        }
    }

    #[test]
    fn a_token_cannot_choose_its_algorithm() {
        let pair = SigningKey::from_seed([1; 32]);
        let public = pair.verifying_key().to_text();
        let eddsa = Credential::EdDsa {
            public_key: public.clone(),
        };
        // The public key used as an HMAC key: the classic confusion.
        let forged = sign_agent_jwt_hs256(&claims(), &Secret::new(public));
        check(&forged, &eddsa, NOW, Err(AgentJwtError::WrongAlgorithm));

        let unsigned = "eyJhbGciOiJub25lIn0.".to_owned() + forged.split('.').nth(1).unwrap() + ".";
        check(
            &unsigned,
            &hs256("ags_right"),
            NOW,
            Err(AgentJwtError::WrongAlgorithm),
        );

        let mut claims = claims();
        check(
            &sign_ed25519(&claims, "k", &pair),
            &eddsa,
            NOW,
            Err(AgentJwtError::WrongAudience),
        );
        claims.aud = Some("ag-gateway".into());
        check(&sign_ed25519(&claims, "k", &pair), &eddsa, NOW, Ok(()));
    }
}
