//! `/v1/bundle`: what a gateway decides by.

use std::time::Duration;

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{App, caller::Proxy, error::ApiError};
use crate::bundle;

/// The longest that a poll may wait, in seconds.
const WAIT_SECONDS_MAX: u64 = 55;

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Poll {
    since: Option<u64>,
    #[serde(default)]
    wait: u64,
}

/// The signed bundle, at once or as soon as it changes.
#[utoipa::path(
    get,
    path = "/v1/bundle",
    operation_id = "bundle_poll",
    tag = "bundle",
    security(("key" = ["proxy"])),
    params(Poll, ("if-none-match" = Option<String>, Header, description = "The `etag` of an earlier answer: 304 where nothing has changed")),
    responses((status = 200, description = "What has changed since.", body = Object, content_type = "application/json",
            headers(("etag" = String, description = "Its revision"), ("x-clampd-signature" = String, description = "Ed25519 over `clampd-bundle-v1\\n` and the body"))),
        (status = 304, description = "Nothing has changed.", headers(("etag" = String, description = "The revision")))),
)]
pub(super) async fn poll(
    Proxy(key): Proxy,
    State(app): State<App>,
    query: Result<Query<Poll>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(poll) =
        query.map_err(|_| ApiError::invalid_value("since", "and `wait` must be whole numbers"))?;
    if poll.wait > WAIT_SECONDS_MAX {
        return Err(ApiError::invalid_value("wait", "must be 0 to 55 seconds"));
    }
    if poll
        .since
        .is_some_and(|since| i64::try_from(since).is_err())
    {
        return Err(ApiError::invalid_value("since", "must be a revision"));
    }
    if poll.since.is_none() {
        let revision = app.store.revision(key.org_id.clone()).await?;
        let known = headers
            .get(header::IF_NONE_MATCH)
            .and_then(|tag| tag.to_str().ok());
        if known.is_some_and(|known| matches_tag(known, &tag(revision))) {
            return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag(revision))]).into_response());
        }
    }
    let since = poll.since.unwrap_or(0);
    let wait = Duration::from_secs(poll.wait);
    let bundle = bundle::poll(&app, &key.org_id, &key.id, since, wait).await?;
    let headers = [
        (header::CONTENT_TYPE.as_str(), "application/json".to_owned()),
        (header::ETAG.as_str(), tag(bundle.revision)),
        ("x-clampd-signature", bundle.signature.clone()),
    ];
    Ok((headers, bundle.body.clone()).into_response())
}

fn tag(revision: u64) -> String {
    format!("\"{revision}\"")
}

fn matches_tag(known: &str, present: &str) -> bool {
    known
        .split(',')
        .any(|tag| tag.trim().trim_start_matches("W/") == present)
}
