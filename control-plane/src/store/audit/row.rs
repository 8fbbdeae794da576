//! An event as a row, and the hash that chains it to the row before.

use clampd_model::AuditEvent;
use clampd_token::{canonical_json, sha256_hex};
use rusqlite::types::{Value as Sql, ValueRef};
use serde::Serialize;
use serde_json::{Value, json};

use crate::store::{Noun, StoreError, sql_integer};

/// The columns of `audit_logs`, in order.
pub(crate) const AUDIT_COLUMNS: [&str; 35] = [
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
    "chain_hash",
];

/// All columns but the last, the chain's hash.
const CHAINED_COLUMNS: usize = AUDIT_COLUMNS.len() - 1;

/// The hash that follows `head`: SHA-256 of it and of the row's columns up to `received_at` as a
/// canonical JSON list, just as a query answers them. So an export can be checked elsewhere.
pub(super) fn chain<'r>(head: &str, row: impl Iterator<Item = ValueRef<'r>>) -> String {
    let row = row.zip(AUDIT_COLUMNS).map(|(cell, column)| match cell {
        ValueRef::Integer(number) if column == "blocked" => Value::Bool(number != 0),
        ValueRef::Integer(number) => json!(number),
        ValueRef::Real(number) => json!(number),
        ValueRef::Text(text) => Value::String(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Null | ValueRef::Blob(_) => Value::Null,
    });
    sha256_hex(format!("{head}{}", canonical_json(&row.collect())).as_bytes())
}

/// The row of an event, in the order of [`AUDIT_COLUMNS`], without the chain's hash.
pub(super) fn row_of(
    seq: u64,
    event: &AuditEvent,
    received_at: u64,
) -> Result<[Sql; CHAINED_COLUMNS], StoreError> {
    let e = event;
    Ok([
        integer(seq),
        text(&e.event_id),
        text(&e.request_id),
        optional(e.trace_id.as_ref()),
        text(&e.org_id),
        text(&e.agent_id),
        text(&e.agent_name),
        optional(e.session_id.as_ref()),
        text(&e.tool_name),
        text(&e.tool_action),
        optional(e.params_hash.as_ref()),
        e.params_masked
            .as_ref()
            .map_or(Sql::Null, |params| Sql::Text(params.to_string())),
        optional(e.prompt_hash.as_ref()),
        json(&e.encodings_detected)?,
        Sql::Real(e.risk_score.value()),
        text(e.assessed_risk.as_str()),
        text(e.classification.as_str()),
        json(&e.labels)?,
        json(&e.matched_rules)?,
        text(e.policy_action.as_str()),
        text(&e.policy_reason),
        optional(e.scope_requested.as_ref()),
        optional(e.scope_granted.as_ref()),
        Sql::Integer(i64::from(e.blocked)),
        optional(e.denial_reason.as_ref()),
        json(&e.session_flags)?,
        e.response.as_ref().map_or(Ok(Sql::Null), json)?,
        json(&e.degraded_stages)?,
        json(&e.delegation_chain)?,
        optional(e.delegation_trace_id.as_ref()),
        integer(e.bundle_revision),
        integer(e.latency_us),
        integer(e.timestamp),
        integer(received_at),
    ])
}

fn integer(number: u64) -> Sql {
    Sql::Integer(sql_integer(number))
}

fn text(text: &str) -> Sql {
    Sql::Text(text.to_owned())
}

fn optional(text: Option<&String>) -> Sql {
    text.map_or(Sql::Null, |text| Sql::Text(text.clone()))
}

fn json(value: &impl Serialize) -> Result<Sql, StoreError> {
    let text = serde_json::to_string(value);
    Ok(Sql::Text(
        text.map_err(|_| StoreError::Unreadable(Noun::AuditEvent))?,
    ))
}
