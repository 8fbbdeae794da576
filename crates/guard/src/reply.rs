//! The answers that the gateway gives by itself.

use clampd_model::{PiiCount, RiskScore};
use serde::Serialize;
use serde_json::Value;

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// An answer in JSON.
    pub fn json<T: Serialize>(status: u16, body: &T) -> Self {
        Self {
            status,
            // Structs of strings, numbers and JSON values always serialise.
            ..Self::json_bytes(serde_json::to_vec(body).unwrap_or_default())
        }
    }

    /// An answer that is JSON already.
    pub(crate) fn json_bytes(body: Vec<u8>) -> Self {
        Self {
            status: 200,
            headers: vec![
                ("content-type", "application/json".to_owned()),
                ("cache-control", "no-store".to_owned()),
            ],
            body,
        }
    }
}

/// The answer of `/v1/proxy`, `/v1/verify` and `/v1/inspect`; every field is always there.
#[derive(Debug, Clone, Serialize)]
pub struct ProxyResponse {
    /// The request's id.
    pub request_id: String,
    /// Whether the call may go on.
    pub allowed: bool,
    /// `pass`, `flag`, `block` or `exempt`.
    pub action: &'static str,
    /// 0 to 1.
    pub risk_score: RiskScore,
    /// The scope that was granted, on an allow.
    pub scope_granted: Option<String>,
    /// What the tool answered, where the call was forwarded.
    pub tool_response: Option<Value>,
    /// Why the call was stopped, in a few words.
    pub denial_reason: Option<String>,
    /// How the decision came about, in a sentence.
    pub reasoning: String,
    /// The rules that matched.
    pub matched_rules: Vec<String>,
    /// Milliseconds, callouts included.
    pub latency_ms: u64,
    /// Stages that ran without the control plane.
    pub degraded_stages: Vec<String>,
    /// Marks on the session.
    pub session_flags: Vec<String>,
    /// The micro-token, on an allow.
    pub scope_token: Option<String>,
    /// What to do about a block; absent on an allow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denial: Option<Denial>,
}

/// A block, for a program to act on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Denial {
    /// The rule or policy that decided.
    pub rule_id: String,
    /// What must hold and did not.
    pub violated_predicate: String,
    /// What would help.
    pub corrective: Corrective,
    /// The categories that were found, or the code of another reason.
    pub reason_codes: Vec<String>,
    /// The same for the same call: a retry of it can be told from a new one.
    pub idempotency_key: String,
}

/// What would help a blocked caller.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Corrective {
    /// `rephrase`, `request_scope`, `request_approval`, `fix_tool`.
    pub kind: &'static str,
    /// For the person or model that reads it.
    pub human_explanation: String,
    /// How likely it is to help, 0 to 1.
    pub confidence: f64,
}

/// The answer of `/v1/scan-input` and `/v1/scan-output`.
#[derive(Debug, Clone, Serialize)]
pub struct ScanResponse {
    /// The request's id.
    pub request_id: String,
    /// Whether the text may be used.
    pub allowed: bool,
    /// `allowed` or `blocked`.
    pub result: &'static str,
    /// 0 to 1.
    pub risk_score: RiskScore,
    /// Why it was stopped, in a few words.
    pub denial_reason: Option<String>,
    /// The rules that matched.
    pub matched_rules: Vec<String>,
    /// Milliseconds.
    pub latency_ms: u64,
    /// Personal data by kind; in `/v1/scan-output` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pii_found: Option<Vec<PiiFound>>,
    /// Secrets by kind; in `/v1/scan-output` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets_found: Option<Vec<SecretFound>>,
    /// The denial as an error, where the status is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `content_blocked`, where the status is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<&'static str>,
}

/// Personal data of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PiiFound {
    /// Such as `us_ssn`.
    pub pii_type: String,
    /// How many.
    pub count: u32,
}

/// Secrets of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretFound {
    /// Such as `aws_access_key`.
    pub secret_type: String,
    /// How many.
    pub count: u32,
}

pub(crate) fn pii_found(counts: &PiiCount) -> Vec<PiiFound> {
    counts
        .iter()
        .map(|(kind, n)| PiiFound {
            pii_type: kind.clone(),
            count: *n,
        })
        .collect()
}

pub(crate) fn secrets_found(counts: &PiiCount) -> Vec<SecretFound> {
    counts
        .iter()
        .map(|(kind, n)| SecretFound {
            secret_type: kind.clone(),
            count: *n,
        })
        .collect()
}
