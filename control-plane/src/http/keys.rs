//! `/v1/keys`: make, list, forget.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use clampd_model::Secret;
use serde::{Deserialize, Serialize};

use super::{
    App,
    body::JsonBody,
    caller::Admin,
    error::{ApiError, Problem},
    page, value,
};
use crate::{
    access::{Role, is_key},
    store::{KeyRecord, NewKey},
};

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyRequest {
    role: Role,
    name: Option<String>,
    key: Option<Secret>,
    audience: Option<String>,
}

/// A key as it was just made: the only answer that holds it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Made {
    #[serde(flatten)]
    record: KeyRecord,
    key: Secret,
}

/// Makes a key.
#[utoipa::path(
    post,
    path = "/v1/keys",
    operation_id = "keys_create",
    tag = "keys",
    security(("key" = ["admin"])),
    request_body = KeyRequest,
    responses(
        (status = 201, description = "The key: nothing tells it again.", body = Made),
        (status = 409, description = "There is one already.", body = Problem),
    ),
)]
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

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct KeysQuery {
    /// At most so many, 1 to 1000; all where it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Those after this one: the `next` of an earlier answer.
    after: Option<String>,
    /// Only those of this role.
    role: Option<Role>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Keys {
    keys: Vec<KeyRecord>,
    /// What to go on `after`, where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The keys, without the keys themselves.
#[utoipa::path(
    get,
    path = "/v1/keys",
    operation_id = "keys_list",
    tag = "keys",
    security(("key" = ["admin"])),
    params(KeysQuery),
    responses(
        (status = 200, description = "The keys, oldest first.", body = Keys),
    ),
)]
pub(super) async fn list(
    Admin(caller): Admin,
    State(app): State<App>,
    query: Result<Query<KeysQuery>, QueryRejection>,
) -> Result<Json<Keys>, ApiError> {
    let KeysQuery { limit, after, role } = page::known(query)?;
    page::to_read(limit)?;
    let after = after.as_deref().map(after_key).transpose()?;
    let mut keys = app.store.keys(caller.org_id).await?;
    keys.retain(|key| role.is_none_or(|role| role == key.role));
    keys.retain(|key| after.is_none_or(|after| (key.created_at, key.id.as_str()) > after));
    let (keys, next) = page::part(keys, limit, |key| format!("{}.{}", key.created_at, key.id));
    Ok(Json(Keys { keys, next }))
}

/// Which key the list goes on after: they are told oldest first.
fn after_key(after: &str) -> Result<(u64, &str), ApiError> {
    let parsed = after.split_once('.');
    parsed
        .and_then(|(created_at, id)| Some((created_at.parse().ok()?, id)))
        .ok_or_else(|| ApiError::invalid_value("after", "must be the `next` of an earlier answer"))
}

/// Forgets a key.
#[utoipa::path(
    delete,
    path = "/v1/keys/{id}",
    operation_id = "keys_delete",
    tag = "keys",
    security(("key" = ["admin"])),
    params(("id" = String, Path, description = "Whose")),
    responses(
        (status = 204, description = "It is refused from now on."),
        (status = 409, description = "It is the key that asks.", body = Problem),
    ),
)]
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
