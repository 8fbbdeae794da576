//! What policies are asked about.

use std::collections::BTreeSet;

use clampd_model::{Action, AgentId, AgentState, RiskScore, Tool, scope_covers};
use serde_json::Value;

/// One request: who wants to do what with which tool, and what is known beside.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// What is to be done.
    pub action: Action,
    /// Who wants to.
    pub principal: Principal<'a>,
    /// With what.
    pub resource: &'a Tool,
    /// What is known beside.
    pub context: Context<'a>,
}

/// An agent as policies see it.
#[derive(Debug, Clone)]
pub struct Principal<'a> {
    /// Its id.
    pub id: &'a AgentId,
    /// The groups that it is in.
    pub groups: &'a [String],
    /// What it holds; the resource's scope too, where a pattern of the agent's covers it.
    pub scopes: &'a [String],
    /// Whether it may act.
    pub state: AgentState,
    /// What it is for, where that is told.
    pub purpose: Option<&'a str>,
}

/// What is known of a request beside its agent and tool.
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The risk that was found.
    pub risk: RiskScore,
    /// The categories of the rules that matched.
    pub labels: &'a [String],
    /// The rules that matched.
    pub rules: &'a [String],
    /// When, in Unix seconds.
    pub now: u64,
    /// The host that the call is to be forwarded to, where it names one.
    pub target_host: Option<&'a str>,
    /// Who stands behind the agent.
    pub delegation: Delegation<'a>,
    /// How many calls the agent made in the last minute, where they are counted.
    pub calls_last_minute: Option<u32>,
    /// The marks on the session, where it is known.
    pub session_labels: Option<&'a [String]>,
    /// The parameters of the call.
    pub parameters: &'a Value,
}

/// The agents behind a request.
#[derive(Debug, Clone)]
pub struct Delegation<'a> {
    /// How sure that is: `none`, `declared`, `inferred` or `verified`.
    pub confidence: &'a str,
    /// The chain, root first, the caller last; empty without delegation.
    pub members: &'a [AgentId],
}

impl Context<'_> {
    /// The hour, 0 to 23, UTC.
    pub fn hour(&self) -> i64 {
        small(self.now / 3_600 % 24)
    }

    /// The day of the week, 1 for Monday to 7 for Sunday (ISO 8601), UTC. The first of January
    /// 1970 was a Thursday.
    pub fn weekday(&self) -> i64 {
        small((self.now / 86_400 + 3) % 7 + 1)
    }

    /// How many agents stand in the chain, the caller included; 1 without delegation.
    pub fn delegation_depth(&self) -> i64 {
        small(self.delegation.members.len().max(1) as u64)
    }
}

/// The scopes of an agent as policies see them: those of its record that its JWT leaves, and
/// `wanted` where a pattern among them covers it.
pub fn held_scopes(record: &[String], narrowed: Option<&[String]>, wanted: &str) -> Vec<String> {
    let covers = |list: &[String], scope: &str| list.iter().any(|held| scope_covers(held, scope));
    let held: Vec<String> = match narrowed {
        None => record.to_vec(),
        Some(narrowed) => {
            let left = record.iter().filter(|scope| covers(narrowed, scope));
            let named = narrowed.iter().filter(|scope| covers(record, scope));
            left.chain(named).cloned().collect()
        }
    };
    let mut sorted = BTreeSet::new();
    if covers(&held, wanted) {
        sorted.insert(wanted.to_owned());
    }
    sorted.extend(held);
    sorted.into_iter().collect()
}

fn small(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
