//! Kills that nobody ordered: an agent whose calls are blocked again and again.

use std::collections::BTreeSet;

use clampd_model::{AgentState, AuditEvent};
use serde::{Deserialize, Serialize};

use super::{
    Noun, StateOrder, Store, StoreError, Write,
    orders::change_state,
    sql::{Connection, OptionalExtension},
    sql_integer,
};
use crate::clock;

/// When an agent is killed without anyone's order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AutomaticKill {
    /// After this many calls that were blocked.
    pub(crate) blocked_calls: u32,
    /// Within this many seconds.
    pub(crate) within_seconds: u32,
    /// Whether the agents that it delegated to follow it.
    #[serde(default)]
    pub(crate) cascade: bool,
}

impl Store {
    /// The organisation's rule; none when nobody is killed without an order.
    pub(crate) async fn automatic_kill(
        &self,
        org_id: String,
    ) -> Result<Option<AutomaticKill>, StoreError> {
        self.read(move |connection| rule(connection, &org_id)).await
    }

    /// Replaces the organisation's rule.
    pub(crate) async fn set_automatic_kill(
        &self,
        org_id: String,
        rule: Option<AutomaticKill>,
    ) -> Result<(), StoreError> {
        let rule = rule.map(|rule| serde_json::to_string(&rule)).transpose();
        let rule = rule.map_err(|_| StoreError::Unreadable(Noun::Organisation))?;
        self.write(move |write| {
            write
                .connection
                .prepare_cached("UPDATE cp_organisations SET automatic_kill = ?2 WHERE id = ?1")?
                .execute((&org_id, rule))?;
            Ok(())
        })
        .await
    }
}

/// The agents with blocked calls among the events, each with the request of its last one.
pub(super) fn offenders(events: &[AuditEvent]) -> BTreeSet<(String, String)> {
    let blocked = events
        .iter()
        .rev()
        .filter(|event| event.blocked && !event.agent_id.is_empty());
    let mut offenders: BTreeSet<(String, String)> = BTreeSet::new();
    for event in blocked {
        if !offenders
            .iter()
            .any(|(agent_id, _)| *agent_id == event.agent_id)
        {
            offenders.insert((event.agent_id.clone(), event.request_id.clone()));
        }
    }
    offenders
}

/// Kills those of the offenders that the rule names; their events are in the trail already.
/// Returns whom it killed.
pub(super) fn enforce(
    write: &mut Write<'_>,
    org_id: &str,
    offenders: BTreeSet<(String, String)>,
) -> Result<Vec<String>, StoreError> {
    if offenders.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rule) = rule(write.connection, org_id)? else {
        return Ok(Vec::new());
    };
    let mut killed = Vec::new();
    for (agent_id, request_id) in offenders {
        if !is_due(write.connection, org_id, &agent_id, &rule)? {
            continue;
        }
        let AutomaticKill {
            blocked_calls,
            within_seconds,
            cascade,
        } = rule;
        let order = StateOrder {
            id: agent_id,
            state: AgentState::Killed,
            reason: Some(format!(
                "{blocked_calls} calls blocked within {within_seconds} s"
            )),
            cascade,
            by: "the organisation's rule".to_owned(),
            request_id,
        };
        killed.extend(change_state(write, org_id, &order)?.agents);
    }
    Ok(killed)
}

/// Whether the agent may act yet, and was blocked often enough since it came into that state.
fn is_due(
    connection: &Connection,
    org_id: &str,
    agent_id: &str,
    rule: &AutomaticKill,
) -> Result<bool, StoreError> {
    let state_since: Option<i64> = connection
        .prepare_cached(
            "SELECT state_since FROM cp_agents WHERE org_id = ?1 AND id = ?2 AND state = 'active'",
        )?
        .query_row((org_id, agent_id), |row| row.get(0))
        .optional()?;
    let Some(state_since) = state_since else {
        return Ok(false);
    };
    let window = u64::from(rule.within_seconds).saturating_mul(1_000_000);
    let begin = sql_integer(clock::unix_micros().saturating_sub(window)).max(state_since);
    let blocked: u32 = connection
        .prepare_cached(
            "SELECT count(*) FROM (
                 SELECT 1 FROM cp_audit_events
                 WHERE org_id = ?1 AND agent_id = ?2 AND blocked AND received_at > ?3 LIMIT ?4)
             AS blocked",
        )?
        .query_row((org_id, agent_id, begin, rule.blocked_calls), |row| {
            row.get(0)
        })?;
    Ok(blocked >= rule.blocked_calls)
}

fn rule(connection: &Connection, org_id: &str) -> Result<Option<AutomaticKill>, StoreError> {
    let text: Option<String> = connection
        .prepare_cached("SELECT automatic_kill FROM cp_organisations WHERE id = ?1")?
        .query_row([org_id], |row| row.get(0))?;
    let rule = text.map(|text| serde_json::from_str(&text)).transpose();
    rule.map_err(|_| StoreError::Unreadable(Noun::Organisation))
}
