//! What tokens say.

use serde::{Deserialize, Serialize};

use crate::{AgentId, words::words};

/// How long a micro-token lives, in seconds.
pub const MICRO_TOKEN_TTL_SECONDS: u64 = 30;

/// The claims of an agent's JWT (RFC 7519). Unknown claims are left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentClaims {
    /// The agent.
    pub sub: AgentId,
    /// Who made the token; the SDKs write their own name here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// When it was made, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<u64>,
    /// When it ends, in Unix seconds.
    pub exp: u64,
    /// The service it is for; `ag-gateway` where the algorithm is EdDSA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// Scopes that narrow the agent's own; they never widen them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
}

/// The claims of a micro-token: one call, 30 seconds, one use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MicroTokenClaims {
    /// Who minted it: `clampd`.
    pub iss: String,
    /// The tool's service.
    pub aud: String,
    /// The agent.
    pub sub: AgentId,
    /// What the call may do: scopes with spaces between them.
    pub scope: String,
    /// When it was minted, in Unix seconds.
    pub iat: u64,
    /// When it ends, in Unix seconds.
    pub exp: u64,
    /// Its nonce: consumed by the first introspection.
    pub jti: String,
    /// SHA-256 hex of the canonical JSON of the tool's descriptor.
    #[serde(rename = "ag:tool_binding")]
    pub tool_binding: String,
    /// SHA-256 hex of the canonical JSON of `{"params":…,"tool":…}`.
    #[serde(rename = "ag:call_binding")]
    pub call_binding: String,
    /// The session of the call.
    #[serde(
        rename = "ag:session_id",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub session_id: Option<String>,
    /// Present when the token was minted without the control plane.
    #[serde(
        rename = "ag:trust_level",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub trust_level: Option<TrustLevel>,
}

words! {
    /// How far a micro-token can be trusted.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
    pub enum TrustLevel {
        /// The control plane was away; the proxy signed by itself.
        Degraded = "degraded",
    }
}
