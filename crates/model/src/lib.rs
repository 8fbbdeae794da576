//! The nouns of Clampd, as types that can only hold what is valid.
//!
//! Nothing here decides anything: detection lives in `detect`, evaluation in `policy`, the life of
//! an exchange in `guard`.

mod agent;
mod approval;
mod audit;
mod boundaries;
mod bundle;
mod claims;
mod fields;
mod finding;
mod policy;
mod risk;
mod rule_row;
mod secret;
mod settings;
mod tool;
mod verdict;
mod words;

pub use agent::{Agent, AgentId, AgentState, Credential, InvalidAgentId};
pub use approval::{Approval, ToldDescriptor};
pub use audit::{AUDIT_BATCH_EVENTS_MAX, AuditEvent, ObservedResponse, PiiCount};
pub use boundaries::{Boundaries, Hours};
pub use bundle::{
    ApiKey, BUNDLE_FORMAT, Bundle, Jwk, Jwks, LocalMint, Section, Sections, StateChange,
};
pub use claims::{AgentClaims, MICRO_TOKEN_TTL_SECONDS, MicroTokenClaims, TrustLevel};
pub use finding::{Decoding, Decodings, Finding, Surface, SurfaceSet};
pub use policy::{
    Action, Actions, Effect, EntityKind, Expr, Field, InvalidExpr, ParameterKind, Policy,
    PolicyMode,
};
pub use risk::{Classification, RiskLevel, RiskScore, Severity};
pub use rule_row::{RuleRow, RuleRows};
pub use secret::Secret;
pub use settings::{
    Exemption, Mode, ResponseAction, ResponseHandling, ResponseKind, RuleMode,
    SETTINGS_ENTRIES_MAX, Settings, Subject, Thresholds,
};
pub use tool::{Tool, ToolCategory, scope_covers};
pub use verdict::{PolicyAction, Verdict};
