//! `/v1/automatic-kill`: when an agent is killed without anyone's order.

use axum::{Json, extract::State, http::StatusCode};

use super::{
    App,
    body::JsonBody,
    caller::{Auditor, Operator},
    error::{ApiError, Problem},
    value,
};
use crate::store::AutomaticKill;

const BLOCKED_CALLS_MAX: u32 = 10_000;
const WITHIN_SECONDS_MAX: u32 = 86_400;

/// When an agent is killed without an order.
#[utoipa::path(
    get,
    path = "/v1/automatic-kill",
    operation_id = "automatic_kill_show",
    tag = "settings",
    security(("key" = ["auditor"])),
    responses(
        (status = 200, description = "The rule.", body = AutomaticKill),
        (status = 404, description = "There is none.", body = Problem),
    ),
)]
pub(super) async fn show(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Json<AutomaticKill>, ApiError> {
    let rule = app.store.automatic_kill(key.org_id).await?;
    rule.map(Json)
        .ok_or_else(|| ApiError::not_found("automatic_kill"))
}

/// Sets when an agent is killed without an order.
#[utoipa::path(
    put,
    path = "/v1/automatic-kill",
    operation_id = "automatic_kill_put",
    tag = "settings",
    security(("key" = ["operator"])),
    request_body = AutomaticKill,
    responses(
        (status = 200, description = "The rule from now on.", body = AutomaticKill),
    ),
)]
pub(super) async fn put(
    Operator(key): Operator,
    State(app): State<App>,
    JsonBody(rule): JsonBody<AutomaticKill>,
) -> Result<Json<AutomaticKill>, ApiError> {
    let holds = (1..=BLOCKED_CALLS_MAX).contains(&rule.blocked_calls);
    value::demand(holds, "blocked_calls", "must be 1 to 10000")?;
    let holds = (1..=WITHIN_SECONDS_MAX).contains(&rule.within_seconds);
    value::demand(holds, "within_seconds", "must be 1 to 86400")?;
    app.store
        .set_automatic_kill(key.org_id, Some(rule.clone()))
        .await?;
    Ok(Json(rule))
}

/// Nobody is killed without an order any more.
#[utoipa::path(
    delete,
    path = "/v1/automatic-kill",
    operation_id = "automatic_kill_delete",
    tag = "settings",
    security(("key" = ["operator"])),
    responses(
        (status = 204, description = "There is none any more."),
    ),
)]
pub(super) async fn delete(
    Operator(key): Operator,
    State(app): State<App>,
) -> Result<StatusCode, ApiError> {
    app.store.set_automatic_kill(key.org_id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
