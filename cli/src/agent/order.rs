//! Kill, suspend, revive: orders that every layer must obey.

use clap::Args;
use serde_json::{Value, json};

use super::{OrderArguments, named};
use crate::{
    Outcome,
    control_plane::{ControlPlane, list_of, text_of},
    error::CliError,
    global::Global,
    output::Output,
};

/// A kill.
#[derive(Debug, Args)]
pub(crate) struct KillArguments {
    #[command(flatten)]
    order: OrderArguments,
}

/// What an agent can be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Kill,
    Suspend,
    Revive,
}

impl Order {
    fn path(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Suspend => "suspend",
            Self::Revive => "revive",
        }
    }

    fn initiated(self) -> &'static str {
        match self {
            Self::Kill => "Kill cascade initiated for",
            Self::Suspend => "Suspension initiated for",
            Self::Revive => "Revival initiated for",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Kill => "Agent terminated across all layers",
            Self::Suspend => "Agent suspended across all layers",
            Self::Revive => "Agent revived across all layers",
        }
    }
}

/// Kills an agent.
pub(crate) fn kill(
    arguments: &KillArguments,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    give(
        Order::Kill,
        &arguments.order,
        &ControlPlane::of(global)?,
        global,
        out,
    )
}

/// Gives an order and tells what each layer did; not as wanted when one did not obey in time.
pub(super) fn give(
    order: Order,
    arguments: &OrderArguments,
    control_plane: &ControlPlane,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let mut body = json!({ "cascade": arguments.cascade });
    if let Some(reason) = &arguments.reason {
        super::insert(&mut body, "reason", reason.as_str().into());
    }
    let path = order.path();
    let act = |agent: &str| control_plane.post(&format!("{agent}/{path}"), &body);
    let (id, obeyed) = named(control_plane, &arguments.id, act)?;
    let late: Vec<&str> = list_of(&obeyed, "layers")
        .iter()
        .filter(|layer| !is_ok(layer))
        .map(|layer| text_of(layer, "layer"))
        .collect();
    if global.json {
        out.json_line(&obeyed)?;
    } else {
        tell(order, &id, &obeyed, &late, out)?;
    }
    if late.is_empty() {
        Ok(Outcome::AsWanted)
    } else {
        Ok(Outcome::NotAsWanted)
    }
}

fn tell(
    order: Order,
    id: &str,
    obeyed: &Value,
    late: &[&str],
    out: &mut Output,
) -> Result<(), CliError> {
    out.line(format!("{} agent {id}", order.initiated()))?;
    for layer in list_of(obeyed, "layers") {
        let mark = if is_ok(layer) { '✓' } else { '✗' };
        let ms = layer.get("ms").and_then(Value::as_f64).unwrap_or_default();
        out.line(format!(
            "  {mark} {:16} {ms:8.1} ms",
            text_of(layer, "layer")
        ))?;
    }
    if late.is_empty() {
        out.line(format!("✓ {}", order.done()))?;
    } else {
        out.line(format!("✗ Not confirmed in time: {}", late.join(", ")))?;
    }
    out.line(format!("✓ Agent state → {}", text_of(obeyed, "state")))?;
    let agents = list_of(obeyed, "agents").iter().filter_map(Value::as_str);
    for other in agents.filter(|other| *other != id) {
        out.line(format!("✓ Delegate {other} → {}", text_of(obeyed, "state")))?;
    }
    Ok(())
}

fn is_ok(layer: &Value) -> bool {
    layer.get("ok").and_then(Value::as_bool).unwrap_or_default()
}
