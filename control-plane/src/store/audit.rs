//! The audit trail: appended to, chained by hash, never changed.

mod row;
mod verification;

use std::collections::BTreeMap;

use clampd_model::AuditEvent;
use rusqlite::{
    params_from_iter,
    types::{Value as Sql, ValueRef},
};
use serde::Serialize;

use self::row::{chain, row_of};
pub(crate) use self::{row::AUDIT_COLUMNS, verification::TrailCheck};
use super::{
    Store, StoreError, Write,
    automatic_kill::{enforce, offenders},
    from_sql_integer,
    queue::Urgency,
    sql_integer,
};
use crate::clock;

/// How much one event moves its agent's risk: a moving average over about the last ten.
const RISK_WEIGHT: f64 = 0.2;

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Ingested {
    /// Events that are in the trail now and were not before.
    pub(crate) accepted: usize,
    /// Events that were in the trail already.
    pub(crate) duplicates: usize,
    /// The agents that were killed for what they did.
    #[serde(skip)]
    pub(crate) killed: Vec<String>,
}

impl Store {
    /// Appends the events; returns after they have reached the disk.
    pub(crate) async fn append_audit_events(
        &self,
        org_id: String,
        events: Vec<AuditEvent>,
    ) -> Result<Ingested, StoreError> {
        self.writer
            .submit(Urgency::Bulky, move |write| {
                let mut risks: BTreeMap<String, Vec<f64>> = BTreeMap::new();
                for event in events.iter().filter(|event| !event.agent_id.is_empty()) {
                    let scores = risks.entry(event.agent_id.clone()).or_default();
                    scores.push(event.risk_score.value());
                }
                let offenders = offenders(&events);
                let mut ingested = append(write, &org_id, events)?;
                if ingested.duplicates == 0 {
                    move_risks(write, &org_id, risks)?;
                }
                if ingested.accepted > 0 {
                    ingested.killed = enforce(write, &org_id, offenders)?;
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
        .prepare_cached("SELECT audit_seq, audit_head FROM cp_organisations WHERE id = ?1")?
        .query_row([org_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let first = from_sql_integer(seq);
    let mut seq = first;
    let received_at = clock::unix_micros();
    let total = events.len();
    let placeholders = vec!["?"; AUDIT_COLUMNS.len()].join(", ");
    let columns = AUDIT_COLUMNS.join(", ");
    let mut insert = connection.prepare_cached(&format!(
        "INSERT INTO cp_audit_events ({columns}) VALUES ({placeholders})
         ON CONFLICT (org_id, event_id) DO NOTHING"
    ))?;
    for event in events {
        let event = AuditEvent {
            org_id: org_id.to_owned(),
            ..event
        };
        let row = row_of(seq + 1, &event, received_at)?;
        let chain_hash = chain(&head, row.iter().map(ValueRef::from));
        let row = row.into_iter().chain([Sql::Text(chain_hash.clone())]);
        if insert.execute(params_from_iter(row))? == 1 {
            seq += 1;
            head = chain_hash;
        }
    }
    connection
        .prepare_cached(
            "UPDATE cp_organisations SET audit_seq = ?2, audit_head = ?3 WHERE id = ?1",
        )?
        .execute((org_id, sql_integer(seq), &head))?;
    let accepted = usize::try_from(seq - first).unwrap_or(total);
    Ok(Ingested {
        accepted,
        duplicates: total.saturating_sub(accepted),
        killed: Vec::new(),
    })
}

/// Moves the risk of each agent that is known by the scores of its new events, in order.
fn move_risks(
    write: &mut Write<'_>,
    org_id: &str,
    risks: BTreeMap<String, Vec<f64>>,
) -> Result<(), StoreError> {
    let mut update = write.connection.prepare_cached(
        "UPDATE cp_agents SET risk_score = risk_score * ?3 + ?4 WHERE org_id = ?1 AND id = ?2",
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
