//! An event as a row, and what of it the chain hashes.

use clampd_model::AuditEvent;
use clampd_token::AUDIT_CHAIN_COLUMNS;
use serde::Serialize;
use serde_json::{Value, json};

use crate::store::{Noun, StoreError, sql::Cell, sql_integer};

/// The columns of `audit_logs`, in order.
pub(crate) const AUDIT_COLUMNS: [&str; CHAINED_COLUMNS + 1] = {
    let mut columns = ["chain_hash"; CHAINED_COLUMNS + 1];
    let (chained, _) = columns.split_at_mut(CHAINED_COLUMNS);
    chained.copy_from_slice(&AUDIT_CHAIN_COLUMNS);
    columns
};

/// All columns but the last, the chain's hash.
const CHAINED_COLUMNS: usize = AUDIT_CHAIN_COLUMNS.len();

/// A column as a query answers it, an export holds it and the chain hashes it.
pub(super) fn json_of(column: &str, cell: &Cell) -> Value {
    match cell {
        Cell::Bool(yes) => Value::Bool(*yes),
        // SQLite has no booleans of its own.
        Cell::Integer(number) if column == "blocked" => Value::Bool(*number != 0),
        Cell::Integer(number) => json!(number),
        Cell::Real(number) => json!(number),
        Cell::Text(text) => Value::String(text.clone()),
        Cell::Null | Cell::Blob(_) => Value::Null,
    }
}

/// What the chain hashes of a row that begins with the chained columns.
pub(super) fn columns_of(cells: &[Cell]) -> Vec<Value> {
    let cells = AUDIT_CHAIN_COLUMNS.iter().zip(cells);
    cells.map(|(column, cell)| json_of(column, cell)).collect()
}

/// The row of an event, in the order of [`AUDIT_COLUMNS`], without the chain's hash.
pub(super) fn row_of(
    seq: u64,
    event: &AuditEvent,
    received_at: u64,
) -> Result<[Cell; CHAINED_COLUMNS], StoreError> {
    let e = event;
    Ok([
        integer(seq),
        text(&e.event_id),
        text(&e.request_id),
        optional(e.trace_id.as_ref()),
        text(&e.org_id),
        text(&e.agent_id),
        text(&e.agent_name),
        optional(e.session_id.as_ref()),
        text(&e.tool_name),
        text(&e.tool_action),
        optional(e.params_hash.as_ref()),
        e.params_masked
            .as_ref()
            .map_or(Cell::Null, |params| text(&params.to_string())),
        optional(e.prompt_hash.as_ref()),
        json(&e.encodings_detected)?,
        Cell::Real(e.risk_score.value()),
        text(e.assessed_risk.as_str()),
        text(e.classification.as_str()),
        json(&e.labels)?,
        json(&e.matched_rules)?,
        text(e.policy_action.as_str()),
        text(&e.policy_reason),
        optional(e.scope_requested.as_ref()),
        optional(e.scope_granted.as_ref()),
        Cell::Bool(e.blocked),
        optional(e.denial_reason.as_ref()),
        json(&e.session_flags)?,
        e.response.as_ref().map_or(Ok(Cell::Null), json)?,
        json(&e.degraded_stages)?,
        json(&e.delegation_chain)?,
        optional(e.delegation_trace_id.as_ref()),
        integer(e.bundle_revision),
        integer(e.latency_us),
        integer(e.timestamp),
        integer(received_at),
    ])
}

fn integer(number: u64) -> Cell {
    Cell::Integer(sql_integer(number))
}

/// A text; NUL, which PostgreSQL cannot keep, becomes the replacement character. Else whoever puts
/// one into a tool's name would keep a whole batch out of the trail.
fn text(text: &str) -> Cell {
    Cell::Text(text.replace('\0', "\u{fffd}"))
}

fn optional(value: Option<&String>) -> Cell {
    value.map_or(Cell::Null, |value| text(value))
}

fn json(value: &impl Serialize) -> Result<Cell, StoreError> {
    let json = serde_json::to_string(value);
    let json = json.map_err(|_| StoreError::Unreadable(Noun::AuditEvent))?;
    Ok(text(&json))
}
