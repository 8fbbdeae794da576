//! The audit trail's events in the order they came, a few at a time.

use serde_json::{Map, Value, json};

use crate::{
    control_plane::{ControlPlane, list_of},
    error::CliError,
    table::printable,
    time,
};

/// The most events that one look takes.
const EVENTS_MAX: u32 = 1_000;

const COLUMNS: &str = "seq, timestamp, agent_id, agent_name, tool_name, tool_action, \
     policy_action, policy_reason, blocked, assessed_risk, denial_reason, scope_granted, \
     matched_rules";

/// A window on the trail that moves with it.
#[derive(Debug, Default)]
pub(crate) struct Events {
    seen: u64,
    new: Vec<Event>,
}

/// One judgement.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Its columns by name.
    pub(crate) row: Map<String, Value>,
}

impl Events {
    /// The last `count` events.
    pub(crate) fn last(control_plane: &ControlPlane, count: u32) -> Result<Self, CliError> {
        let mut events = Self::default();
        let sql = format!(
            "SELECT {COLUMNS} FROM audit_logs ORDER BY seq DESC LIMIT {}",
            count.max(1)
        );
        events.ask(control_plane, &sql)?;
        events.new.reverse();
        if count == 0 {
            events.new.clear();
        }
        Ok(events)
    }

    /// Looks for what came since.
    pub(crate) fn more(&mut self, control_plane: &ControlPlane) -> Result<(), CliError> {
        let seen = self.seen;
        let sql = format!(
            "SELECT {COLUMNS} FROM audit_logs WHERE seq > {seen} ORDER BY seq LIMIT {EVENTS_MAX}"
        );
        self.ask(control_plane, &sql)
    }

    /// What was found and not taken yet, the oldest first.
    pub(crate) fn take(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.new)
    }

    fn ask(&mut self, control_plane: &ControlPlane, sql: &str) -> Result<(), CliError> {
        let answer = control_plane.post("/v1/audit/query", &json!({ "sql": sql }))?;
        let columns: Vec<&str> = list_of(&answer, "columns")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        for row in list_of(&answer, "rows") {
            let cells = row.as_array().into_iter().flatten().cloned();
            let row: Map<String, Value> = columns
                .iter()
                .map(|name| (*name).to_owned())
                .zip(cells)
                .collect();
            let event = Event { row };
            self.seen = self.seen.max(event.number("seq"));
            self.new.push(event);
        }
        Ok(())
    }
}

impl Event {
    /// A column as text; empty when it is null.
    pub(crate) fn text(&self, column: &str) -> &str {
        self.row
            .get(column)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn number(&self, column: &str) -> u64 {
        self.row
            .get(column)
            .and_then(Value::as_u64)
            .unwrap_or_default()
    }

    /// Whether the call was stopped.
    pub(crate) fn is_blocked(&self) -> bool {
        self.row
            .get("blocked")
            .and_then(Value::as_bool)
            .unwrap_or_default()
    }

    /// When, as a time of day.
    pub(crate) fn time(&self) -> String {
        time::time_of_day(self.number("timestamp") / 1_000_000)
    }

    /// Who called: the name, else the id.
    pub(crate) fn agent(&self) -> String {
        let name = self.text("agent_name");
        printable(if name.is_empty() {
            self.text("agent_id")
        } else {
            name
        })
    }

    /// What happened, in a word.
    pub(crate) fn word(&self) -> &'static str {
        let refused = self.text("denial_reason");
        match self.text("tool_action") {
            "kill" => return "KILL_SWITCH",
            "suspend" => return "suspended",
            "revive" => return "revived",
            _ => {}
        }
        match self.text("policy_action") {
            _ if self.is_blocked() && refused.starts_with("policy ") => "POLICY_DENY",
            _ if self.is_blocked() && refused.starts_with("scope ") => "SCOPE_DENY",
            _ if self.is_blocked() => "RULE_DENY",
            "Flag" => "flagged",
            _ if !self.text("scope_granted").is_empty() => "access_scoped",
            _ => "allowed",
        }
    }

    /// What it was about: the tool, or what was asked; why it was stopped, or what was granted.
    pub(crate) fn what(&self) -> String {
        if matches!(self.text("tool_action"), "kill" | "suspend" | "revive") {
            // `kill by key …: why`
            let reason = self.text("policy_reason");
            return printable(reason.split_once(": ").map_or(reason, |(_, why)| why));
        }
        let tool = self.text("tool_name");
        let tool = if tool.is_empty() {
            self.text("tool_action")
        } else {
            tool
        };
        let more = if self.is_blocked() {
            let reason = self.text("denial_reason");
            // The word before it says already that a policy did it.
            reason.strip_prefix("policy ").unwrap_or(reason).to_owned()
        } else if self.text("scope_granted").is_empty() {
            String::new()
        } else {
            format!("scope={}", self.text("scope_granted"))
        };
        printable(format!("{tool} {more}").trim_end())
    }

    /// All of it as a line.
    pub(crate) fn line(&self) -> String {
        let (time, agent, word) = (self.time(), self.agent(), self.word());
        format!("{time} {agent:16} {word:14} {}", self.what())
    }
}
