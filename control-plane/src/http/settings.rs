//! `/v1/settings`: what the organisation has set.

use axum::{Json, extract::State};
use clampd_model::Settings;

use super::{
    App,
    body::JsonBody,
    caller::{Auditor, Operator},
    error::ApiError,
    policies::is_risk,
    value,
};

pub(super) async fn show(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Json<Settings>, ApiError> {
    Ok(Json(app.store.settings(key.org_id).await?))
}

pub(super) async fn put(
    Operator(key): Operator,
    State(app): State<App>,
    JsonBody(settings): JsonBody<Settings>,
) -> Result<Json<Settings>, ApiError> {
    let wanted = "must be a number from 0 to 1 with at most three decimals";
    value::demand(is_risk(settings.block_at), "block_at", wanted)?;
    value::demand(is_risk(settings.flag_at), "flag_at", wanted)?;
    let ordered = settings.flag_at.value() <= settings.block_at.value();
    value::demand(ordered, "flag_at", "must not be above `block_at`")?;
    app.store.set_settings(key.org_id, settings.clone()).await?;
    Ok(Json(settings))
}
