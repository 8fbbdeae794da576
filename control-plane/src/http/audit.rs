//! `/v1/audit`: events in, answers out.

use axum::{Extension, Json, extract::State};
use clampd_model::{AUDIT_BATCH_EVENTS_MAX, AuditEvent, RiskScore};
use serde::{Deserialize, Serialize};

use super::{
    App, RequestId,
    body::{BatchBody, JsonBody},
    caller::{Admin, Auditor, Proxy},
    error::ApiError,
    value,
};
use crate::{
    metrics::Metrics,
    query::{Answer, QueryError, SQL_BYTES_MAX},
    store::{Ingested, TrailCheck},
};

/// The largest event: far below the longest string of a query.
const EVENT_BYTES_MAX: usize = 64 * 1024;

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    events: Vec<AuditEvent>,
}

/// Takes events into the trail; one that is there already is counted as a duplicate.
#[utoipa::path(
    post,
    path = "/v1/audit/events",
    operation_id = "audit_ingest",
    tag = "audit",
    security(("key" = ["proxy"])),
    request_body = Batch,
    responses(
        (status = 200, description = "They are on disk.", body = Ingested),
    ),
)]
pub(super) async fn ingest(
    Proxy(key): Proxy,
    State(app): State<App>,
    BatchBody(batch): BatchBody<Batch>,
) -> Result<Json<Ingested>, ApiError> {
    let holds = batch.events.len() <= AUDIT_BATCH_EVENTS_MAX;
    value::demand(holds, "events", "must be at most 1000")?;
    for event in &batch.events {
        let bytes = serde_json::to_vec(event).map_or(usize::MAX, |json| json.len());
        value::demand(
            bytes <= EVENT_BYTES_MAX,
            "events",
            "must be at most 64 KiB each",
        )?;
        value::token_text("event_id", &event.event_id)?;
        let of_this_organisation = event.org_id.is_empty() || event.org_id == key.org_id;
        value::demand(
            of_this_organisation,
            "org_id",
            "must be the proxy's organisation",
        )?;
        let is_risk = RiskScore::new(event.risk_score.value()) == event.risk_score;
        let numbers = [event.bundle_revision, event.latency_us, event.timestamp];
        let fit = numbers.iter().all(|number| i64::try_from(*number).is_ok());
        value::demand(fit, "events", "must hold whole numbers of at most 63 bits")?;
        value::demand(
            is_risk,
            "risk_score",
            "must be 0 to 1 with at most three decimals",
        )?;
    }
    let ingested = app
        .store
        .append_audit_events(key.org_id, batch.events)
        .await?;
    Metrics::add(&app.metrics.audit_events, ingested.accepted);
    Metrics::add(&app.metrics.audit_duplicates, ingested.duplicates);
    Metrics::add(&app.metrics.kills, ingested.killed.len());
    for agent_id in &ingested.killed {
        tracing::warn!(%agent_id, "agent was killed for its blocked calls");
    }
    Ok(Json(ingested))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct QueryBody {
    sql: String,
}

/// Runs one SELECT over the view `audit_logs`.
#[utoipa::path(
    post,
    path = "/v1/audit/query",
    operation_id = "audit_query",
    tag = "audit",
    security(("key" = ["auditor"])),
    request_body = QueryBody,
    responses(
        (status = 200, description = "The rows.", body = Answer),
    ),
)]
pub(super) async fn query(
    Auditor(key): Auditor,
    State(app): State<App>,
    JsonBody(body): JsonBody<QueryBody>,
) -> Result<Json<Answer>, ApiError> {
    let holds = (1..=SQL_BYTES_MAX).contains(&body.sql.len());
    value::demand(holds, "sql", "must be 1 to 16384 bytes")?;
    Metrics::add(&app.metrics.audit_queries, 1);
    let timeout = app.settings.query_timeout;
    match app
        .queries
        .run(&app.store, key.org_id, body.sql, timeout)
        .await
    {
        Ok(answer) => Ok(Json(answer)),
        Err(QueryError::Store(error)) => Err(error.into()),
        Err(error @ QueryError::TimedOut(_)) => Err(ApiError::query_timeout(error.to_string())),
        Err(error @ QueryError::Refused(_)) => Err(ApiError::invalid_query(error.to_string())),
    }
}

/// Says whether the trail is whole and its end signed.
#[utoipa::path(
    get,
    path = "/v1/audit/verify",
    operation_id = "audit_verify",
    tag = "audit",
    security(("key" = ["auditor"])),
    responses(
        (status = 200, description = "What a walk along the chain found.", body = TrailCheck),
    ),
)]
pub(super) async fn verify(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Json<TrailCheck>, ApiError> {
    Ok(Json(app.store.verify_trail(key.org_id).await?))
}

/// The longest that events may be kept before they are removed: a century.
const RETENTION_DAYS_MAX: u32 = 36_500;

#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Retention {
    /// None when events are kept for ever.
    days: Option<u32>,
}

/// How long events are kept.
#[utoipa::path(
    get,
    path = "/v1/audit/retention",
    operation_id = "audit_retention",
    tag = "audit",
    security(("key" = ["auditor"])),
    responses(
        (status = 200, description = "How long events are kept.", body = Retention),
    ),
)]
pub(super) async fn retention(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Json<Retention>, ApiError> {
    let days = app.store.audit_retention(key.org_id).await?;
    Ok(Json(Retention { days }))
}

/// Sets how long events are kept.
#[utoipa::path(
    put,
    path = "/v1/audit/retention",
    operation_id = "audit_set_retention",
    tag = "audit",
    security(("key" = ["admin"])),
    request_body = Retention,
    responses(
        (status = 200, description = "How long events are kept from now on.", body = Retention),
    ),
)]
pub(super) async fn set_retention(
    Admin(key): Admin,
    State(app): State<App>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    JsonBody(retention): JsonBody<Retention>,
) -> Result<Json<Retention>, ApiError> {
    let holds = retention
        .days
        .is_none_or(|days| (1..=RETENTION_DAYS_MAX).contains(&days));
    value::demand(holds, "days", "must be 1 to 36500, or null")?;
    let by = format!("key {}", key.id);
    app.store
        .set_audit_retention(key.org_id, retention.days, by, request_id)
        .await?;
    Ok(Json(retention))
}
