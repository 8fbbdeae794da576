//! What the control plane tells a proxy, signed.
//!
//! A bundle is JSON. Its Ed25519 signature travels beside it, in the header
//! `x-clampd-signature`, and covers the ASCII bytes `clampd-bundle-v1` and a line feed, then the
//! body as sent. Sections carry the revision at which they last changed; a bundle that answers
//! `since=N` holds only the sections that changed after `N`, so that a kill is a small message.

use serde::{Deserialize, Serialize};

use crate::fields::{Fields, list};
use crate::{Agent, AgentId, AgentState, Policy, RuleRows, Secret, Settings, Tool};

/// The format this version reads and writes.
pub const BUNDLE_FORMAT: u32 = 1;

/// A bundle, whole or since a revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// [`BUNDLE_FORMAT`].
    pub format: u32,
    /// The organisation it is for.
    pub org_id: String,
    /// Grows with every change and never falls, across restarts too.
    pub revision: u64,
    /// 0 when every section is here; else the revision that this one must be laid upon.
    pub since: u64,
    /// When it was signed, in Unix seconds.
    pub issued_at: u64,
    /// When it stops being good, in Unix seconds. Every answer to a poll renews it.
    pub expires_at: u64,
    /// What it says.
    pub sections: Sections,
}

/// The sections of a bundle; one that is absent has not changed since `since`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sections {
    /// The API keys that agents' requests may carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Section<Vec<ApiKey>>>,
    /// The agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<Section<Vec<Agent>>>,
    /// The agents that are not active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub states: Option<Section<Vec<StateChange>>>,
    /// The tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Section<Vec<Tool>>>,
    /// The policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Section<Vec<Policy>>>,
    /// The rules of the organisation's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Section<RuleRows>>,
    /// The organisation's settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Section<Settings>>,
    /// The key for minting without the control plane, made for this one proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_mint: Option<Section<LocalMint>>,
    /// The control plane's public keys, as the gateway publishes them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Section<Jwks>>,
}

/// A part of a bundle and the revision at which it last changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section<T> {
    /// The bundle's revision at which this section last changed.
    pub revision: u64,
    /// What it says.
    pub entries: T,
}

/// An API key as the bundle carries it: never the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct ApiKey {
    /// SHA-256 of the key, 64 characters of lower-case hex.
    pub sha256: String,
    /// The organisation it belongs to.
    pub org_id: String,
}

impl TryFrom<Fields> for ApiKey {
    type Error = String;

    fn try_from(mut fields: Fields) -> Result<Self, String> {
        let entry = Self {
            sha256: fields.text("sha256")?,
            org_id: fields.text("org_id")?,
        };
        fields.end().map(|()| entry)
    }
}

/// An agent that is suspended or killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct StateChange {
    /// The agent.
    pub id: AgentId,
    /// Its state, never `active`.
    pub state: AgentState,
}

impl TryFrom<Fields> for StateChange {
    type Error = String;

    fn try_from(mut fields: Fields) -> Result<Self, String> {
        let entry = Self {
            id: AgentId::parse(&fields.text("id")?).map_err(|error| error.to_string())?,
            state: fields.word("state", AgentState::parse)?,
        };
        fields.end().map(|()| entry)
    }
}

/// The key with which one proxy signs micro-tokens by itself, for one epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields")]
pub struct LocalMint {
    /// The `kid` of such tokens: names proxy and epoch to the control plane.
    pub key_id: String,
    /// HMAC-SHA256 key: 64 characters of lower-case hex, used as those bytes.
    pub key: Secret,
}

impl TryFrom<Fields> for LocalMint {
    type Error = String;

    fn try_from(mut fields: Fields) -> Result<Self, String> {
        let entry = Self {
            key_id: fields.text("key_id")?,
            key: Secret::new(fields.text("key")?),
        };
        fields.end().map(|()| entry)
    }
}

/// A JSON Web Key set (RFC 7517).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Jwks {
    /// The keys.
    #[serde(deserialize_with = "list")]
    pub keys: Vec<Jwk>,
}

/// An Ed25519 public key as a JWK (RFC 8037).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(try_from = "Fields")]
pub struct Jwk {
    /// `OKP`.
    pub kty: String,
    /// `Ed25519`.
    pub crv: String,
    /// The key's id.
    pub kid: String,
    /// The key, 32 bytes, base64url without padding.
    pub x: String,
    /// `EdDSA`.
    pub alg: String,
    /// `sig`.
    #[serde(rename = "use")]
    pub use_: String,
}

impl TryFrom<Fields> for Jwk {
    type Error = String;

    fn try_from(mut fields: Fields) -> Result<Self, String> {
        let entry = Self {
            kty: fields.text("kty")?,
            crv: fields.text("crv")?,
            kid: fields.text("kid")?,
            x: fields.text("x")?,
            alg: fields.text("alg")?,
            use_: fields.text("use")?,
        };
        fields.end().map(|()| entry)
    }
}
