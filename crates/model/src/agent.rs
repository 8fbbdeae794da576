//! Agents: who calls.

use std::{borrow::Borrow, fmt};

use serde::{Deserialize, Serialize};

use crate::{Boundaries, Secret, words::words};

/// An agent's identifier: 1 to 128 characters of `[A-Za-z0-9_.:-]`, a name or a UUID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(try_from = "String", into = "String")]
pub struct AgentId(String);

/// The text is no agent id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("agent id must be 1 to 128 characters of A-Z a-z 0-9 _ . : -")]
pub struct InvalidAgentId;

impl AgentId {
    /// The longest id, in bytes.
    pub const BYTES_MAX: usize = 128;

    /// Reads an id.
    ///
    /// # Errors
    /// [`InvalidAgentId`] when it is empty, longer than 128 bytes or has another character.
    pub fn parse(text: &str) -> Result<Self, InvalidAgentId> {
        let well_formed = !text.is_empty()
            && text.len() <= Self::BYTES_MAX
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b));
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidAgentId)
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for AgentId {
    type Error = InvalidAgentId;
    fn try_from(text: String) -> Result<Self, InvalidAgentId> {
        Self::parse(&text)
    }
}

impl From<AgentId> for String {
    fn from(id: AgentId) -> Self {
        id.0
    }
}

impl Borrow<str> for AgentId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

words! {
    /// Whether an agent may act.
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
    pub enum AgentState {
        /// It may act.
        Active = "active",
        /// It may not act until it is revived.
        Suspended = "suspended",
        /// It may not act; its tokens are refused.
        Killed = "killed",
    }
}

/// An agent as the bundle carries it. Its state stands in a section of its own, so that a kill is
/// a small message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// Who it is; the `sub` of its tokens.
    pub id: AgentId,
    /// What people call it.
    pub name: String,
    /// The organisation that it belongs to.
    pub org_id: String,
    /// How its JWTs are verified. The algorithm is fixed here, never by a token's header.
    pub credential: Credential,
    /// What it may do at most: scopes such as `db:read`, or patterns such as `db:*` and `*`.
    pub scopes: Vec<String>,
    /// The groups that policies know it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// What it is for, in a few words that policies may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// What it may use at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boundaries: Option<Boundaries>,
}

/// How an agent's JWT is verified. In JSON an object whose `alg` is `HS256` or `EdDSA`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "CredentialFields", into = "CredentialFields")]
pub enum Credential {
    /// HMAC-SHA256 (RFC 7518 section 3.2). The HMAC key is the bytes of `key`: 64 characters of
    /// lower-case hex for a secret that starts with `ags_`, the secret itself for any other.
    Hs256 {
        /// The HMAC key, not the agent's secret.
        key: Secret,
    },
    /// Ed25519 (RFC 8037).
    EdDsa {
        /// The public key: 32 bytes, base64url without padding, as the `x` of a JWK.
        public_key: String,
    },
}

/// A credential as it is written. Serde's own tagged enums would read it twice.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialFields {
    alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
}

impl TryFrom<CredentialFields> for Credential {
    type Error = &'static str;

    fn try_from(fields: CredentialFields) -> Result<Self, &'static str> {
        match (fields.alg.as_str(), fields.key, fields.public_key) {
            ("HS256", Some(key), None) => Ok(Self::Hs256 { key }),
            ("EdDSA", None, Some(public_key)) => Ok(Self::EdDsa { public_key }),
            _ => Err("credential must be HS256 with `key` or EdDSA with `public_key`"),
        }
    }
}

impl From<Credential> for CredentialFields {
    fn from(credential: Credential) -> Self {
        let (alg, key, public_key) = match credential {
            Credential::Hs256 { key } => ("HS256", Some(key), None),
            Credential::EdDsa { public_key } => ("EdDSA", None, Some(public_key)),
        };
        Self {
            alg: alg.to_owned(),
            key,
            public_key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AgentId;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn an_agent_id_is_a_name_or_a_uuid() {
        for good in [
            "a",
            "b0000001-0004-0000-0000-000000000001",
            "team.a:research_1",
        ] {
            assert!(AgentId::parse(good).is_ok(), "{good}");
        }
        let long = "a".repeat(129);
        for bad in ["", "a b", "é", "a/b", "a\0", long.as_str()] {
            assert!(AgentId::parse(bad).is_err(), "{bad}");
        }
    }
}
