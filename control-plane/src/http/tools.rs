//! `/v1/tools`: the catalogue.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use clampd_model::{Approval, Tool, ToolCategory};
use clampd_token::tool_binding;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    App,
    body::JsonBody,
    caller::{Auditor, Operator},
    error::{ApiError, Problem},
    page, value,
};
use crate::store::{DescriptorRecord, NewTool, ToolRecord};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolBody {
    scope: String,
    #[serde(default)]
    category: ToolCategory,
    audience: Option<String>,
    upstream: Option<String>,
    /// The only one that it is pinned to from now on; without, it stays pinned as it is.
    descriptor: Option<Value>,
    /// Without, it is `approved` if it is new or comes with its descriptor, and else stays what it is.
    state: Option<Approval>,
}

/// A tool as it is told.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ToldTool {
    name: String,
    scope: String,
    category: ToolCategory,
    audience: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<String>,
    /// Only an `approved` one may be called.
    state: Approval,
    /// SHA-256 of the canonical JSON of its descriptor, in lower-case hex.
    binding: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    descriptor: Option<Value>,
    /// What servers told of it, and what was made of that.
    descriptors: Vec<DescriptorRecord>,
    updated_at: u64,
}

impl From<ToolRecord> for ToldTool {
    fn from(record: ToolRecord) -> Self {
        let Tool {
            name,
            scope,
            category,
            audience,
            upstream,
            binding,
            pins: _,
        } = record.tool;
        Self {
            name,
            scope,
            category,
            audience,
            upstream,
            state: record.state,
            binding,
            descriptor: record.descriptor,
            descriptors: record.descriptors,
            updated_at: record.updated_at,
        }
    }
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolsQuery {
    /// At most so many, 1 to 1000; all where it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Those after this one: the `next` of an earlier answer.
    after: Option<String>,
    /// Only those of this category.
    category: Option<ToolCategory>,
    /// Only those in this state.
    state: Option<Approval>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Tools {
    tools: Vec<ToldTool>,
    /// What to go on `after`, where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Puts a tool into the catalogue.
#[utoipa::path(
    put,
    path = "/v1/tools/{*name}",
    operation_id = "tools_put",
    tag = "tools",
    security(("key" = ["operator"])),
    params(("name" = String, Path, description = "Its name")),
    request_body = ToolBody,
    responses(
        (status = 200, description = "It was replaced.", body = ToldTool),
        (status = 201, description = "It is new.", body = ToldTool),
    ),
)]
pub(super) async fn put(
    Operator(key): Operator,
    State(app): State<App>,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<ToolBody>,
) -> Result<(StatusCode, Json<ToldTool>), ApiError> {
    let wanted = "must be 1 to 128 characters of A-Z a-z 0-9 _ . : / -";
    value::demand(Tool::is_name(&name), "name", wanted)?;
    value::scope("scope", &body.scope)?;
    let origin = body.upstream.as_deref();
    let origin = origin
        .map(|url| value::origin_of_upstream("upstream", url))
        .transpose()?;
    let audience = match &body.audience {
        Some(audience) => audience.clone(),
        None => origin.unwrap_or(&name).to_owned(),
    };
    value::audience("audience", &audience)?;
    let described = match &body.descriptor {
        Some(descriptor) => descriptor.clone(),
        None => json!({ "category": body.category.as_str(), "name": name, "scope": body.scope }),
    };
    let tool = Tool {
        name,
        scope: body.scope,
        category: body.category,
        audience,
        binding: tool_binding(&described),
        upstream: body.upstream,
        pins: Vec::new(),
    };
    let new = NewTool {
        tool,
        descriptor: body.descriptor,
        state: body.state,
    };
    let (tool, is_new) = app.store.put_tool(key.org_id, new).await?;
    Ok((
        if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        },
        Json(tool.into()),
    ))
}

/// The catalogue.
#[utoipa::path(
    get,
    path = "/v1/tools",
    operation_id = "tools_list",
    tag = "tools",
    security(("key" = ["auditor"])),
    params(ToolsQuery),
    responses(
        (status = 200, description = "The tools, by name.", body = Tools),
    ),
)]
pub(super) async fn list(
    Auditor(key): Auditor,
    State(app): State<App>,
    query: Result<Query<ToolsQuery>, QueryRejection>,
) -> Result<Json<Tools>, ApiError> {
    let ToolsQuery {
        limit,
        after,
        category,
        state,
    } = page::known(query)?;
    page::to_read(limit)?;
    let mut tools = app.store.tools(key.org_id).await?;
    tools.retain(|tool| category.is_none_or(|category| category == tool.tool.category));
    tools.retain(|tool| state.is_none_or(|state| state == tool.state));
    tools.retain(|tool| after.as_ref().is_none_or(|after| tool.tool.name > *after));
    let tools = tools.into_iter().map(ToldTool::from).collect();
    let (tools, next) = page::part(tools, limit, |tool: &ToldTool| tool.name.clone());
    Ok(Json(Tools { tools, next }))
}

/// One tool.
#[utoipa::path(
    get,
    path = "/v1/tools/{*name}",
    operation_id = "tools_show",
    tag = "tools",
    security(("key" = ["auditor"])),
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 200, description = "The tool.", body = ToldTool),
    ),
)]
pub(super) async fn show(
    Auditor(key): Auditor,
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<ToldTool>, ApiError> {
    Ok(Json(app.store.tool(key.org_id, name).await?.into()))
}

/// Takes a tool out of the catalogue.
#[utoipa::path(
    delete,
    path = "/v1/tools/{*name}",
    operation_id = "tools_delete",
    tag = "tools",
    security(("key" = ["operator"])),
    params(("name" = String, Path, description = "Its name")),
    responses(
        (status = 204, description = "Calls to it are refused from now on."),
        (status = 409, description = "The settings name it.", body = Problem),
    ),
)]
pub(super) async fn delete(
    Operator(key): Operator,
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.store.delete_tool(key.org_id, name).await?;
    Ok(StatusCode::NO_CONTENT)
}
