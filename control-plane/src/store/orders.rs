//! Orders to kill, suspend or revive: state, deny list, sessions and trail in one transaction.

use std::time::Instant;

use clampd_model::{AgentState, AuditEvent};

use super::{
    SectionName, Store, StoreError, Write, agents::AgentRecord, audit, sessions, sql::Connection,
    sql_integer,
};
use crate::{clock, random};

/// An order to change an agent's state.
#[derive(Debug, Clone)]
pub(crate) struct StateOrder {
    pub(crate) id: String,
    pub(crate) state: AgentState,
    pub(crate) reason: Option<String>,
    /// Whether the agents that it delegated to follow it.
    pub(crate) cascade: bool,
    /// Who ordered it, as the trail says it.
    pub(crate) by: String,
    pub(crate) request_id: String,
}

/// What a [`StateOrder`] did, and how long each part took within the transaction.
#[derive(Debug, Clone)]
pub(crate) struct Killed {
    pub(crate) agents: Vec<String>,
    pub(crate) revision: u64,
    pub(crate) registry_ms: f64,
    pub(crate) deny_list_ms: f64,
    /// Where it was a kill.
    pub(crate) sessions: Option<SessionsEnded>,
    pub(crate) audit_ms: f64,
}

/// What a kill did to the agents' sessions.
#[derive(Debug, Clone)]
pub(crate) struct SessionsEnded {
    /// How many were open.
    pub(crate) count: u64,
    pub(crate) ms: f64,
}

impl Store {
    /// Changes the agent's state, with its descendants' when ordered so, and notes it in the trail.
    pub(crate) async fn change_state(
        &self,
        org_id: String,
        order: StateOrder,
    ) -> Result<Killed, StoreError> {
        self.write(move |write| change_state(write, &org_id, &order))
            .await
    }
}

pub(super) fn change_state(
    write: &mut Write<'_>,
    org_id: &str,
    order: &StateOrder,
) -> Result<Killed, StoreError> {
    let begun = Instant::now();
    let named = AgentRecord::by_id(write.connection, org_id, &order.id)?;
    if order.state == AgentState::Suspended && named.state == AgentState::Killed {
        return Err(StoreError::AgentKilled);
    }
    let family = if order.cascade {
        descendants(write.connection, org_id, &order.id)?
    } else {
        vec![order.id.clone()]
    };
    let now = clock::unix_micros();
    // Whoever is killed stays so: to be suspended is less.
    let mut update = write.connection.prepare_cached(
        "UPDATE cp_agents SET state = ?3, state_reason = ?4, state_since = ?5, updated_at = ?6,
             risk_score = CASE WHEN ?3 = 'active' THEN 0 ELSE risk_score END
         WHERE org_id = ?1 AND id = ?2 AND NOT (state = 'killed' AND ?3 = 'suspended')",
    )?;
    let mut agents = Vec::with_capacity(family.len());
    for id in family {
        let (since, updated_at) = (sql_integer(now), sql_integer(now / 1_000_000));
        let state = order.state.as_str();
        if update.execute((org_id, &id, state, &order.reason, since, updated_at))? == 1 {
            agents.push(id);
        }
    }
    let registry_ms = milliseconds(begun);

    let begun = Instant::now();
    let revision = write.touch(org_id, &[SectionName::States])?;
    let deny_list_ms = milliseconds(begun);

    let begun = Instant::now();
    let mut count = 0;
    if order.state == AgentState::Killed {
        for id in &agents {
            count += sessions::end_all(write.connection, org_id, id, now)?;
        }
    }
    let ended = SessionsEnded {
        count,
        ms: milliseconds(begun),
    };

    let begun = Instant::now();
    let mut events = Vec::with_capacity(agents.len());
    for id in &agents {
        let agent = AgentRecord::by_id(write.connection, org_id, id)?;
        events.push(state_event(order, &agent, revision)?);
    }
    audit::append(write, org_id, events)?;
    Ok(Killed {
        agents,
        revision,
        registry_ms,
        deny_list_ms,
        sessions: (order.state == AgentState::Killed).then_some(ended),
        audit_ms: milliseconds(begun),
    })
}

/// The agent and all that name it, or one below it, as the one that delegated to them.
fn descendants(connection: &Connection, org_id: &str, id: &str) -> Result<Vec<String>, StoreError> {
    let ids = connection
        .prepare_cached(
            "WITH RECURSIVE family (id) AS (
                 SELECT id FROM cp_agents WHERE org_id = ?1 AND id = ?2
                 UNION
                 SELECT cp_agents.id FROM cp_agents JOIN family ON cp_agents.delegated_by = family.id
                 WHERE cp_agents.org_id = ?1)
             SELECT id FROM family",
        )?
        .query_map((org_id, id), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(ids)
}

fn state_event(
    order: &StateOrder,
    agent: &AgentRecord,
    revision: u64,
) -> Result<AuditEvent, StoreError> {
    let action = match order.state {
        AgentState::Active => "revive",
        AgentState::Suspended => "suspend",
        AgentState::Killed => "kill",
    };
    let reason = order.reason.as_deref().unwrap_or("no reason given");
    Ok(AuditEvent {
        event_id: random::uuid()?,
        request_id: order.request_id.clone(),
        org_id: agent.org_id.clone(),
        agent_id: agent.id.clone(),
        agent_name: agent.name.clone(),
        tool_action: action.to_owned(),
        risk_score: agent.risk_score,
        assessed_risk: agent.risk,
        policy_reason: format!("{action} by {}: {reason}", order.by),
        bundle_revision: revision,
        timestamp: clock::unix_micros(),
        ..AuditEvent::default()
    })
}

fn milliseconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1_000_000.0).round() / 1_000.0
}
