//! `/v1/tool-approvals`: what operators decide about tools and their descriptors.

use axum::{Extension, Json, extract::State};
use clampd_model::{Approval, Tool};
use serde::Deserialize;

use super::{
    App, RequestId,
    body::JsonBody,
    caller::Operator,
    error::{ApiError, Problem},
    tools::ToldTool,
    value,
};
use crate::store::ToolDecision;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DecisionBody {
    tool: String,
    /// The descriptor that it is about, by the SHA-256 of its canonical JSON; else the tool as such.
    descriptor: Option<String>,
    /// `approved` or `rejected`; a tool as such can be set back to `pending` too.
    state: Approval,
}

/// Approves or rejects a tool, or one of its descriptors and the tool with it.
#[utoipa::path(
    post,
    path = "/v1/tool-approvals",
    operation_id = "tools_decide",
    tag = "tools",
    security(("key" = ["operator"])),
    request_body = DecisionBody,
    responses(
        (status = 200, description = "The tool as it is now.", body = ToldTool),
        (status = 404, description = "The tool is not known.", body = Problem),
        (status = 409, description = "Too many descriptors of it are known.", body = Problem),
    ),
)]
pub(super) async fn decide(
    Operator(key): Operator,
    State(app): State<App>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    JsonBody(body): JsonBody<DecisionBody>,
) -> Result<Json<ToldTool>, ApiError> {
    value::demand(Tool::is_name(&body.tool), "tool", "must be a tool's name")?;
    if let Some(descriptor) = &body.descriptor {
        value::sha256("descriptor", descriptor)?;
        let is_decided = body.state != Approval::Pending;
        value::demand(is_decided, "state", "must be `approved` or `rejected`")?;
    }
    let decision = ToolDecision {
        tool: body.tool,
        descriptor: body.descriptor,
        state: body.state,
        by: format!("key {}", key.id),
        request_id,
    };
    let tool = app.store.decide_on_tool(key.org_id, decision).await?;
    Ok(Json(tool.into()))
}
