//! Compact policies as the bundle carries them; `policy` evaluates them.

use serde::{Deserialize, Serialize};

use crate::{AgentId, RiskScore, ToolCategory};

/// One policy: an effect under conditions that must all hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its name, unique in the organisation.
    pub id: String,
    /// What it does to a call that it applies to.
    pub effect: Effect,
    /// Why, in words for the person or agent that is refused.
    pub reason: String,
    /// When it applies; with no condition, always.
    #[serde(default)]
    pub when: Vec<Condition>,
}

/// What a policy does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Lets the call pass though its risk would block it; a `forbid` still wins.
    Permit,
    /// Lets it pass and marks it.
    Flag,
    /// Stops it.
    Forbid,
}

/// One condition on a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// The caller is one of these.
    AgentIn(Vec<AgentId>),
    /// The tool's name is one of these; a trailing `*` stands for any ending.
    ToolIn(Vec<String>),
    /// The tool's category is one of these.
    CategoryIn(Vec<ToolCategory>),
    /// The tool's scope is covered by one of these.
    ScopeIn(Vec<String>),
    /// The risk is at least this.
    RiskAtLeast(RiskScore),
    /// One of these rule categories was found.
    FoundIn(Vec<String>),
    /// The delegation chain has at least this many members.
    DelegationDepthAtLeast(u8),
}
