//! The audit trail: appended to, chained by hash, never changed.

use std::collections::BTreeMap;

use clampd_model::AuditEvent;
use clampd_token::{canonical_json, sha256_hex};
use rusqlite::{params_from_iter, types::Value as Sql};
use serde::Serialize;

use super::{Noun, Store, StoreError, Write, from_sql_integer, sql_integer};
use crate::clock;

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

/// How much one event moves its agent's risk: a moving average over about the last ten.
const RISK_WEIGHT: f64 = 0.2;

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Ingested {
    /// Events that are in the trail now and were not before.
    pub(crate) accepted: usize,
    /// Events that were in the trail already.
    pub(crate) duplicates: usize,
}

impl Store {
    /// Appends the events; returns after they have reached the disk.
    pub(crate) async fn append_audit_events(
        &self,
        org_id: String,
        events: Vec<AuditEvent>,
    ) -> Result<Ingested, StoreError> {
        self.write(move |write| {
            let mut risks: BTreeMap<String, Vec<f64>> = BTreeMap::new();
            for event in events.iter().filter(|event| !event.agent_id.is_empty()) {
                let scores = risks.entry(event.agent_id.clone()).or_default();
                scores.push(event.risk_score.value());
            }
            let ingested = append(write, &org_id, events)?;
            if ingested.duplicates == 0 {
                move_risks(write, &org_id, risks)?;
            }
            Ok(ingested)
        })
        .await
    }
}

/// Appends the events to the organisation's chain, leaving out those that are in it already.
pub(super) fn append(
    write: &mut Write<'_>,
    org_id: &str,
    events: Vec<AuditEvent>,
) -> Result<Ingested, StoreError> {
    let connection = write.connection;
    let (seq, mut head): (i64, String) = connection
        .prepare_cached("SELECT audit_seq, audit_head FROM organisations WHERE id = ?1")?
        .query_row([org_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let first = from_sql_integer(seq);
    let mut seq = first;
    let received_at = clock::unix_micros();
    let total = events.len();
    let placeholders = vec!["?"; AUDIT_COLUMNS.len()].join(", ");
    let columns = AUDIT_COLUMNS.join(", ");
    let mut insert = connection.prepare_cached(&format!(
        "INSERT INTO audit_events ({columns}) VALUES ({placeholders})
         ON CONFLICT (org_id, event_id) DO NOTHING"
    ))?;
    for event in events {
        let event = AuditEvent {
            org_id: org_id.to_owned(),
            ..event
        };
        let chain_hash = chain(&head, &event)?;
        let row = columns_of(seq + 1, &event, received_at, &chain_hash)?;
        if insert.execute(params_from_iter(row))? == 1 {
            seq += 1;
            head = chain_hash;
        }
    }
    connection
        .prepare_cached("UPDATE organisations SET audit_seq = ?2, audit_head = ?3 WHERE id = ?1")?
        .execute((org_id, sql_integer(seq), &head))?;
    let accepted = usize::try_from(seq - first).unwrap_or(total);
    Ok(Ingested {
        accepted,
        duplicates: total.saturating_sub(accepted),
    })
}

/// The hash that follows `head` when `event` does.
fn chain(head: &str, event: &AuditEvent) -> Result<String, StoreError> {
    let event =
        serde_json::to_value(event).map_err(|_| StoreError::Unreadable(Noun::AuditEvent))?;
    Ok(sha256_hex(
        format!("{head}{}", canonical_json(&event)).as_bytes(),
    ))
}

/// The row of an event, in the order of [`AUDIT_COLUMNS`].
fn columns_of(
    seq: u64,
    event: &AuditEvent,
    received_at: u64,
    chain_hash: &str,
) -> Result<[Sql; 35], StoreError> {
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
        text(chain_hash),
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

/// Moves the risk of each agent that is known by the scores of its new events, in order.
fn move_risks(
    write: &mut Write<'_>,
    org_id: &str,
    risks: BTreeMap<String, Vec<f64>>,
) -> Result<(), StoreError> {
    let mut update = write.connection.prepare_cached(
        "UPDATE agents SET risk_score = risk_score * ?3 + ?4 WHERE org_id = ?1 AND id = ?2",
    )?;
    for (agent_id, scores) in risks {
        let (kept, added) = scores.iter().fold((1.0, 0.0), |(kept, added), score| {
            (
                kept * (1.0 - RISK_WEIGHT),
                added * (1.0 - RISK_WEIGHT) + score * RISK_WEIGHT,
            )
        });
        update.execute((org_id, agent_id, kept, added))?;
    }
    Ok(())
}
