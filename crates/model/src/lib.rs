//! The nouns of Clampd, as types that can only hold what is valid.
//!
//! Nothing here decides anything: detection lives in `detect`, evaluation in `policy`, the life of
//! an exchange in `guard`.

mod agent;
mod audit;
mod bundle;
mod claims;
mod finding;
mod policy;
mod risk;
mod secret;
mod tool;
mod verdict;

pub use agent::{Agent, AgentId, AgentState, Credential, InvalidAgentId};
pub use audit::{AuditEvent, ObservedResponse, PiiCount, AUDIT_BATCH_EVENTS_MAX};
pub use bundle::{
    ApiKey, Bundle, Jwk, Jwks, LocalMint, Section, Sections, Settings, StateChange, BUNDLE_FORMAT,
};
pub use claims::{AgentClaims, MicroTokenClaims, TrustLevel, MICRO_TOKEN_TTL_SECONDS};
pub use finding::{Decoding, Decodings, Finding, Surface, SurfaceSet};
pub use policy::{Condition, Effect, Policy};
pub use risk::{Classification, RiskLevel, RiskScore, Severity};
pub use secret::Secret;
pub use tool::{scope_covers, Tool, ToolCategory};
pub use verdict::{PolicyAction, Verdict};
