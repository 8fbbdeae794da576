//! What is remembered of every judgement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Classification, PolicyAction, RiskLevel, RiskScore};

/// The most events that one batch may carry.
pub const AUDIT_BATCH_EVENTS_MAX: usize = 1_000;

/// One judgement as the audit trail keeps it. Every judgement leaves one, blocks and scans too.
/// It never holds the text that matched; parameters are stored only masked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AuditEvent {
    /// Unique; a second event with the same id is ignored.
    pub event_id: String,
    /// The request that led to it.
    pub request_id: String,
    /// The trace it belongs to (W3C Trace Context), where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The organisation.
    #[serde(default)]
    pub org_id: String,
    /// The agent; empty when it was not known.
    #[serde(default)]
    pub agent_id: String,
    /// What people call the agent.
    #[serde(default)]
    pub agent_name: String,
    /// The session, where one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The tool; empty for a scan.
    #[serde(default)]
    pub tool_name: String,
    /// What was asked: `proxy`, `verify`, `inspect`, `scan-input`, `scan-output`, `tools/call`.
    pub tool_action: String,
    /// What the call is known by: SHA-256 hex of the canonical JSON of its tool and parameters, which
    /// its micro-token is bound to as `ag:call_binding`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params_hash: Option<String>,
    /// The parameters with every value masked: the names and kinds stay, the values go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params_masked: Option<serde_json::Value>,
    /// SHA-256 hex of the prompt or text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_hash: Option<String>,
    /// The decodings that findings needed.
    #[serde(default)]
    pub encodings_detected: Vec<String>,
    /// 0 to 1.
    pub risk_score: RiskScore,
    /// The word for the score.
    pub assessed_risk: RiskLevel,
    /// What the call was taken for.
    pub classification: Classification,
    /// The categories of the rules that matched.
    #[serde(default)]
    pub labels: Vec<String>,
    /// The rules that matched.
    #[serde(default)]
    pub matched_rules: Vec<String>,
    /// What was decided.
    pub policy_action: PolicyAction,
    /// Which policy or threshold decided, and why.
    #[serde(default)]
    pub policy_reason: String,
    /// The scope that the tool asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_requested: Option<String>,
    /// The scope that was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_granted: Option<String>,
    /// Whether the call was stopped.
    pub blocked: bool,
    /// Why it was stopped, in a few words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial_reason: Option<String>,
    /// Marks on the session.
    #[serde(default)]
    pub session_flags: Vec<String>,
    /// What came back, where something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<ObservedResponse>,
    /// Stages that ran without the control plane.
    #[serde(default)]
    pub degraded_stages: Vec<String>,
    /// The agents that delegated, root first, the caller last.
    #[serde(default)]
    pub delegation_chain: Vec<String>,
    /// The delegation's trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegation_trace_id: Option<String>,
    /// The bundle that was in force.
    pub bundle_revision: u64,
    /// How long the judgement took, in microseconds, callouts included.
    pub latency_us: u64,
    /// When, in Unix microseconds.
    pub timestamp: u64,
}

/// What a tool answered, as far as the trail keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ObservedResponse {
    /// HTTP status.
    pub status: u16,
    /// Body length in bytes.
    pub bytes: u64,
    /// How many records it held, where that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// Personal data found in it, by kind.
    #[serde(default)]
    pub pii: PiiCount,
    /// How long it took to come, in microseconds.
    #[serde(default)]
    pub latency_us: u64,
}

/// How many items of each kind of personal data or secret were found.
pub type PiiCount = BTreeMap<String, u32>;
