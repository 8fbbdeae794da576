//! `/v1/policies`: what agents may do, in Cedar; and `/v1/evaluate`: why.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use clampd_model::{Action, Effect, Policy, PolicyMode};
use clampd_policy_compiler::{
    AskedAgent, AskedContext, AskedTool, BASE_ID, BASE_TEXT, Compiled, Explanation, Question,
    Remark, SCHEMA_TEXT, TEMPLATES,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    App,
    body::JsonBody,
    caller::{Auditor, Operator},
    error::ApiError,
    value,
};
use crate::{
    clock,
    policies::{CompileError, POLICIES_MAX, TEXTS_BYTES_MAX},
    store::{PolicyContent, PolicyDocument, StoreError},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentBody {
    cedar: String,
}

/// A document as it is told.
#[derive(Debug, Serialize)]
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

#[derive(Debug, Serialize)]
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

pub(super) async fn list(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Json<Value>, ApiError> {
    let documents = app.store.policies(key.org_id).await?;
    let mut told: Vec<ToldDocument> = documents.into_iter().map(ToldDocument::of).collect();
    if told.iter().all(|document| document.id != BASE_ID) {
        told.insert(0, ToldDocument::builtin(&app));
    }
    Ok(Json(json!({ "policies": told })))
}

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

pub(super) async fn delete(
    Operator(key): Operator,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.store.delete_policy(key.org_id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ValidationBody {
    #[serde(default = "draft")]
    id: String,
    cedar: String,
}

/// Says what would come of a text, and changes nothing.
pub(super) async fn validate(
    Auditor(_): Auditor,
    State(app): State<App>,
    JsonBody(body): JsonBody<ValidationBody>,
) -> Result<Json<Value>, ApiError> {
    value::agent_id("id", &body.id)?;
    let answer = match app.policies.compile(&body.id, body.cedar).await {
        Ok(Compiled { policies, warnings }) => json!({
            "valid": true, "errors": [], "warnings": warnings,
            "policies": policies.iter().map(told).collect::<Vec<_>>(),
        }),
        Err(CompileError::Refused(refusal)) => json!({
            "valid": false, "errors": refusal.0, "warnings": [], "policies": [],
        }),
        Err(error) => return Err(ApiError::internal(&error)),
    };
    Ok(Json(answer))
}

/// The schema and the documents to begin with.
pub(super) async fn reference(Auditor(_): Auditor) -> Json<Value> {
    Json(json!({ "schema": SCHEMA_TEXT, "base": BASE_TEXT, "templates": TEMPLATES }))
}

#[derive(Debug, Deserialize)]
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
