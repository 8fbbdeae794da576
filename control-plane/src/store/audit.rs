//! The audit trail: appended to, chained by hash, never changed.

mod reading;
mod retention;
mod row;
mod statements;
mod verification;

use std::collections::{BTreeMap, HashSet};

use clampd_model::AuditEvent;
use clampd_token::{AuditStatementKind, audit_chain_hash};
use serde::Serialize;

pub(super) use self::statements::{AuditKeys, signed};
pub(crate) use self::{
    reading::{AuditRow, TrailSpan},
    row::AUDIT_COLUMNS,
    verification::TrailCheck,
};
use self::{
    row::{columns_of, row_of},
    statements::TrailEnds,
};
use super::{
    Store, StoreError, Write,
    automatic_kill::{enforce, offenders},
    descriptors::Told as ToldDescriptors,
    queue::Urgency,
    sessions::Sighted,
    sql::{Cell, Connection},
    sql_integer,
};
use crate::clock;

/// How much one event moves its agent's risk: a moving average over about the last ten.
const RISK_WEIGHT: f64 = 0.2;

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
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
                let sessions = Sighted::in_events(&events);
                let descriptors = ToldDescriptors::in_events(&events);
                let mut ingested = append(write, &org_id, events)?;
                if ingested.duplicates == 0 {
                    move_risks(write, &org_id, risks)?;
                }
                if ingested.accepted > 0 {
                    sessions.keep(write, &org_id, clock::unix_micros())?;
                    descriptors.keep(write, &org_id)?;
                    ingested.killed = enforce(write, &org_id, offenders)?;
                }
                Ok(ingested)
            })
            .await
    }
}

/// How many rows one statement inserts, the most first: PostgreSQL answers each statement by itself.
const INSERT_ROWS: [usize; 3] = [64, 8, 1];

/// How many ids one statement looks up.
const LOOK_UP_IDS: usize = 100;

/// Appends the events to the organisation's chain, leaving out those that are in it already.
pub(super) fn append(
    write: &mut Write<'_>,
    org_id: &str,
    events: Vec<AuditEvent>,
) -> Result<Ingested, StoreError> {
    let connection = write.connection;
    let key = write.audit_keys.of(connection, org_id)?;
    let ends = TrailEnds::read(connection, org_id, &key)?;
    let mut end = ends.end;
    let first = end.seq;
    let received_at = clock::unix_micros();
    let total = events.len();
    let mut known = known_ids(connection, org_id, &events)?;
    let mut rows = Vec::with_capacity(total * AUDIT_COLUMNS.len());
    for event in events {
        if !known.insert(event.event_id.clone()) {
            continue;
        }
        let event = AuditEvent {
            org_id: org_id.to_owned(),
            ..event
        };
        end.seq += 1;
        let row = row_of(end.seq, &event, received_at)?;
        end.chain_hash = audit_chain_hash(&end.chain_hash, columns_of(&row));
        rows.extend(row);
        rows.push(Cell::Text(end.chain_hash.clone()));
    }
    let accepted = usize::try_from(end.seq - first).unwrap_or(total);
    if accepted > 0 {
        insert(connection, rows)?;
        let statement = if ends.statement.is_some() {
            signed(AuditStatementKind::Head, org_id, &end, &key)
        } else {
            tracing::error!(org_id, "audit trail was altered; its end is not signed");
            String::new()
        };
        connection
            .prepare_cached(
                "UPDATE cp_organisations SET audit_seq = ?2, audit_head = ?3, audit_statement = ?4
                 WHERE id = ?1",
            )?
            .execute((org_id, sql_integer(end.seq), &end.chain_hash, statement))?;
        write.trail_grew(org_id, end.seq);
    }
    Ok(Ingested {
        accepted,
        duplicates: total.saturating_sub(accepted),
        killed: Vec::new(),
    })
}

/// Which of the events are in the trail already. Nobody else appends before this transaction ends.
fn known_ids(
    connection: &Connection,
    org_id: &str,
    events: &[AuditEvent],
) -> Result<HashSet<String>, StoreError> {
    let placeholders: Vec<String> = (2..LOOK_UP_IDS + 2).map(|n| format!("?{n}")).collect();
    let mut look_up = connection.prepare_cached(&format!(
        "SELECT event_id FROM cp_audit_events WHERE org_id = ?1 AND event_id IN ({})",
        placeholders.join(", ")
    ))?;
    let mut known = HashSet::new();
    for some in events.chunks(LOOK_UP_IDS) {
        let ids = some.iter().map(|event| Cell::Text(event.event_id.clone()));
        let mut params = vec![Cell::Text(org_id.to_owned())];
        params.extend(ids);
        params.resize(LOOK_UP_IDS + 1, Cell::Null);
        for id in look_up.query_map(params, |row| row.get(0))? {
            known.insert(id?);
        }
    }
    Ok(known)
}

/// Inserts rows whose cells stand one after the other.
fn insert(connection: &Connection, mut cells: Vec<Cell>) -> Result<(), StoreError> {
    let width = AUDIT_COLUMNS.len();
    for rows in INSERT_ROWS {
        let wanted = rows * width;
        if cells.len() < wanted {
            continue;
        }
        let mut insert = connection.prepare_cached(&insert_sql(rows))?;
        while cells.len() >= wanted {
            let rest = cells.split_off(wanted);
            insert.execute(std::mem::replace(&mut cells, rest))?;
        }
    }
    Ok(())
}

fn insert_sql(rows: usize) -> String {
    let width = AUDIT_COLUMNS.len();
    let row = |row: usize| {
        let cells: Vec<String> = (1..=width)
            .map(|column| format!("?{}", row * width + column))
            .collect();
        format!("({})", cells.join(", "))
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    format!(
        "INSERT INTO cp_audit_events ({}) VALUES {}",
        AUDIT_COLUMNS.join(", "),
        rows.join(", ")
    )
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
