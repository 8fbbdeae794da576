//! `/v1/organisation` and `/v1/settings`: what the organisation is and has set.

use axum::{Json, extract::State};
use clampd_model::{Jwks, Settings};
use serde_json::{Value, json};

use super::{
    App,
    body::JsonBody,
    caller::{Auditor, Operator},
    error::ApiError,
    value,
};
use crate::store::jwks as jwks_of;

/// The organisation, and the key that its bundles are signed with.
pub(super) async fn organisation(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Json<Value>, ApiError> {
    let organisation = app.store.organisation(key.org_id.clone()).await?;
    let keys = app.signing_keys(&key.org_id).await?;
    Ok(Json(json!({
        "id": organisation.id,
        "name": organisation.name,
        "revision": organisation.revision,
        "created_at": organisation.created_at,
        "trust_root": keys.bundle.verifying_key().to_text(),
    })))
}

/// The public keys that verify micro-tokens and statements about the audit trail (RFC 7517).
pub(super) async fn jwks(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Json<Jwks>, ApiError> {
    let keys = app.signing_keys(&key.org_id).await?;
    Ok(Json(jwks_of(&keys)))
}

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
    value::demand(value::is_risk(settings.block_at), "block_at", wanted)?;
    value::demand(value::is_risk(settings.flag_at), "flag_at", wanted)?;
    let ordered = settings.flag_at.value() <= settings.block_at.value();
    value::demand(ordered, "flag_at", "must not be above `block_at`")?;
    app.store.set_settings(key.org_id, settings.clone()).await?;
    Ok(Json(settings))
}
