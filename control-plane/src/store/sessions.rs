//! Sessions: what events tell of them, and how a kill ends them.
//!
//! Proxies count and lock sessions; here is kept when each began, so that one that had begun when its
//! agent was killed is not gone on with after a revival. A session whose first event comes after the
//! kill but is older is ended too.

use std::collections::BTreeMap;

use clampd_model::AuditEvent;

use super::{
    Store, StoreError, Write,
    sql::{Connection, OptionalExtension},
    sql_integer,
};

/// How long after its last event a session is forgotten; proxies forget theirs after as long.
const IDLE_MICROS: u64 = 3_600_000_000;

/// The longest id of a session that a proxy lets through.
const ID_BYTES_MAX: usize = 128;

/// When the sessions that a batch of events tells of were first seen, by agent and id.
#[derive(Debug)]
pub(super) struct Sighted(BTreeMap<(String, String), u64>);

impl Sighted {
    /// What the events tell, by their own time.
    pub(super) fn in_events(events: &[AuditEvent]) -> Self {
        let mut first_at = BTreeMap::new();
        for event in events {
            let id = event.session_id.as_deref().unwrap_or_default();
            if (1..=ID_BYTES_MAX).contains(&id.len()) && !event.agent_id.is_empty() {
                first_at
                    .entry((event.agent_id.clone(), id.to_owned()))
                    .and_modify(|first: &mut u64| *first = event.timestamp.min(*first))
                    .or_insert(event.timestamp);
            }
        }
        Self(first_at)
    }

    /// Keeps it. A proxy whose clock is ahead cannot make a session younger than it is.
    pub(super) fn keep(self, write: &Write<'_>, org_id: &str, now: u64) -> Result<(), StoreError> {
        let mut upsert = write.connection.prepare_cached(
            "INSERT INTO cp_sessions (org_id, agent_id, id, first_at, last_at)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (org_id, agent_id, id) DO UPDATE SET last_at = excluded.last_at,
                 first_at = CASE WHEN excluded.first_at < cp_sessions.first_at
                     THEN excluded.first_at ELSE cp_sessions.first_at END",
        )?;
        for ((agent_id, id), first_at) in self.0 {
            let first_at = sql_integer(first_at.min(now));
            upsert.execute((org_id, agent_id, id, first_at, sql_integer(now)))?;
        }
        Ok(())
    }
}

/// Ends every session of the agent that has begun; returns how many of them are known and were open.
pub(super) fn end_all(
    connection: &Connection,
    org_id: &str,
    agent_id: &str,
    now: u64,
) -> Result<u64, StoreError> {
    let awake_since = sql_integer(now.saturating_sub(IDLE_MICROS));
    let open: i64 = connection
        .prepare_cached(
            "SELECT count(*) FROM cp_sessions
             JOIN cp_agents ON cp_agents.org_id = cp_sessions.org_id
                 AND cp_agents.id = cp_sessions.agent_id
             WHERE cp_sessions.org_id = ?1 AND cp_sessions.agent_id = ?2
                 AND cp_sessions.first_at > cp_agents.sessions_ended_at
                 AND cp_sessions.last_at > ?3",
        )?
        .query_row((org_id, agent_id, awake_since), |row| row.get(0))?;
    connection
        .prepare_cached(
            "UPDATE cp_agents SET sessions_ended_at = ?3 WHERE org_id = ?1 AND id = ?2",
        )?
        .execute((org_id, agent_id, sql_integer(now)))?;
    Ok(super::from_sql_integer(open))
}

/// Whether a kill ended that session.
pub(super) fn is_ended(
    connection: &Connection,
    org_id: &str,
    agent_id: &str,
    session_id: &str,
) -> Result<bool, StoreError> {
    let ended: Option<i64> = connection
        .prepare_cached(
            "SELECT 1 FROM cp_sessions
             JOIN cp_agents ON cp_agents.org_id = cp_sessions.org_id
                 AND cp_agents.id = cp_sessions.agent_id
             WHERE cp_sessions.org_id = ?1 AND cp_sessions.agent_id = ?2 AND cp_sessions.id = ?3
                 AND cp_sessions.first_at <= cp_agents.sessions_ended_at",
        )?
        .query_row((org_id, agent_id, session_id), |row| row.get(0))
        .optional()?;
    Ok(ended.is_some())
}

impl Store {
    /// Forgets sessions of which nothing was heard for an hour before `now`, in microseconds.
    pub(crate) async fn purge_sessions(&self, now: u64) -> Result<usize, StoreError> {
        const SQL: &str = "DELETE FROM cp_sessions WHERE (org_id, agent_id, id) IN (SELECT org_id,
            agent_id, id FROM cp_sessions WHERE last_at <= ?1 ORDER BY last_at LIMIT ?2)";
        self.purge(SQL, sql_integer(now.saturating_sub(IDLE_MICROS)))
            .await
    }
}
