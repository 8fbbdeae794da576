//! `clampd audit`: what was judged, by SQL or as it comes.

pub(crate) mod events;
mod file;

use std::{path::PathBuf, thread, time::Duration};

use clap::Subcommand;
use serde_json::{Value, json};

use self::events::Events;
use crate::{
    Outcome,
    control_plane::{ControlPlane, list_of, text_of},
    error::CliError,
    global::Global,
    output::Output,
    table::Table,
};

/// Between two looks at the trail while it is followed.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(1);

/// What `audit` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// Ask the trail by one read-only SELECT over `audit_logs`
    Query {
        /// Such as `SELECT tool_name, blocked, denial_reason FROM audit_logs LIMIT 8`
        sql: String,
    },
    /// Show the last events, and with -f the next ones as they come
    Tail {
        /// How many of the last events
        #[arg(short = 'n', long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1000))]
        lines: u32,
        /// Wait for more until interrupted
        #[arg(short, long)]
        follow: bool,
    },
    /// Walk along the chain of events; the exit code is 1 when one is missing or altered
    Verify {
        /// An export (`GET /v1/audit/export`) to check in place of the control plane's trail
        #[arg(long, value_name = "JSONL", requires = "jwks")]
        file: Option<PathBuf>,
        /// The keys that it is checked by (`GET /v1/jwks`), kept since before
        #[arg(long, value_name = "JSON", requires = "file")]
        jwks: Option<PathBuf>,
        /// A statement about the trail's end that was kept; may be given more than once
        #[arg(long, value_name = "FILE", requires = "file")]
        statement: Vec<PathBuf>,
    },
}

/// Runs a verb of `audit`.
pub(crate) fn run(
    verb: &AuditVerb,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    if let AuditVerb::Verify {
        file: Some(file),
        jwks: Some(jwks),
        statement,
    } = verb
    {
        return file::verify(file, jwks, statement, global, out);
    }
    let control_plane = ControlPlane::of(global)?;
    match verb {
        AuditVerb::Query { sql } => query(&control_plane, sql, global, out)?,
        AuditVerb::Verify { .. } => return verify(&control_plane, global, out),
        AuditVerb::Tail { lines, follow } => tail(&control_plane, *lines, *follow, global, out)?,
    }
    Ok(Outcome::AsWanted)
}

fn query(
    control_plane: &ControlPlane,
    sql: &str,
    global: &Global,
    out: &mut Output,
) -> Result<(), CliError> {
    let answer = control_plane.post("/v1/audit/query", &json!({ "sql": sql }))?;
    if global.json {
        return Ok(out.json_line(&answer)?);
    }
    let columns: Vec<String> = list_of(&answer, "columns").iter().map(cell).collect();
    let mut table = Table::new(&columns);
    for row in list_of(&answer, "rows") {
        table.row(row.as_array().into_iter().flatten().map(cell));
    }
    table.write(out)?;
    if answer
        .get("truncated")
        .and_then(Value::as_bool)
        .unwrap_or_default()
    {
        out.line("There are more rows than these.")?;
    }
    Ok(())
}

fn verify(
    control_plane: &ControlPlane,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let check = control_plane.get("/v1/audit/verify")?;
    let number = |field: &str| check.get(field).and_then(Value::as_u64);
    let is_valid = check
        .get("valid")
        .and_then(Value::as_bool)
        .unwrap_or_default();
    let signed = check.get("signed").and_then(Value::as_bool);
    let is_signed = signed.unwrap_or_default();
    if global.json {
        out.json_line(&check)?;
    } else if is_valid {
        let events = number("events").unwrap_or_default();
        out.line(format!("✓ {events} events, each as it was written"))?;
        out.line(format!("  head {}", text_of(&check, "head")))?;
    } else {
        let broken = number("broken_at").map_or_else(String::new, |at| format!(" {at}"));
        if is_signed || !broken.is_empty() {
            out.line(format!("✗ event{broken} is missing or altered"))?;
        } else {
            out.line("✗ the trail's end is not signed as it should be")?;
        }
    }
    Ok(if is_valid {
        Outcome::AsWanted
    } else {
        Outcome::NotAsWanted
    })
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn tail(
    control_plane: &ControlPlane,
    lines: u32,
    follow: bool,
    global: &Global,
    out: &mut Output,
) -> Result<(), CliError> {
    let mut events = Events::last(control_plane, lines)?;
    loop {
        for event in events.take() {
            if global.json {
                out.json_line(&event.row)?;
            } else {
                out.line(event.line())?;
            }
        }
        if !follow {
            return Ok(());
        }
        out.flush()?;
        thread::sleep(FOLLOW_INTERVAL);
        events.more(control_plane)?;
    }
}
