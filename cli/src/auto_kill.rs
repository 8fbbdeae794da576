//! `clampd auto-kill`: when an agent is killed without anyone's order.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    Outcome, control_plane::ControlPlane, error::CliError, global::Global, output::Output,
};

const PATH: &str = "/v1/automatic-kill";

/// What `auto-kill` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum AutoKillVerb {
    /// Show the rule
    Show,
    /// Kill any agent with so many blocked calls within so much time
    Set(SetArguments),
    /// Kill nobody without an order
    Off,
}

/// The rule.
#[derive(Debug, Args)]
pub(crate) struct SetArguments {
    /// How many blocked calls are too many
    #[arg(long, value_name = "N")]
    blocked_calls: u32,
    /// Within how many seconds
    #[arg(long, value_name = "SECONDS")]
    within_seconds: u32,
    /// Also the agents that it delegated to
    #[arg(long)]
    cascade: bool,
}

/// Runs a verb of `auto-kill`.
pub(crate) fn run(
    verb: &AutoKillVerb,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let control_plane = ControlPlane::of(global)?;
    let rule = match verb {
        AutoKillVerb::Show => match control_plane.get(PATH) {
            Ok(rule) => rule,
            Err(CliError::Refused { code, .. }) if code == "automatic_kill_not_found" => {
                Value::Null
            }
            Err(error) => return Err(error),
        },
        AutoKillVerb::Set(rule) => {
            let rule = json!({
                "blocked_calls": rule.blocked_calls,
                "within_seconds": rule.within_seconds,
                "cascade": rule.cascade,
            });
            control_plane.put(PATH, &rule)?
        }
        AutoKillVerb::Off => {
            control_plane.delete(PATH)?;
            Value::Null
        }
    };
    if global.json {
        out.json_line(&rule)?;
    } else {
        out.line(words(&rule))?;
    }
    Ok(Outcome::AsWanted)
}

fn words(rule: &Value) -> String {
    let number = |field: &str| rule.get(field).and_then(Value::as_u64);
    let (Some(calls), Some(seconds)) = (number("blocked_calls"), number("within_seconds")) else {
        return "No agent is killed without an order".to_owned();
    };
    let cascade = rule
        .get("cascade")
        .and_then(Value::as_bool)
        .unwrap_or_default();
    let whom = if cascade {
        "the agent and those it delegated to"
    } else {
        "the agent"
    };
    format!("{calls} blocked calls within {seconds} s kill {whom}")
}
