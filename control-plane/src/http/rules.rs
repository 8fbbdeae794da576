//! `/v1/rules`: the rules that are looked for, and those of the organisation's own.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use clampd_model::RuleRow;
use clampd_rule_compiler::{CompileError, compile_own};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{
    App,
    body::TomlBody,
    caller::{Auditor, Operator},
    error::ApiError,
    value,
};
use crate::store::{CompiledFile, RuleFileRecord};

/// Files are compiled one after the other, so that they take one processor at most.
static COMPILING: Semaphore = Semaphore::const_new(1);

/// Errors of one file that are told.
const ERRORS_MAX: usize = 20;

pub(super) async fn put(
    Operator(key): Operator,
    State(app): State<App>,
    Path(name): Path<String>,
    TomlBody(source): TomlBody,
) -> Result<(StatusCode, Json<RuleFileRecord>), ApiError> {
    value::file_name("name", &name)?;
    let file = compile(name, source).await?;
    let (record, is_new) = app.store.put_rules(key.org_id, file).await?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(record)))
}

async fn compile(name: String, source: String) -> Result<CompiledFile, ApiError> {
    let _turn = COMPILING.acquire().await;
    let compiled = spawn_blocking(move || -> Result<CompiledFile, Vec<CompileError>> {
        let (rules, cost) = compile_own(&format!("{name}.toml"), &source, &built_in)?;
        let rows = rules.iter().map(|rule| RuleRow::from(&rule.rule)).collect();
        Ok(CompiledFile {
            name,
            source,
            rows,
            cost,
        })
    });
    match compiled.await {
        Ok(compiled) => compiled.map_err(|errors| refused(&errors)),
        Err(_) => Err(ApiError::invalid_rules("the rules cannot be compiled")),
    }
}

/// Whose an id is, where it is built in.
fn built_in(id: &str) -> Option<String> {
    let mut rules = clampd_ruleset::RULES.iter();
    rules
        .any(|rule| rule.id == id)
        .then(|| "a built-in rule".to_owned())
}

fn refused(errors: &[CompileError]) -> ApiError {
    let mut lines: Vec<String> = errors
        .iter()
        .take(ERRORS_MAX)
        .map(ToString::to_string)
        .collect();
    if let Some(more @ 1..) = errors.len().checked_sub(ERRORS_MAX) {
        lines.push(format!("and {more} more"));
    }
    ApiError::invalid_rules(lines.join("\n"))
}

pub(super) async fn list(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Json<Value>, ApiError> {
    let files = app.store.rule_files(key.org_id.clone()).await?;
    let (settings, _) = app.store.settings(key.org_id).await?;
    let rule = |id: &str, name: &str, category: &str, severity: &str, file: Option<&str>| {
        json!({
            "id": id, "name": name, "category": category, "severity": severity, "file": file,
            "mode": settings.mode(id, category),
        })
    };
    let built_in = clampd_ruleset::RULES.iter();
    let built_in = built_in.map(|r| rule(&r.id, &r.name, &r.category, r.severity.as_str(), None));
    let own = files.iter().flat_map(|file| {
        file.rules.iter().map(|row| {
            let severity = row.severity.as_str();
            rule(
                &row.id,
                &row.name,
                &row.category,
                severity,
                Some(&file.name),
            )
        })
    });
    let rules: Vec<Value> = built_in.chain(own).collect();
    let files: Vec<Value> = files
        .iter()
        .map(|file| json!({ "name": file.name, "updated_at": file.updated_at }))
        .collect();
    Ok(Json(json!({ "files": files, "rules": rules })))
}

pub(super) async fn show(
    Auditor(key): Auditor,
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<RuleFileRecord>, ApiError> {
    Ok(Json(app.store.rule_file(key.org_id, name).await?))
}

pub(super) async fn delete(
    Operator(key): Operator,
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.store.delete_rules(key.org_id, name).await?;
    Ok(StatusCode::NO_CONTENT)
}
