//! What a micro-token is worth: told apart from false ones, used up once, revoked.

use clampd_model::{AgentState, MICRO_TOKEN_TTL_SECONDS, MicroTokenClaims, TrustLevel};
use clampd_token::{
    CLOCK_SKEW_SECONDS, MicroTokenError, MicroTokenKey, SCOPE_KEY_ID, derive_local_mint_key,
    micro_token_key_id, verify_micro_token,
};
use serde::Serialize;

use crate::{
    clock,
    service::Service,
    store::{Spending, StoreError},
};

/// What the `kid` of a token that a proxy minted by itself begins with.
const LOCAL_KEY_PREFIX: &str = "local";

/// How much longer than a token may live its nonce is remembered, in seconds.
const REMEMBER_SECONDS: u64 = 2 * CLOCK_SKEW_SECONDS;

/// What a tool learns of a token (RFC 7662).
#[derive(Debug, Clone, Default, Serialize, utoipa::ToSchema)]
pub(crate) struct Introspection {
    pub(crate) active: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool_binding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) call_binding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trust_level: Option<TrustLevel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'static str>,
}

impl Introspection {
    fn inactive(reason: &'static str) -> Self {
        Self {
            reason: Some(reason),
            ..Self::default()
        }
    }

    fn active(claims: MicroTokenClaims) -> Self {
        Self {
            active: true,
            sub: Some(claims.sub.into()),
            scope: Some(claims.scope),
            exp: Some(claims.exp),
            tool_binding: Some(claims.tool_binding),
            call_binding: Some(claims.call_binding),
            session_id: claims.session_id,
            trust_level: claims.trust_level,
            reason: None,
        }
    }

    /// `active`, or the reason why not.
    pub(crate) fn result(&self) -> &'static str {
        self.reason.unwrap_or("active")
    }
}

/// Says what a token is worth to the tool's service of `audience`, and uses it up if it is.
///
/// # Errors
/// When the store fails.
pub(crate) async fn introspect(
    service: &Service,
    org_id: &str,
    audience: Option<&str>,
    token: &str,
) -> Result<Introspection, StoreError> {
    let claims = match verify(service, org_id, token).await? {
        Ok(claims) => claims,
        Err(MicroTokenError::Malformed) => return Ok(Introspection::inactive("malformed")),
        Err(MicroTokenError::Expired) => return Ok(Introspection::inactive("expired")),
        Err(MicroTokenError::InvalidSignature) => {
            return Ok(Introspection::inactive("invalid_signature"));
        }
    };
    if audience.is_some_and(|audience| audience != claims.aud) {
        return Ok(Introspection::inactive("audience_mismatch"));
    }
    let spending = service
        .store
        .spend_token(
            org_id.to_owned(),
            claims.sub.as_str().to_owned(),
            claims.session_id.clone(),
            claims.jti.clone(),
            claims.exp.saturating_add(REMEMBER_SECONDS),
        )
        .await?;
    Ok(match spending {
        Spending::Spent => Introspection::active(claims),
        Spending::AlreadyUsed => Introspection::inactive("already_used"),
        Spending::Revoked | Spending::Inactive(AgentState::Active) => {
            Introspection::inactive("revoked")
        }
        Spending::SessionEnded => Introspection::inactive("session_ended"),
        Spending::Inactive(AgentState::Killed) => Introspection::inactive("agent_killed"),
        Spending::Inactive(AgentState::Suspended) => Introspection::inactive("agent_suspended"),
    })
}

/// Revokes a token by its nonce.
///
/// # Errors
/// When the store fails.
pub(crate) async fn revoke(service: &Service, org_id: &str, jti: String) -> Result<(), StoreError> {
    let now = clock::unix_seconds();
    let until = now.saturating_add(MICRO_TOKEN_TTL_SECONDS + CLOCK_SKEW_SECONDS + REMEMBER_SECONDS);
    service
        .store
        .revoke_token(org_id.to_owned(), jti, until)
        .await
}

/// The claims of a token that one of the organisation's keys signed and whose time is now.
///
/// # Errors
/// When the store fails; what is wrong with the token is the inner error.
pub(crate) async fn verify(
    service: &Service,
    org_id: &str,
    token: &str,
) -> Result<Result<MicroTokenClaims, MicroTokenError>, StoreError> {
    let now = clock::unix_seconds();
    let key = match micro_token_key_id(token).as_deref() {
        Some(SCOPE_KEY_ID) => {
            let keys = service.signing_keys(org_id).await?;
            Some(MicroTokenKey::Ed25519(keys.token.verifying_key()))
        }
        Some(key_id) => local_key(service, org_id, key_id, now).await?,
        None => None,
    };
    Ok(verify_micro_token(token, now, |_| key).and_then(|claims| {
        // A proxy's key must not buy a longer life than the rest have.
        let life = claims.exp.saturating_sub(claims.iat);
        if life > MICRO_TOKEN_TTL_SECONDS {
            Err(MicroTokenError::Expired)
        } else {
            Ok(claims)
        }
    }))
}

/// The `kid` of tokens that a proxy mints by itself in an epoch.
pub(crate) fn local_key_id(proxy_id: &str, epoch: u64) -> String {
    format!("{LOCAL_KEY_PREFIX}.{proxy_id}.{epoch}")
}

/// The key that such a `kid` names, if its proxy is still one and its epoch is this or the last.
async fn local_key(
    service: &Service,
    org_id: &str,
    key_id: &str,
    now: u64,
) -> Result<Option<MicroTokenKey>, StoreError> {
    let mut parts = key_id.splitn(3, '.');
    let (Some(LOCAL_KEY_PREFIX), Some(proxy_id), Some(epoch)) =
        (parts.next(), parts.next(), parts.next())
    else {
        return Ok(None);
    };
    let Ok(epoch) = epoch.parse::<u64>() else {
        return Ok(None);
    };
    let current = clock::mint_epoch(now);
    if epoch != current && epoch.checked_add(1) != Some(current) {
        return Ok(None);
    }
    if !service
        .store
        .has_proxy(org_id.to_owned(), proxy_id.to_owned())
        .await?
    {
        return Ok(None);
    }
    let key = derive_local_mint_key(service.store.master().bytes(), proxy_id, epoch);
    Ok(Some(MicroTokenKey::Hs256(key)))
}
