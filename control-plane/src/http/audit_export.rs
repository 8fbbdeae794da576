//! `/v1/audit/export`: the trail as a file.

mod parquet;

use std::sync::Arc;

use ::parquet::errors::ParquetError;
use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::header,
    response::{IntoResponse, Response},
};
use clampd_token::{AUDIT_CHAIN_COLUMNS, audit_line};
use serde::Deserialize;
use serde_json::{Value, json};

use self::parquet::Table;
use super::{
    App,
    caller::Auditor,
    error::ApiError,
    streaming::{Gone, Pieces, streamed},
};
use crate::store::{AUDIT_COLUMNS, AuditRow, StoreError, TrailSpan};

/// How many events are read and sent at a time.
const PAGE_EVENTS: u32 = 50;

/// What the first line of a JSONL export says that it is.
const EXPORT: &str = "clampd-audit-v1";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    #[default]
    Jsonl,
    Csv,
    Parquet,
}

impl Format {
    /// The media type, and what the file is called.
    fn named(self) -> (&'static str, &'static str) {
        match self {
            Self::Jsonl => ("application/x-ndjson", "audit.jsonl"),
            Self::Csv => ("text/csv; charset=utf-8", "audit.csv"),
            Self::Parquet => ("application/vnd.apache.parquet", "audit.parquet"),
        }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Export {
    #[serde(default)]
    format: Format,
    #[serde(default)]
    after: u64,
}

/// The trail as a file, with what proves it.
#[utoipa::path(
    get,
    path = "/v1/audit/export",
    operation_id = "audit_export",
    tag = "audit",
    security(("key" = ["auditor"])),
    params(Export),
    responses((status = 200, description = "The events.", content((String = "application/x-ndjson"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet")))),
)]
pub(super) async fn export(
    Auditor(key): Auditor,
    State(app): State<App>,
    query: Result<Query<Export>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(Export { format, after }) = query.map_err(|_| {
        ApiError::invalid_value(
            "format",
            "must be jsonl, csv or parquet, and `after` a whole number",
        )
    })?;
    let span = app.store.trail_span(key.org_id.clone(), after).await?;
    let span = span.ok_or_else(|| {
        ApiError::invalid_value("after", "must be the number of an event that is kept")
    })?;
    let permit = Arc::clone(&app.streams).try_acquire_owned();
    let permit = permit.map_err(|_| ApiError::too_many_streams())?;
    let (pieces, body) = streamed();
    tokio::spawn(async move {
        let _permit = permit;
        if let Err(Ended::Failed(error)) = send(&app, &key.org_id, format, &span, &pieces).await {
            tracing::error!(%error, "export was given up");
            pieces.give_up().await;
        }
    });
    let (kind, name) = format.named();
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, body).into_response())
}

/// Why an export ended early.
enum Ended {
    Gone,
    Failed(anyhow::Error),
}

impl From<Gone> for Ended {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<ParquetError> for Ended {
    fn from(error: ParquetError) -> Self {
        Self::Failed(error.into())
    }
}

async fn send(
    app: &App,
    org_id: &str,
    format: Format,
    span: &TrailSpan,
    pieces: &Pieces,
) -> Result<(), Ended> {
    let mut file = match format {
        Format::Jsonl => File::Jsonl,
        Format::Csv => File::Csv,
        Format::Parquet => File::Parquet(Box::new(Table::new(org_id, span)?)),
    };
    pieces.send(file.beginning(org_id, span)).await?;
    let mut after = span.begin.seq;
    while after < span.end.seq {
        let page = app
            .store
            .trail_page(org_id.to_owned(), after, span.end.seq, PAGE_EVENTS)
            .await?;
        let last = page.last().and_then(|row| row.get("seq")?.as_u64());
        // The retention removed them meanwhile, or somebody else did.
        after = last.ok_or(StoreError::Unreadable(crate::store::Noun::AuditEvent))?;
        pieces.send(file.page(&page)?).await?;
        if *app.stopping().borrow() {
            return Err(StoreError::NotCommitted.into());
        }
    }
    pieces.send(file.end(span)?).await?;
    Ok(())
}

/// A file that is being made.
enum File {
    Jsonl,
    Csv,
    Parquet(Box<Table>),
}

impl File {
    fn beginning(&self, org_id: &str, span: &TrailSpan) -> String {
        match self {
            Self::Jsonl => {
                let head = json!({
                    "export": EXPORT, "org_id": org_id, "after": span.begin.seq,
                    "chain_hash": span.begin.chain_hash, "cut": span.cut,
                });
                format!("{head}\n")
            }
            Self::Csv => format!("{}\r\n", AUDIT_COLUMNS.join(",")),
            Self::Parquet(_) => String::new(),
        }
    }

    fn page(&mut self, page: &[AuditRow]) -> Result<Vec<u8>, ParquetError> {
        let lines = |line: fn(&AuditRow) -> String| page.iter().map(line).collect::<String>();
        match self {
            Self::Jsonl => Ok(lines(json_line).into_bytes()),
            Self::Csv => Ok(lines(csv_line).into_bytes()),
            Self::Parquet(table) => table.push(page),
        }
    }

    fn end(self, span: &TrailSpan) -> Result<Vec<u8>, ParquetError> {
        match self {
            Self::Jsonl => {
                let end = json!({ "statement": span.statement });
                Ok(format!("{end}\n").into_bytes())
            }
            Self::Csv => Ok(Vec::new()),
            Self::Parquet(table) => table.finish(),
        }
    }
}

fn json_line(row: &AuditRow) -> String {
    let column = |name: &str| row.get(name).cloned().unwrap_or_default();
    let columns = AUDIT_CHAIN_COLUMNS.map(column);
    let chain_hash = column("chain_hash");
    let line = audit_line(&columns, chain_hash.as_str().unwrap_or_default());
    format!("{line}\n")
}

fn csv_line(row: &AuditRow) -> String {
    let cells = AUDIT_COLUMNS.map(|column| row.get(column).map_or_else(String::new, cell));
    format!("{}\r\n", cells.join(","))
}

/// A cell (RFC 4180). A text that a spreadsheet would take for a formula begins with an apostrophe:
/// tools' names and reasons come from agents.
fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text,
        other => return other.to_string(),
    };
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.clone()
    };
    if text.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::cell;

    #[test]
    fn a_cell_is_never_a_formula_and_never_ends_its_row() {
        for (value, wanted) in [
            (json!(null), ""),
            (json!(true), "true"),
            (json!(-3), "-3"),
            (json!("plain"), "plain"),
            (json!("a,\"b\"\n"), "\"a,\"\"b\"\"\n\""),
            (json!("=cmd()"), "'=cmd()"),
            (json!("@x,y"), "\"'@x,y\""),
        ] {
            assert_eq!(cell(&value), wanted);
        }
    }
}
