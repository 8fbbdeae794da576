//! `/v1/policies`: what agents may do, in Cedar; and `/v1/evaluate`: why.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use clampd_model::{Action, Effect, Policy, PolicyMode};
use clampd_policy_compiler::{
    AskedAgent, AskedContext, AskedTool, BASE_ID, BASE_TEXT, Compiled, Explanation, Question,
    Remark, SCHEMA_TEXT, TEMPLATES, Template,
};
use serde::{Deserialize, Serialize};

use super::{
    App,
    body::JsonBody,
    caller::{Auditor, Operator},
    error::{ApiError, Problem},
    page, value,
};
use crate::{
    clock,
    policies::{CompileError, POLICIES_MAX, TEXTS_BYTES_MAX},
    store::{PolicyContent, PolicyDocument, StoreError},
};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentBody {
    cedar: String,
}

/// A document as it is told.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ToldDocument {
    id: String,
    cedar: String,
    policies: Vec<ToldPolicy>,
    /// Whether it is the built-in base, which no document stands for.
    builtin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Remark>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ToldPolicy {
    id: String,
    effect: Effect,
    mode: PolicyMode,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

impl ToldDocument {
    fn of(document: PolicyDocument) -> Self {
        let PolicyContent { cedar, policies } = document.content;
        Self {
            id: document.id,
            cedar,
            policies: policies.iter().map(told).collect(),
            builtin: false,
            updated_at: Some(document.updated_at),
            warnings: Vec::new(),
        }
    }

    fn builtin(app: &App) -> Self {
        Self {
            id: BASE_ID.to_owned(),
            cedar: BASE_TEXT.to_owned(),
            policies: app.policies.base().iter().map(told).collect(),
            builtin: true,
            updated_at: None,
            warnings: Vec::new(),
        }
    }
}

fn told(policy: &Policy) -> ToldPolicy {
    ToldPolicy {
        id: policy.id.clone(),
        effect: policy.effect,
        mode: policy.mode,
        reason: policy.reason.clone(),
        scope: policy.scope.clone(),
    }
}

/// Puts a document in force.
#[utoipa::path(
    put,
    path = "/v1/policies/{id}",
    operation_id = "policies_put",
    tag = "policies",
    security(("key" = ["operator"])),
    params(("id" = String, Path, description = "Whose")),
    request_body = DocumentBody,
    responses(
        (status = 200, description = "It was replaced.", body = ToldDocument),
        (status = 201, description = "It is new.", body = ToldDocument),
    ),
)]
pub(super) async fn put(
    Operator(key): Operator,
    State(app): State<App>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<DocumentBody>,
) -> Result<(StatusCode, Json<ToldDocument>), ApiError> {
    value::agent_id("id", &id)?;
    let Compiled { policies, warnings } = compile(&app, &id, body.cedar.clone()).await?;
    let (mut count, mut bytes) = (policies.len(), body.cedar.len());
    for other in app.store.policies(key.org_id.clone()).await? {
        if other.id != id {
            count += other.content.policies.len();
            bytes += other.content.cedar.len();
        }
    }
    value::demand(
        count <= POLICIES_MAX && bytes <= TEXTS_BYTES_MAX,
        "cedar",
        "would make more than 1000 policies or 1 MiB of the organisation's documents",
    )?;
    let content = PolicyContent {
        cedar: body.cedar,
        policies,
    };
    let (document, is_new) = app.store.put_policies(key.org_id, id, content).await?;
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let told = ToldDocument {
        warnings,
        ..ToldDocument::of(document)
    };
    Ok((status, Json(told)))
}

async fn compile(app: &App, id: &str, cedar: String) -> Result<Compiled, ApiError> {
    app.policies
        .compile(id, cedar)
        .await
        .map_err(|error| match error {
            CompileError::Refused(refusal) => ApiError::invalid_policy(refusal.to_string()),
            error => ApiError::internal(&error),
        })
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentsQuery {
    /// At most so many, 1 to 1000; all where it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Those after this one: the `next` of an earlier answer.
    after: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Documents {
    policies: Vec<ToldDocument>,
    /// What to go on `after`, where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The documents of policies.
#[utoipa::path(
    get,
    path = "/v1/policies",
    operation_id = "policies_list",
    tag = "policies",
    security(("key" = ["auditor"])),
    params(DocumentsQuery),
    responses(
        (status = 200, description = "The documents, by id; the built-in base where none stands for it.", body = Documents),
    ),
)]
pub(super) async fn list(
    Auditor(key): Auditor,
    State(app): State<App>,
    query: Result<Query<DocumentsQuery>, QueryRejection>,
) -> Result<Json<Documents>, ApiError> {
    let DocumentsQuery { limit, after } = page::known(query)?;
    page::to_read(limit)?;
    let documents = app.store.policies(key.org_id).await?;
    let mut told: Vec<ToldDocument> = documents.into_iter().map(ToldDocument::of).collect();
    if told.iter().all(|document| document.id != BASE_ID) {
        let at = told.partition_point(|document| document.id.as_str() < BASE_ID);
        told.insert(at, ToldDocument::builtin(&app));
    }
    told.retain(|document| after.as_ref().is_none_or(|after| document.id > *after));
    let (policies, next) = page::part(told, limit, |document| document.id.clone());
    Ok(Json(Documents { policies, next }))
}

/// One document.
#[utoipa::path(
    get,
    path = "/v1/policies/{id}",
    operation_id = "policies_show",
    tag = "policies",
    security(("key" = ["auditor"])),
    params(("id" = String, Path, description = "Whose")),
    responses(
        (status = 200, description = "The document.", body = ToldDocument),
    ),
)]
pub(super) async fn show(
    Auditor(key): Auditor,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<ToldDocument>, ApiError> {
    match app.store.policy(key.org_id, id.clone()).await {
        Err(StoreError::NotFound(_)) if id == BASE_ID => Ok(Json(ToldDocument::builtin(&app))),
        document => Ok(Json(ToldDocument::of(document?))),
    }
}

/// Takes a document out of force.
#[utoipa::path(
    delete,
    path = "/v1/policies/{id}",
    operation_id = "policies_delete",
    tag = "policies",
    security(("key" = ["operator"])),
    params(("id" = String, Path, description = "Whose")),
    responses(
        (status = 204, description = "It is not in force any more."),
    ),
)]
pub(super) async fn delete(
    Operator(key): Operator,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.store.delete_policy(key.org_id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ValidationBody {
    #[serde(default = "draft")]
    id: String,
    cedar: String,
}

/// What would come of a text.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Validation {
    valid: bool,
    errors: Vec<Remark>,
    warnings: Vec<Remark>,
    policies: Vec<ToldPolicy>,
}

/// Says what would come of a text, and changes nothing.
#[utoipa::path(
    post,
    path = "/v1/policies/validate",
    operation_id = "policies_validate",
    tag = "policies",
    security(("key" = ["auditor"])),
    request_body = ValidationBody,
    responses(
        (status = 200, description = "What is wrong in it.", body = Validation),
    ),
)]
pub(super) async fn validate(
    Auditor(_): Auditor,
    State(app): State<App>,
    JsonBody(body): JsonBody<ValidationBody>,
) -> Result<Json<Validation>, ApiError> {
    value::agent_id("id", &body.id)?;
    let answer = match app.policies.compile(&body.id, body.cedar).await {
        Ok(Compiled { policies, warnings }) => Validation {
            valid: true,
            errors: Vec::new(),
            warnings,
            policies: policies.iter().map(told).collect(),
        },
        Err(CompileError::Refused(refusal)) => Validation {
            valid: false,
            errors: refusal.0,
            warnings: Vec::new(),
            policies: Vec::new(),
        },
        Err(error) => return Err(ApiError::internal(&error)),
    };
    Ok(Json(answer))
}

/// What policies are written by.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Reference {
    schema: &'static str,
    base: &'static str,
    templates: Vec<Template>,
}

/// The schema and the documents to begin with.
#[utoipa::path(
    get,
    path = "/v1/policy-reference",
    operation_id = "policies_reference",
    tag = "policies",
    security(("key" = ["auditor"])),
    responses(
        (status = 200, description = "What policies are written by.", body = Reference),
    ),
)]
pub(super) async fn reference(Auditor(_): Auditor) -> Json<Reference> {
    Json(Reference {
        schema: SCHEMA_TEXT,
        base: BASE_TEXT,
        templates: TEMPLATES.to_vec(),
    })
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EvaluationBody {
    agent: String,
    tool: String,
    #[serde(default = "call")]
    action: Action,
    #[serde(default)]
    context: AskedContext,
    /// A document that is not in force, to be evaluated as if it were.
    draft: Option<ValidationBody>,
}

/// Explains what policies make of a request, and changes nothing.
#[utoipa::path(
    post,
    path = "/v1/evaluate",
    operation_id = "policies_evaluate",
    tag = "policies",
    security(("key" = ["auditor"])),
    request_body = EvaluationBody,
    responses(
        (status = 200, description = "What comes of it, and why.", body = Explanation),
        (status = 404, description = "The agent or tool is not known.", body = Problem),
    ),
)]
pub(super) async fn evaluate(
    Auditor(key): Auditor,
    State(app): State<App>,
    JsonBody(body): JsonBody<EvaluationBody>,
) -> Result<Json<Explanation>, ApiError> {
    let agent = app.store.agent(key.org_id.clone(), body.agent).await?;
    let tool = app.store.tool(key.org_id.clone(), body.tool).await?.tool;
    let question = Question {
        action: body.action,
        agent: AskedAgent {
            id: value::agent_id("agent", &agent.id)?,
            groups: agent.groups,
            scopes: agent.scopes,
            state: agent.state,
            purpose: agent.purpose,
        },
        tool: AskedTool {
            name: tool.name,
            scope: tool.scope,
            category: tool.category,
            upstream: tool.upstream,
        },
        context: body.context,
    };
    let policies = in_force(&app, key.org_id, body.draft).await?;
    Ok(Json(question.ask(&policies, clock::unix_seconds())))
}

/// The organisation's policies, with the draft in the place of the document of its name.
async fn in_force(
    app: &App,
    org_id: String,
    draft: Option<ValidationBody>,
) -> Result<Vec<Policy>, ApiError> {
    let mut documents: Vec<(String, Vec<Policy>)> = app
        .store
        .policies(org_id)
        .await?
        .into_iter()
        .map(|document| (document.id, document.content.policies))
        .collect();
    if let Some(ValidationBody { id, cedar }) = draft {
        value::agent_id("draft.id", &id)?;
        let compiled = compile(app, &id, cedar).await?;
        documents.retain(|(known, _)| *known != id);
        documents.push((id, compiled.policies));
    }
    if documents.iter().all(|(id, _)| id != BASE_ID) {
        documents.push((BASE_ID.to_owned(), app.policies.base().to_vec()));
    }
    documents.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(documents
        .into_iter()
        .flat_map(|(_, policies)| policies)
        .collect())
}

fn draft() -> String {
    "draft".to_owned()
}

fn call() -> Action {
    Action::Call
}
