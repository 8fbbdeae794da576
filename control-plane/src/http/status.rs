//! `/health`, `/ready`, `/metrics`: how the service is.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{App, caller::Auditor, error::ApiError};

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Health {
    /// `ok`.
    status: &'static str,
    version: &'static str,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Readiness {
    /// `ready`, `stopping` or `database_unavailable`.
    status: &'static str,
}

/// The process answers.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "service_health",
    tag = "service",
    responses(
        (status = 200, description = "The process answers.", body = Health),
    ),
)]
pub(super) async fn health() -> Json<Health> {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// The database answers too, and the service is not about to end.
#[utoipa::path(
    get,
    path = "/ready",
    operation_id = "service_ready",
    tag = "service",
    responses(
        (status = 200, description = "It can do its work.", body = Readiness),
        (status = 503, description = "It cannot, and why.", body = Readiness),
    ),
)]
pub(super) async fn ready(State(app): State<App>) -> (StatusCode, Json<Readiness>) {
    if *app.stopping().borrow() {
        return unready("stopping");
    }
    match app.store.is_ready().await {
        Ok(()) => (StatusCode::OK, Json(Readiness { status: "ready" })),
        Err(error) => {
            tracing::error!(%error, "not ready");
            unready("database_unavailable")
        }
    }
}

fn unready(status: &'static str) -> (StatusCode, Json<Readiness>) {
    (StatusCode::SERVICE_UNAVAILABLE, Json(Readiness { status }))
}

/// What Prometheus scrapes.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "service_metrics",
    tag = "service",
    security(("key" = ["auditor"])),
    responses(
        (status = 200, description = "Prometheus text.", body = String, content_type = "text/plain"),
    ),
)]
pub(super) async fn metrics(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Response, ApiError> {
    let revision = app.store.revision(key.org_id).await?;
    let text = app.metrics.render(revision);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}
