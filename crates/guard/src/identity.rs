//! Who is calling: the API key and the agent's JWT.

use clampd_model::{AgentId, AgentState, Secret, Subject, Tool, scope_covers};
use clampd_token::{AgentJwtError, sha256_hex, verify_agent_jwt};

use crate::{ErrorCode, Head, Micros, Refusal, Snapshot};

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
    /// What the agent holds.
    scopes: Vec<String>,
    /// What its JWT narrows that to.
    narrowed: Option<Vec<String>>,
    /// Whether an SDK made the JWT: its scans read a denial from the body of a 200.
    pub(crate) is_sdk: bool,
    /// The JWT: the control plane verifies it again before it mints.
    pub(crate) jwt: Secret,
    /// Where the JWT came.
    pub(crate) came_in: TokenHeader,
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
}

/// Finds out who calls.
pub(crate) fn identify(
    snapshot: &Snapshot,
    head: &Head,
    demand: KeyDemand,
    now: Micros,
) -> Result<Caller, Refusal> {
    let key_org = match (head.has(KEY_HEADER), demand) {
        (true, _) => Some(org_of_key(snapshot, head)?),
        (false, KeyDemand::Optional) => None,
        (false, KeyDemand::Required) => {
            return Err(ErrorCode::MissingApiKey.because("X-AG-Key header is required"));
        }
    };
    let (jwt, came_in) = bearer(head)?;
    let claims = verify_agent_jwt(jwt, now / 1_000_000, |id| {
        snapshot.agent(id).map(|agent| &agent.credential)
    })
    .map_err(|error| match error {
        AgentJwtError::UnknownAgent => ErrorCode::AgentNotFound.because(error.to_string()),
        _ => ErrorCode::InvalidJwt.because(error.to_string()),
    })?;
    let agent = snapshot
        .agent(&claims.sub)
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
        scopes: agent.scopes.clone(),
        narrowed: claims.scopes,
        is_sdk: claims
            .iss
            .is_some_and(|iss| SDK_ISSUERS.contains(&iss.as_str())),
        jwt: Secret::new(jwt),
        came_in,
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
