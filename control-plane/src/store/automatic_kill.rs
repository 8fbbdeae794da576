//! Kills that nobody ordered: an agent whose calls are blocked again and again.

use std::collections::BTreeMap;

use clampd_model::{AgentState, AuditEvent, RiskScore};
use serde::{Deserialize, Serialize};

use super::{
    Noun, StateOrder, Store, StoreError, Write,
    orders::change_state,
    sql::{Connection, OptionalExtension},
    sql_integer,
};
use crate::clock;

/// When an agent is killed without anyone's order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AutomaticKill {
    /// After this many calls that were blocked.
    pub(crate) blocked_calls: u32,
    /// Within this many seconds.
    pub(crate) within_seconds: u32,
    /// Also as soon as its risk, the moving average of its events' scores, is at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) risk_at: Option<RiskScore>,
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

/// The agents with blocked or risky calls among the events, each with the request of its last one.
pub(super) fn offenders(events: &[AuditEvent]) -> BTreeMap<String, String> {
    let offends = |event: &&AuditEvent| {
        let offends = event.blocked || event.risk_score > RiskScore::default();
        offends && !event.agent_id.is_empty()
    };
    let of_each = |event: &AuditEvent| (event.agent_id.clone(), event.request_id.clone());
    events.iter().filter(offends).map(of_each).collect()
}

/// Kills those of the offenders that the rule names; their events are in the trail already.
/// Returns whom it killed.
pub(super) fn enforce(
    write: &mut Write<'_>,
    org_id: &str,
    offenders: BTreeMap<String, String>,
) -> Result<Vec<String>, StoreError> {
    if offenders.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rule) = rule(write.connection, org_id)? else {
        return Ok(Vec::new());
    };
    let mut killed = Vec::new();
    for (agent_id, request_id) in offenders {
        let Some(reason) = due(write.connection, org_id, &agent_id, &rule)? else {
            continue;
        };
        let order = StateOrder {
            id: agent_id,
            state: AgentState::Killed,
            reason: Some(reason),
            cascade: rule.cascade,
            by: "the organisation's rule".to_owned(),
            request_id,
        };
        killed.extend(change_state(write, org_id, &order)?.agents);
    }
    Ok(killed)
}

/// Why the agent is to be killed, if it may act yet: its risk, or how often it was blocked since it
/// came into that state.
fn due(
    connection: &Connection,
    org_id: &str,
    agent_id: &str,
    rule: &AutomaticKill,
) -> Result<Option<String>, StoreError> {
    let active: Option<(i64, f64)> = connection
        .prepare_cached(
            "SELECT state_since, risk_score FROM cp_agents
             WHERE org_id = ?1 AND id = ?2 AND state = 'active'",
        )?
        .query_row((org_id, agent_id), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((state_since, risk)) = active else {
        return Ok(None);
    };
    let risk = RiskScore::new(risk);
    if let Some(risk_at) = rule.risk_at.filter(|risk_at| risk >= *risk_at) {
        let (risk, risk_at) = (risk.value(), risk_at.value());
        return Ok(Some(format!("risk {risk} is at least {risk_at}")));
    }
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
    let (calls, seconds) = (rule.blocked_calls, rule.within_seconds);
    Ok((blocked >= calls).then(|| format!("{calls} calls blocked within {seconds} s")))
}

fn rule(connection: &Connection, org_id: &str) -> Result<Option<AutomaticKill>, StoreError> {
    let text: Option<String> = connection
        .prepare_cached("SELECT automatic_kill FROM cp_organisations WHERE id = ?1")?
        .query_row([org_id], |row| row.get(0))?;
    let rule = text.map(|text| serde_json::from_str(&text)).transpose();
    rule.map_err(|_| StoreError::Unreadable(Noun::Organisation))
}
