//! `/v1/tools`: the catalogue.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use clampd_model::{Tool, ToolCategory};
use clampd_token::tool_binding;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    App,
    body::JsonBody,
    caller::{Auditor, Operator},
    error::ApiError,
    value,
};
use crate::store::ToolRecord;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ToolBody {
    scope: String,
    #[serde(default)]
    category: ToolCategory,
    audience: Option<String>,
    upstream: Option<String>,
    descriptor: Option<Value>,
}

pub(super) async fn put(
    Operator(key): Operator,
    State(app): State<App>,
    Path(name): Path<String>,
    JsonBody(body): JsonBody<ToolBody>,
) -> Result<(StatusCode, Json<ToolRecord>), ApiError> {
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
    };
    let (tool, is_new) = app
        .store
        .put_tool(key.org_id, tool, body.descriptor)
        .await?;
    Ok((
        if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        },
        Json(tool),
    ))
}

pub(super) async fn list(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "tools": app.store.tools(key.org_id).await? })))
}

pub(super) async fn show(
    Auditor(key): Auditor,
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Json<ToolRecord>, ApiError> {
    Ok(Json(app.store.tool(key.org_id, name).await?))
}

pub(super) async fn delete(
    Operator(key): Operator,
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.store.delete_tool(key.org_id, name).await?;
    Ok(StatusCode::NO_CONTENT)
}
