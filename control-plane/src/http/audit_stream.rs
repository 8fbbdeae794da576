//! `/v1/audit/stream`: the trail as it grows, as server-sent events.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    App,
    caller::Auditor,
    error::ApiError,
    streaming::{Pieces, streamed},
};
use crate::store::KeyRecord;

/// How many streams and exports are open at the same time; more are refused.
pub(crate) const STREAMS_MAX: usize = 64;

/// How many events are read and sent at a time.
const PAGE_EVENTS: u32 = 50;

/// Between signs of life, and between looks whether the key is still good.
const HEARTBEAT: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Follow {
    after: Option<u64>,
}

/// The trail as it grows.
#[utoipa::path(
    get,
    path = "/v1/audit/stream",
    operation_id = "audit_follow",
    tag = "audit",
    security(("key" = ["auditor"])),
    params(Follow, ("last-event-id" = Option<u64>, Header, description = "Goes on after that event")),
    responses(
        (status = 200, description = "Server-sent events, as they come.", body = String, content_type = "text/event-stream"),
    ),
)]
pub(super) async fn follow(
    Auditor(key): Auditor,
    State(app): State<App>,
    query: Result<Query<Follow>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Query(Follow { after }) =
        query.map_err(|_| ApiError::invalid_value("after", "must be a whole number"))?;
    let seen = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok()?.parse().ok());
    let after = match seen.or(after) {
        Some(after) => after,
        // Only what comes from now on.
        None => app.store.trail_end(key.org_id.clone()).await?,
    };
    let permit = Arc::clone(&app.streams).try_acquire_owned();
    let permit = permit.map_err(|_| ApiError::too_many_streams())?;
    let (pieces, body) = streamed();
    tokio::spawn(send(app, key, after, pieces, permit));
    let headers = [(header::CONTENT_TYPE, "text/event-stream")];
    Ok((headers, body).into_response())
}

/// Sends events until the reader goes away, the key is no good any more, or the service ends.
async fn send(
    app: App,
    key: KeyRecord,
    mut after: u64,
    pieces: Pieces,
    _permit: OwnedSemaphorePermit,
) {
    let mut stopping = app.stopping();
    let mut looked = Instant::now();
    loop {
        if looked.elapsed() >= HEARTBEAT {
            looked = Instant::now();
            let is_good = app.store.has_key(key.org_id.clone(), key.id.clone()).await;
            if !is_good.unwrap_or(false) {
                return;
            }
        }
        // Taken before the trail is read, so that no event falls between.
        let mut grown = app.store.changes().next_events(&key.org_id).subscribe();
        let page = app
            .store
            .trail_page(key.org_id.clone(), after, u64::MAX, PAGE_EVENTS)
            .await;
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(%error, "stream was given up");
                return pieces.give_up().await;
            }
        };
        if !page.is_empty() {
            let mut text = String::new();
            for row in page {
                after = row.get("seq").and_then(Value::as_u64).unwrap_or(after);
                let data = Value::Object(row);
                text.push_str(&format!("id: {after}\nevent: audit\ndata: {data}\n\n"));
            }
            if pieces.send(text).await.is_err() {
                return;
            }
            continue;
        }
        let is_quiet = tokio::select! {
            _ = grown.wait_for(|seq| *seq != 0) => false,
            () = tokio::time::sleep(HEARTBEAT) => true,
            _ = stopping.wait_for(|stopping| *stopping) => return,
            () = pieces.gone() => return,
        };
        if is_quiet && pieces.send(": still here\n\n").await.is_err() {
            return;
        }
    }
}
