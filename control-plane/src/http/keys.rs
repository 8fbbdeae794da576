//! `/v1/keys`: make, list, forget.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use clampd_model::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{App, body::JsonBody, caller::Admin, error::ApiError, value};
use crate::{
    access::{Role, is_key},
    store::{KeyRecord, NewKey},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRequest {
    role: Role,
    name: Option<String>,
    key: Option<Secret>,
    audience: Option<String>,
}

/// A key as it was just made: the only answer that holds it.
#[derive(Debug, Serialize)]
pub(super) struct Made {
    #[serde(flatten)]
    record: KeyRecord,
    key: Secret,
}

pub(super) async fn create(
    Admin(caller): Admin,
    State(app): State<App>,
    JsonBody(request): JsonBody<KeyRequest>,
) -> Result<(StatusCode, Json<Made>), ApiError> {
    let name = request
        .name
        .unwrap_or_else(|| request.role.as_str().to_owned());
    value::name("name", &name)?;
    if let Some(audience) = &request.audience {
        value::demand(
            request.role == Role::Tool,
            "audience",
            "is for the role tool only",
        )?;
        value::audience("audience", audience)?;
    }
    let (key, mut new) = match request.key {
        Some(key) => {
            let wanted = "must be `ag_live_` or `ag_test_` and 1 to 200 printable characters";
            value::demand(is_key(key.expose()), "key", wanted)?;
            let new = NewKey::of(key.expose(), request.role, name, None)?;
            (key, new)
        }
        None => {
            let (key, new) = NewKey::generated(request.role, name)?;
            (Secret::new(key), new)
        }
    };
    new.audience = request.audience;
    let record = app.store.add_key(caller.org_id, new).await?;
    Ok((StatusCode::CREATED, Json(Made { record, key })))
}

pub(super) async fn list(
    Admin(caller): Admin,
    State(app): State<App>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(
        json!({ "keys": app.store.keys(caller.org_id).await? }),
    ))
}

pub(super) async fn delete(
    Admin(caller): Admin,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    if id == caller.id {
        let message = "a key cannot forget itself; use another admin key";
        return Err(ApiError::conflict("key_in_use", message));
    }
    app.store.delete_key(caller.org_id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
