//! Signs and verifies what Clampd's parts say to each other: agent JWTs, micro-tokens, bundles, the
//! audit trail.
//!
//! Nothing here reads a clock, a key store or a random number: time, keys and nonces are
//! arguments.

mod agent_jwt;
mod audit_trail;
mod bundle;
mod canonical;
mod ed25519;
mod jws;
mod micro_token;

pub use agent_jwt::{
    AgentJwtError, CLOCK_SKEW_SECONDS, GATEWAY_AUDIENCE, agent_hmac_key, sign_agent_jwt_hs256,
    verify_agent_jwt,
};
pub use audit_trail::{
    AUDIT_CHAIN_COLUMNS, AUDIT_KEY_ID, AuditBroken, AuditStatement, AuditStatementKind,
    AuditStatementUnsigned, AuditWalk, audit_chain_hash, audit_line, derive_audit_key,
    sign_audit_statement, verify_audit_statement,
};
pub use bundle::{BundleSignatureError, sign_bundle, verify_bundle};
pub use canonical::{
    call_binding, canonical_json, hex, sha256, sha256_hex, sorted_fields, tool_binding,
};
pub use ed25519::{InvalidKey, SigningKey, VerifyingKey};
pub use jws::TOKEN_BYTES_MAX;
pub use micro_token::{
    ISSUER, MicroTokenError, MicroTokenKey, SCOPE_KEY_ID, derive_local_mint_key,
    micro_token_key_id, micro_token_subject, sign_micro_token_ed25519, sign_micro_token_hs256,
    verify_micro_token,
};
