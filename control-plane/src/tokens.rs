//! Micro-tokens: given for an agent's JWT here, told apart and used up in `introspection`.

mod introspection;

use clampd_model::{AgentState, MICRO_TOKEN_TTL_SECONDS, MicroTokenClaims, scope_covers};
use clampd_token::{AgentJwtError, ISSUER, sign_micro_token_ed25519};

pub(crate) use self::introspection::{Introspection, introspect, local_key_id, revoke, verify};
use crate::{
    clock, random,
    service::Service,
    store::{ExchangeFacts, StoreError},
};

/// What a gateway asks for in an agent's name.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) agent_jwt: String,
    pub(crate) tool: String,
    pub(crate) call_binding: String,
    /// Less than the tool's scope, where less is wanted.
    pub(crate) scope: Option<String>,
    pub(crate) session_id: Option<String>,
}

/// A micro-token and what it grants.
#[derive(Debug, Clone)]
pub(crate) struct Granted {
    pub(crate) token: String,
    pub(crate) scope: String,
}

/// Why there is no micro-token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExchangeRefusal {
    #[error(transparent)]
    Jwt(#[from] AgentJwtError),
    #[error("agent is killed")]
    Killed,
    #[error("agent is suspended")]
    Suspended,
    #[error("session was ended by a kill; begin another")]
    SessionEnded,
    #[error("tool is not registered")]
    UnknownTool,
    #[error("scope is not the agent's, the token's and the tool's")]
    Scope,
}

impl ExchangeRefusal {
    /// The code, as in the gateway's own errors.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Jwt(AgentJwtError::UnknownAgent) => "agent_not_found",
            Self::Jwt(_) => "invalid_jwt",
            Self::Killed => "agent_killed",
            Self::Suspended => "agent_suspended",
            Self::SessionEnded => "session_ended",
            Self::UnknownTool => "tool_not_registered",
            Self::Scope => "scope_not_granted",
        }
    }
}

/// Exchanges an agent's JWT for a micro-token (RFC 8693).
///
/// # Errors
/// When the store fails; the refusal is the inner error.
pub(crate) async fn exchange(
    service: &Service,
    org_id: &str,
    request: Exchange,
) -> Result<Result<Granted, ExchangeRefusal>, StoreError> {
    let now = clock::unix_seconds();
    let facts = service
        .store
        .exchange_facts(
            org_id.to_owned(),
            request.agent_jwt.clone(),
            request.tool.clone(),
            request.session_id.clone(),
            now,
        )
        .await?;
    let claims = match decide(facts, request, now)? {
        Ok(claims) => claims,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let keys = service.signing_keys(org_id).await?;
    let token = sign_micro_token_ed25519(&claims, &keys.token);
    Ok(Ok(Granted {
        token,
        scope: claims.scope,
    }))
}

fn decide(
    facts: ExchangeFacts,
    request: Exchange,
    now: u64,
) -> Result<Result<MicroTokenClaims, ExchangeRefusal>, StoreError> {
    let (jwt, agent, state) = match facts.caller {
        Ok(caller) => caller,
        Err(error) => return Ok(Err(error.into())),
    };
    match state {
        AgentState::Active => {}
        AgentState::Suspended => return Ok(Err(ExchangeRefusal::Suspended)),
        AgentState::Killed => return Ok(Err(ExchangeRefusal::Killed)),
    }
    if facts.is_session_ended {
        return Ok(Err(ExchangeRefusal::SessionEnded));
    }
    let Some(tool) = facts.tool else {
        return Ok(Err(ExchangeRefusal::UnknownTool));
    };
    let wanted = request.scope.unwrap_or_else(|| tool.scope.clone());
    let covered = |held: &[String], scope: &str| held.iter().any(|held| scope_covers(held, scope));
    let mut scopes = wanted.split_ascii_whitespace().peekable();
    let granted = scopes.peek().is_some()
        && scopes.all(|scope| {
            scope_covers(&tool.scope, scope)
                && covered(&agent.scopes, scope)
                && jwt
                    .scopes
                    .as_deref()
                    .is_none_or(|held| covered(held, scope))
        });
    if !granted {
        return Ok(Err(ExchangeRefusal::Scope));
    }
    Ok(Ok(MicroTokenClaims {
        iss: ISSUER.to_owned(),
        aud: tool.audience,
        sub: agent.id,
        scope: wanted,
        iat: now,
        exp: now.saturating_add(MICRO_TOKEN_TTL_SECONDS),
        jti: random::uuid()?,
        tool_binding: tool.binding,
        call_binding: request.call_binding,
        session_id: request.session_id,
        trust_level: None,
    }))
}
