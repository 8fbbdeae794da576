//! The audit trail's hash chain, and the signed statements that hold it: who edits an event, leaves
//! one out or cuts the end off cannot make them fit again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    SigningKey, VerifyingKey,
    canonical::{canonical_json, sha256_hex},
    jws::{Jws, hmac_sha256, sign_ed25519},
};

/// The `kid` of the key that signs statements about the trail.
pub const AUDIT_KEY_ID: &str = "clampd-audit-1";

/// What a row of the trail is made of and hashed as, in this order; `chain_hash` follows.
pub const AUDIT_CHAIN_COLUMNS: [&str; 34] = [
    "seq",
    "event_id",
    "request_id",
    "trace_id",
    "org_id",
    "agent_id",
    "agent_name",
    "session_id",
    "tool_name",
    "tool_action",
    "params_hash",
    "params_masked",
    "prompt_hash",
    "encodings_detected",
    "risk_score",
    "assessed_risk",
    "classification",
    "labels",
    "matched_rules",
    "policy_action",
    "policy_reason",
    "scope_requested",
    "scope_granted",
    "blocked",
    "denial_reason",
    "session_flags",
    "response",
    "degraded_stages",
    "delegation_chain",
    "delegation_trace_id",
    "bundle_revision",
    "latency_us",
    "timestamp",
    "received_at",
];

/// What a statement says of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditStatementKind {
    /// It is the last one.
    Head,
    /// It and all before it were removed, as the retention wants.
    Cut,
}

/// A statement about the trail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditStatement {
    /// What it says.
    pub audit: AuditStatementKind,
    /// Whose trail it is.
    pub org_id: String,
    /// The event's number; 0 before the first.
    pub seq: u64,
    /// The event's chain hash; empty before the first.
    pub chain_hash: String,
    /// When it was signed, in Unix seconds.
    pub iat: u64,
}

/// Why a text is no statement of the organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("statement is not one that the trail's key signed")]
pub struct AuditStatementUnsigned;

/// The key that signs statements, made of the organisation's seed for tokens: another key, so that
/// a signature of the one kind is never one of the other.
pub fn derive_audit_key(token_seed: &[u8; 32]) -> SigningKey {
    SigningKey::from_seed(hmac_sha256(token_seed, b"clampd-audit-key-v1"))
}

/// Signs a statement: a compact JWS (RFC 7515).
pub fn sign_audit_statement(statement: &AuditStatement, key: &SigningKey) -> String {
    sign_ed25519(statement, AUDIT_KEY_ID, key)
}

/// Reads a statement that this key signed.
///
/// # Errors
/// [`AuditStatementUnsigned`] for anything else.
pub fn verify_audit_statement(
    text: &str,
    key: &VerifyingKey,
) -> Result<AuditStatement, AuditStatementUnsigned> {
    let jws = Jws::parse(text).ok_or(AuditStatementUnsigned)?;
    let is_ours = jws.header.alg == "EdDSA" && jws.header.kid.as_deref() == Some(AUDIT_KEY_ID);
    if !is_ours || !jws.is_signed_with_ed25519(key) {
        return Err(AuditStatementUnsigned);
    }
    jws.claims().ok_or(AuditStatementUnsigned)
}

/// The hash of an event: SHA-256 of the previous event's and of the event's columns as a canonical
/// JSON list.
pub fn audit_chain_hash(previous: &str, columns: Vec<Value>) -> String {
    sha256_hex(format!("{previous}{}", canonical_json(&Value::Array(columns))).as_bytes())
}

/// An event as a line of an export: the one way to write it, with its columns in their order and
/// `chain_hash` last.
pub fn audit_line(columns: &[Value], chain_hash: &str) -> String {
    let chain_hash = Value::from(chain_hash);
    let names = AUDIT_CHAIN_COLUMNS.iter().chain(&["chain_hash"]);
    let cells: Vec<String> = names
        .zip(columns.iter().chain([&chain_hash]))
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    format!("{{{}}}", cells.join(","))
}

/// A walk along the chain, event by event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditWalk {
    /// The last good event's number; 0 before the first.
    pub seq: u64,
    /// Its chain hash; empty before the first.
    pub chain_hash: String,
}

/// The event of this number is missing, altered or in the wrong place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event {0} is missing or altered")]
pub struct AuditBroken(pub u64);

impl AuditWalk {
    /// Takes the next event: its columns, and the hash that stands with it.
    ///
    /// # Errors
    /// [`AuditBroken`] when it is not the next, or not as it was written.
    pub fn step(&mut self, columns: Vec<Value>, chain_hash: &str) -> Result<(), AuditBroken> {
        let expected = self.seq.saturating_add(1);
        let seq = columns.first().and_then(Value::as_u64);
        if columns.len() != AUDIT_CHAIN_COLUMNS.len()
            || seq != Some(expected)
            || audit_chain_hash(&self.chain_hash, columns) != chain_hash
        {
            return Err(AuditBroken(expected));
        }
        self.seq = expected;
        self.chain_hash = chain_hash.to_owned();
        Ok(())
    }

    /// Whether the walk stands where the statement says.
    pub fn stands_at(&self, statement: &AuditStatement) -> bool {
        self.seq == statement.seq && self.chain_hash == statement.chain_hash
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{
        AUDIT_CHAIN_COLUMNS, AuditBroken, AuditStatement, AuditStatementKind, AuditWalk,
        audit_chain_hash, derive_audit_key, sign_audit_statement, verify_audit_statement,
    };
    use crate::SigningKey;

    fn columns(seq: u64) -> Vec<Value> {
        let rest = AUDIT_CHAIN_COLUMNS.iter().skip(1);
        [json!(seq)]
            .into_iter()
            .chain(rest.map(|name| json!(name)))
            .collect()
    }

    #[test]
    fn a_walk_stops_at_whatever_is_not_as_it_was_written() {
        let first = audit_chain_hash("", columns(1));
        let second = audit_chain_hash(&first, columns(2));
        let mut walk = AuditWalk::default();
        assert_eq!(walk.step(columns(1), &first), Ok(()));
        let mut edited = columns(2);
        edited[8] = json!("another");
        for (columns, hash) in [
            (edited, &second),
            (columns(3), &second),
            (columns(2), &first),
        ] {
            assert_eq!(walk.clone().step(columns, hash), Err(AuditBroken(2)));
        }
        assert_eq!(walk.step(columns(2), &second), Ok(()));
        assert_eq!((walk.seq, walk.chain_hash), (2, second));
    }

    #[test]
    fn only_the_trails_own_key_signs_statements() {
        let seed = [7; 32];
        let key = derive_audit_key(&seed);
        let statement = AuditStatement {
            audit: AuditStatementKind::Head,
            org_id: "o".to_owned(),
            seq: 3,
            chain_hash: "h".to_owned(),
            iat: 1,
        };
        let signed = sign_audit_statement(&statement, &key);
        let verify =
            |text: &str, key: &SigningKey| verify_audit_statement(text, &key.verifying_key()).ok();
        assert_eq!(verify(&signed, &key), Some(statement.clone()));
        let tokens_key = SigningKey::from_seed(seed);
        assert_eq!(verify(&signed, &tokens_key), None);
        let cut = AuditStatement {
            audit: AuditStatementKind::Cut,
            ..statement
        };
        let other = sign_audit_statement(&cut, &key);
        let (_, payload) = other.split_once('.').unwrap();
        let (head, _) = signed.rsplit_once('.').unwrap();
        assert_eq!(verify(&format!("{head}.{payload}"), &key), None);
        assert_eq!(verify("", &key), None);
    }
}
