//! `/v1/agents/{id}/kill`, `/suspend` and `/revive`: orders, and how far they have come.

use std::time::{Duration, Instant};

use axum::{
    Extension, Json,
    extract::{Path, State},
};
use clampd_model::AgentState;
use serde::{Deserialize, Serialize};

use super::{
    App, RequestId,
    body::OptionalJsonBody,
    caller::Operator,
    error::{ApiError, Problem},
    value,
};
use crate::{metrics::Metrics, store::StateOrder};

/// How long a kill waits for the proxies' polls to be answered before it says that they were not.
const PUSH_TIMEOUT: Duration = Duration::from_millis(500);

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    reason: Option<String>,
    #[serde(default)]
    cascade: bool,
}

/// One part of the system that an order reached, and how long after it came.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Layer {
    layer: &'static str,
    ok: bool,
    ms: f64,
    /// Of `sessions`: how many were open.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<u64>,
}

impl Layer {
    fn reached(layer: &'static str, ms: f64) -> Self {
        Self {
            layer,
            ok: true,
            ms,
            ended: None,
        }
    }
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Obeyed {
    id: String,
    state: AgentState,
    revision: u64,
    /// Every agent whose state was changed; with `cascade`, its descendants too.
    agents: Vec<String>,
    layers: Vec<Layer>,
}

/// Kills an agent: from the answer on nothing of it is honoured.
#[utoipa::path(
    post,
    path = "/v1/agents/{id}/kill",
    operation_id = "agents_kill",
    tag = "agents",
    security(("key" = ["operator"])),
    params(("id" = String, Path, description = "Whose")),
    request_body = Option<Order>,
    responses(
        (status = 200, description = "What was reached, and when.", body = Obeyed),
    ),
)]
pub(super) async fn kill(
    caller: Operator,
    app: State<App>,
    request_id: Extension<RequestId>,
    id: Path<String>,
    OptionalJsonBody(order): OptionalJsonBody<Order>,
) -> Result<Json<Obeyed>, ApiError> {
    let State(service) = &app;
    let metrics = std::sync::Arc::clone(service);
    let obeyed = obey(caller, app, request_id, id, order, AgentState::Killed).await?;
    Metrics::add(&metrics.metrics.kills, obeyed.agents.len());
    Ok(obeyed)
}

/// Suspends an agent until it is revived.
#[utoipa::path(
    post,
    path = "/v1/agents/{id}/suspend",
    operation_id = "agents_suspend",
    tag = "agents",
    security(("key" = ["operator"])),
    params(("id" = String, Path, description = "Whose")),
    request_body = Option<Order>,
    responses(
        (status = 200, description = "What was reached, and when.", body = Obeyed),
        (status = 409, description = "It is killed.", body = Problem),
    ),
)]
pub(super) async fn suspend(
    caller: Operator,
    app: State<App>,
    request_id: Extension<RequestId>,
    id: Path<String>,
    OptionalJsonBody(order): OptionalJsonBody<Order>,
) -> Result<Json<Obeyed>, ApiError> {
    obey(caller, app, request_id, id, order, AgentState::Suspended).await
}

/// Lets an agent act again.
#[utoipa::path(
    post,
    path = "/v1/agents/{id}/revive",
    operation_id = "agents_revive",
    tag = "agents",
    security(("key" = ["operator"])),
    params(("id" = String, Path, description = "Whose")),
    request_body = Option<Order>,
    responses(
        (status = 200, description = "What was reached, and when.", body = Obeyed),
    ),
)]
pub(super) async fn revive(
    caller: Operator,
    app: State<App>,
    request_id: Extension<RequestId>,
    id: Path<String>,
    OptionalJsonBody(order): OptionalJsonBody<Order>,
) -> Result<Json<Obeyed>, ApiError> {
    obey(caller, app, request_id, id, order, AgentState::Active).await
}

async fn obey(
    Operator(key): Operator,
    State(app): State<App>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    Path(id): Path<String>,
    order: Order,
    state: AgentState,
) -> Result<Json<Obeyed>, ApiError> {
    order
        .reason
        .iter()
        .try_for_each(|reason| value::reason("reason", reason))?;
    let begun = Instant::now();
    // Taken before the change, so that it is the change's own wave of polls.
    let wave = app.store.changes().next(&key.org_id);
    let order = StateOrder {
        id: id.clone(),
        state,
        reason: order.reason,
        cascade: order.cascade,
        by: format!("key {}", key.id),
        request_id,
    };
    let done = app.store.change_state(key.org_id, order).await?;
    let committed_ms = milliseconds(begun);
    let pushed = tokio::time::timeout(PUSH_TIMEOUT, wave.closed())
        .await
        .is_ok();
    let mut layers = vec![
        Layer::reached("registry_state", done.registry_ms),
        Layer::reached("deny_list", done.deny_list_ms),
    ];
    layers.extend(done.sessions.map(|sessions| Layer {
        ended: Some(sessions.count),
        ..Layer::reached("sessions", sessions.ms)
    }));
    layers.extend([
        Layer::reached("audit", done.audit_ms),
        // From the commit on exchanges are refused and tokens that are out are not honoured.
        Layer::reached("tokens", committed_ms),
        Layer {
            ok: pushed,
            ..Layer::reached("bundle_push", milliseconds(begun))
        },
    ]);
    Ok(Json(Obeyed {
        id,
        state,
        revision: done.revision,
        agents: done.agents,
        layers,
    }))
}

fn milliseconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1_000_000.0).round() / 1_000.0
}
