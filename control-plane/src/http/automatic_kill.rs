//! `/v1/automatic-kill`: when an agent is killed without anyone's order.

use axum::{Json, extract::State, http::StatusCode};

use super::{
    App,
    body::JsonBody,
    caller::{Auditor, Operator},
    error::ApiError,
    value,
};
use crate::store::AutomaticKill;

const BLOCKED_CALLS_MAX: u32 = 10_000;
const WITHIN_SECONDS_MAX: u32 = 86_400;

pub(super) async fn show(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Json<AutomaticKill>, ApiError> {
    let rule = app.store.automatic_kill(key.org_id).await?;
    rule.map(Json)
        .ok_or_else(|| ApiError::not_found("automatic_kill"))
}

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

pub(super) async fn delete(
    Operator(key): Operator,
    State(app): State<App>,
) -> Result<StatusCode, ApiError> {
    app.store.set_automatic_kill(key.org_id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
