//! Settings as tables.

use clampd_model::{AgentId, RiskScore, Settings};

use crate::{error::CliError, output::Output, table::Table};

/// What stands where nothing is named.
const ANY: &str = "any";

pub(super) fn show(settings: &Settings, out: &mut Output) -> Result<(), CliError> {
    let (block_at, flag_at) = (settings.block_at.value(), settings.flag_at.value());
    out.line(format!(
        "Blocked from {block_at} on, flagged from {flag_at} on"
    ))?;
    if !settings.thresholds.is_empty() {
        let mut table = Table::new(&["Agent", "Tool", "Category", "Block at", "Flag at"]);
        for entry in &settings.thresholds {
            table.row([
                name(entry.agent.as_ref().map(AgentId::as_str)),
                name(entry.tool.as_deref()),
                name(entry.category.as_deref()),
                risk(entry.block_at),
                risk(entry.flag_at),
            ]);
        }
        table.write(out)?;
    }
    if !settings.modes.is_empty() {
        let mut table = Table::new(&["Rule", "Category", "Mode"]);
        for entry in &settings.modes {
            table.row([
                name(entry.rule.as_deref()),
                name(entry.category.as_deref()),
                entry.mode.as_str().to_owned(),
            ]);
        }
        table.write(out)?;
    }
    if !settings.exemptions.is_empty() {
        let mut table = Table::new(&[
            "Exempt from",
            "Category",
            "Agent",
            "Tool",
            "Scope",
            "Reason",
        ]);
        for entry in &settings.exemptions {
            table.row([
                name(entry.rule.as_deref()),
                name(entry.category.as_deref()),
                name(entry.agent.as_ref().map(AgentId::as_str)),
                name(entry.tool.as_deref()),
                name(entry.scope.as_deref()),
                entry.reason.clone(),
            ]);
        }
        table.write(out)?;
    }
    if !settings.responses.is_empty() {
        let mut table = Table::new(&["In answers", "Agent", "Tool", "Action"]);
        for entry in &settings.responses {
            table.row([
                entry.kind.as_str().to_owned(),
                name(entry.agent.as_ref().map(AgentId::as_str)),
                name(entry.tool.as_deref()),
                entry.action.as_str().to_owned(),
            ]);
        }
        table.write(out)?;
    }
    Ok(())
}

fn name(name: Option<&str>) -> String {
    name.unwrap_or(ANY).to_owned()
}

fn risk(risk: Option<RiskScore>) -> String {
    risk.map_or_else(|| "-".to_owned(), |risk| risk.value().to_string())
}
