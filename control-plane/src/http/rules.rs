//! `/v1/rules`: the rules that are looked for, and those of the organisation's own.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use clampd_model::{Mode, RuleRow};
use clampd_rule_compiler::{CompileError, compile_own};
use serde::{Deserialize, Serialize};
use tokio::{sync::Semaphore, task::spawn_blocking};

use super::{
    App,
    body::TomlBody,
    caller::{Auditor, Operator},
    error::{ApiError, Problem},
    page, value,
};
use crate::store::{CompiledFile, RuleFileRecord};

/// Files are compiled one after the other, so that they take one processor at most.
static COMPILING: Semaphore = Semaphore::const_new(1);

/// Errors of one file that are told.
const ERRORS_MAX: usize = 20;

/// Puts a file of own rules in force.
#[utoipa::path(
    put,
    path = "/v1/rules/{name}",
    operation_id = "rules_put",
    tag = "rules",
    security(("key" = ["operator"])),
    params(("name" = String, Path, description = "Its name")),
    request_body(content = String, content_type = "application/toml", description = "A file of rules"),
    responses(
        (status = 200, description = "It was replaced.", body = RuleFileRecord),
        (status = 201, description = "It is new.", body = RuleFileRecord),
        (status = 409, description = "The settings name a rule that would go.", body = Problem),
    ),
)]
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

/// A rule as it is told.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ToldRule {
    id: String,
    name: String,
    category: String,
    /// `low`, `medium`, `high` or `critical`.
    severity: &'static str,
    /// The file of own rules that it stands in; null for a built-in one.
    file: Option<String>,
    mode: Mode,
}

/// A file of own rules, by its name.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ToldFile {
    name: String,
    updated_at: u64,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Rules {
    files: Vec<ToldFile>,
    rules: Vec<ToldRule>,
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct RulesQuery {
    /// Only those of this category.
    category: Option<String>,
}

/// The rules, with how each counts.
#[utoipa::path(
    get,
    path = "/v1/rules",
    operation_id = "rules_list",
    tag = "rules",
    security(("key" = ["auditor"])),
    params(RulesQuery),
    responses(
        (status = 200, description = "Every rule, built in and own.", body = Rules),
    ),
)]
pub(super) async fn list(
    Auditor(key): Auditor,
    State(app): State<App>,
    query: Result<Query<RulesQuery>, QueryRejection>,
) -> Result<Json<Rules>, ApiError> {
    let RulesQuery { category } = page::known(query)?;
    let files = app.store.rule_files(key.org_id.clone()).await?;
    let (settings, _) = app.store.settings(key.org_id).await?;
    let built_in = clampd_ruleset::RULES.iter().map(|rule| ToldRule {
        id: rule.id.to_string(),
        name: rule.name.to_string(),
        category: rule.category.to_string(),
        severity: rule.severity.as_str(),
        file: None,
        mode: settings.mode(&rule.id, &rule.category),
    });
    let own = files.iter().flat_map(|file| {
        file.rules.iter().map(|row| ToldRule {
            id: row.id.clone(),
            name: row.name.clone(),
            category: row.category.clone(),
            severity: row.severity.as_str(),
            file: Some(file.name.clone()),
            mode: settings.mode(&row.id, &row.category),
        })
    });
    let rules = built_in.chain(own);
    let rules = rules.filter(|rule| {
        category
            .as_ref()
            .is_none_or(|wanted| rule.category == *wanted)
    });
    let rules = rules.collect();
    let files = files.iter().map(|file| ToldFile {
        name: file.name.clone(),
        updated_at: file.updated_at,
    });
    let files = files.collect();
    Ok(Json(Rules { files, rules }))
}

/// A file of own rules.
#[utoipa::path(
    get,
    path = "/v1/rules/{name}",
    operation_id = "rules_show",
    tag = "rules",
    security(("key" = ["auditor"])),
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The file.", body = RuleFileRecord),
    ),
)]
pub(super) async fn show(
    Auditor(key): Auditor,
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<RuleFileRecord>, ApiError> {
    Ok(Json(app.store.rule_file(key.org_id, name).await?))
}

/// Takes a file of own rules out of force.
#[utoipa::path(
    delete,
    path = "/v1/rules/{name}",
    operation_id = "rules_delete",
    tag = "rules",
    security(("key" = ["operator"])),
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 204, description = "Its rules find nothing any more."),
        (status = 409, description = "The settings name one of its rules.", body = Problem),
    ),
)]
pub(super) async fn delete(
    Operator(key): Operator,
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.store.delete_rules(key.org_id, name).await?;
    Ok(StatusCode::NO_CONTENT)
}
