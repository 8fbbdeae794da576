//! `/health`, `/ready`, `/metrics`: how the service is.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{App, caller::Auditor, error::ApiError};

/// The process answers.
pub(super) async fn health() -> Json<Value> {
    Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// The database answers too, and the service is not about to end.
pub(super) async fn ready(State(app): State<App>) -> (StatusCode, Json<Value>) {
    if *app.stopping().borrow() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "status": "stopping" })),
        );
    }
    match app.store.is_ready().await {
        Ok(()) => (StatusCode::OK, Json(json!({ "status": "ready" }))),
        Err(error) => {
            tracing::error!(%error, "not ready");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                Json(json!({ "status": "database_unavailable" })),
            )
        }
    }
}

/// What Prometheus scrapes.
pub(super) async fn metrics(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Response, ApiError> {
    let revision = app.store.revision(key.org_id).await?;
    let text = app.metrics.render(revision);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
