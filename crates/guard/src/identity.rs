//! Who is calling: the API key, and the agent's JWT or its certificate.

use std::sync::Arc;

use clampd_model::{
    AgentClaims, AgentId, AgentState, Boundaries, Secret, Subject, Tool, scope_covers,
};
use clampd_policy::held_scopes;
use clampd_token::{AgentJwtError, sha256_hex, verify_agent_jwt};

use crate::{Config, ErrorCode, Head, Micros, Refusal, Snapshot};

/// The header of the organisation's API key.
pub(crate) const KEY_HEADER: &str = "x-ag-key";
/// The header of the agent's JWT where `authorization` belongs to the upstream.
pub(crate) const AGENT_TOKEN_HEADER: &str = "x-ag-agent-token";
/// The header of the agent's JWT elsewhere, and of micro-tokens.
pub(crate) const AUTHORIZATION: &str = "authorization";

/// The `iss` of tokens that the SDKs make.
const SDK_ISSUERS: [&str; 3] = ["clampd-sdk", "clampd-guard", "clampd-mcp-proxy"];

/// A caller that has proven who it is.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) agent: AgentId,
    pub(crate) name: String,
    pub(crate) org_id: String,
    /// The groups that policies know the agent by.
    pub(crate) groups: Vec<String>,
    /// What the agent is for.
    pub(crate) purpose: Option<String>,
    /// What the agent may use at most.
    pub(crate) boundaries: Arc<Boundaries>,
    /// What the agent holds.
    scopes: Vec<String>,
    /// What its JWT narrows that to.
    narrowed: Option<Vec<String>>,
    /// Whether an SDK made the JWT: its scans read a denial from the body of a 200.
    pub(crate) is_sdk: bool,
    /// The JWT: the control plane verifies it again before it mints. None where the certificate
    /// alone says who calls.
    pub(crate) jwt: Option<Secret>,
    /// Where the JWT came, or could have.
    pub(crate) came_in: TokenHeader,
}

/// What a request shows of its agent.
struct Shown<'h> {
    agent: AgentId,
    /// The JWT and what it says, if there is one.
    jwt: Option<(&'h str, AgentClaims)>,
    came_in: TokenHeader,
}

/// The header that an agent's JWT came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenHeader {
    Authorization,
    AgentToken,
}

/// Whether a request must show an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyDemand {
    Required,
    /// Checked when it is there.
    Optional,
}

impl Caller {
    /// The caller with the tool that a text of its exchange belongs to.
    pub(crate) fn subject<'a>(&'a self, tool: Option<&'a Tool>) -> Subject<'a> {
        Subject {
            agent: Some(&self.agent),
            tool,
        }
    }

    /// Whether the caller holds `scope`, by its record and by its JWT.
    pub(crate) fn holds(&self, scope: &str) -> bool {
        let in_list = |list: &[String]| list.iter().any(|held| scope_covers(held, scope));
        in_list(&self.scopes) && self.narrowed.as_deref().is_none_or(in_list)
    }

    /// What the caller holds, as policies see it beside a tool of that scope.
    pub(crate) fn scopes_beside(&self, scope: &str) -> Vec<String> {
        held_scopes(&self.scopes, self.narrowed.as_deref(), scope)
    }
}

/// Finds out who calls.
pub(crate) fn identify(
    snapshot: &Snapshot,
    config: &Config,
    head: &Head,
    demand: KeyDemand,
    now: Micros,
) -> Result<Caller, Refusal> {
    let peer = head.peer().and_then(|uri| config.peers.agent(uri));
    let shows_itself = peer.is_some() || head.has(AGENT_TOKEN_HEADER);
    if let Some(agent) = config.agent.as_ref().filter(|_| !shows_itself) {
        return identify_named(snapshot, config, agent);
    }
    let key_org = match (head.has(KEY_HEADER), demand) {
        (true, _) => Some(org_of_key(snapshot, head)?),
        (false, KeyDemand::Optional) => None,
        (false, KeyDemand::Required) => {
            return Err(ErrorCode::MissingApiKey.because("X-AG-Key header is required"));
        }
    };
    let shown = match peer {
        Some(agent) => by_certificate(snapshot, head, agent, now)?,
        None => by_jwt(snapshot, head, now)?,
    };
    let agent = snapshot
        .agent(&shown.agent)
        .ok_or_else(|| ErrorCode::AgentNotFound.because("agent is not registered"))?;
    if key_org.is_some_and(|org| org != agent.org_id) || agent.org_id != snapshot.org_id() {
        return Err(
            ErrorCode::OrgMismatch.because("API key and agent belong to different organisations")
        );
    }
    may_act(snapshot, &agent.id)?;
    Ok(Caller {
        agent: agent.id.clone(),
        name: agent.name.clone(),
        org_id: agent.org_id.clone(),
        groups: agent.groups.clone(),
        purpose: agent.purpose.clone(),
        boundaries: config.boundaries_of(agent),
        scopes: agent.scopes.clone(),
        is_sdk: shown.jwt.as_ref().is_some_and(|(_, claims)| {
            let iss = claims.iss.as_deref();
            iss.is_some_and(|iss| SDK_ISSUERS.contains(&iss))
        }),
        jwt: shown.jwt.as_ref().map(|(jwt, _)| Secret::new(*jwt)),
        narrowed: shown.jwt.and_then(|(_, claims)| claims.scopes),
        came_in: shown.came_in,
    })
}

/// The agent that its JWT names.
fn by_jwt<'h>(snapshot: &Snapshot, head: &'h Head, now: Micros) -> Result<Shown<'h>, Refusal> {
    let (jwt, came_in) = bearer(head)?;
    let claims = verified(snapshot, jwt, now).map_err(|error| match error {
        AgentJwtError::UnknownAgent => ErrorCode::AgentNotFound.because(error.to_string()),
        _ => ErrorCode::InvalidJwt.because(error.to_string()),
    })?;
    Ok(Shown {
        agent: claims.sub.clone(),
        jwt: Some((jwt, claims)),
        came_in,
    })
}

/// The agent that the peer's certificate stands for. A JWT beside it may narrow its scopes, and
/// must not name another agent. An `authorization` that is no agent's is the upstream's own.
fn by_certificate<'h>(
    snapshot: &Snapshot,
    head: &'h Head,
    agent: &AgentId,
    now: Micros,
) -> Result<Shown<'h>, Refusal> {
    let shown = if head.has(AGENT_TOKEN_HEADER) {
        by_jwt(snapshot, head, now)?
    } else {
        let jwt = bearer(head).ok().and_then(|(jwt, _)| {
            let claims = verified(snapshot, jwt, now).ok()?;
            Some((jwt, claims))
        });
        let foreign = head.has(AUTHORIZATION) && jwt.is_none();
        Shown {
            agent: jwt
                .as_ref()
                .map_or_else(|| agent.clone(), |(_, claims)| claims.sub.clone()),
            jwt,
            came_in: if foreign {
                TokenHeader::AgentToken
            } else {
                TokenHeader::Authorization
            },
        }
    };
    if shown.agent == *agent {
        Ok(shown)
    } else {
        let why = "agent JWT names another agent than the peer's certificate";
        Err(ErrorCode::InvalidJwt.because(why))
    }
}

fn verified(snapshot: &Snapshot, jwt: &str, now: Micros) -> Result<AgentClaims, AgentJwtError> {
    let now = now / 1_000_000;
    snapshot.verified().claims(jwt, now, || {
        verify_agent_jwt(jwt, now, |id| {
            snapshot.agent(id).map(|agent| &agent.credential)
        })
    })
}

/// The one agent that the configuration names: `authorization` is not looked at.
pub(crate) fn identify_named(
    snapshot: &Snapshot,
    config: &Config,
    agent: &AgentId,
) -> Result<Caller, Refusal> {
    may_act(snapshot, agent)?;
    let agent = snapshot
        .agent(agent)
        .filter(|agent| agent.org_id == snapshot.org_id())
        .ok_or_else(|| ErrorCode::AgentNotFound.because("agent is not registered"))?;
    Ok(Caller {
        agent: agent.id.clone(),
        name: agent.name.clone(),
        org_id: agent.org_id.clone(),
        boundaries: config.boundaries_of(agent),
        scopes: agent.scopes.clone(),
        groups: agent.groups.clone(),
        purpose: agent.purpose.clone(),
        narrowed: None,
        is_sdk: false,
        jwt: None,
        came_in: TokenHeader::AgentToken,
    })
}

/// Refuses an agent that is killed, suspended or gone. This is asked when a request is admitted
/// and again at its last gate.
pub(crate) fn may_act(snapshot: &Snapshot, agent: &AgentId) -> Result<(), Refusal> {
    if snapshot.agent(agent).is_none() {
        return Err(ErrorCode::AgentNotFound.because("agent is not registered"));
    }
    match snapshot.state(agent) {
        AgentState::Active => Ok(()),
        AgentState::Killed => Err(ErrorCode::AgentKilled.because("agent is killed")),
        AgentState::Suspended => Err(ErrorCode::AgentSuspended.because("agent is suspended")),
    }
}

fn org_of_key<'s>(snapshot: &'s Snapshot, head: &Head) -> Result<&'s str, Refusal> {
    head.value(KEY_HEADER)
        .filter(|key| key.starts_with("ag_live_") || key.starts_with("ag_test_"))
        .and_then(|key| snapshot.api_key(&sha256_hex(key.as_bytes())))
        .map(|key| key.org_id.as_str())
        .ok_or_else(|| ErrorCode::InvalidApiKey.because("API key is not valid"))
}

fn bearer(head: &Head) -> Result<(&str, TokenHeader), Refusal> {
    let (name, came_in) = if head.has(AGENT_TOKEN_HEADER) {
        (AGENT_TOKEN_HEADER, TokenHeader::AgentToken)
    } else if head.has(AUTHORIZATION) {
        (AUTHORIZATION, TokenHeader::Authorization)
    } else {
        return Err(ErrorCode::MissingJwt.because("agent JWT is required"));
    };
    head.value(name)
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| (token.trim(), came_in))
        .ok_or_else(|| ErrorCode::InvalidJwt.because("agent JWT must come as one `Bearer` token"))
}
