//! The REST face: routes, request ids, and what every answer has in common.
//!
//! Handlers translate; what is decided and kept is elsewhere.

mod agents;
mod audit;
mod automatic_kill;
mod body;
mod bundle;
mod caller;
mod drain;
mod error;
mod keys;
mod listen;
mod orders;
mod policies;
mod rules;
mod settings;
mod status;
mod tokens;
mod tools;
mod value;

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    extract::Request,
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{delete, get, post},
};

pub(crate) use self::listen::serve;
use self::{caller::AnyCaller, error::ApiError};
use crate::{random, service::Service};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken over from a caller.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// The id of a request, in every answer and every audit event that the request makes.
#[derive(Debug, Clone)]
struct RequestId(String);

type App = Arc<Service>;

/// Every route of the service.
pub(crate) fn router(service: App) -> Router {
    Router::new()
        .route("/health", get(status::health))
        .route("/ready", get(status::ready))
        .route("/metrics", get(status::metrics))
        .route("/v1/agents", get(agents::list).post(agents::register))
        .route("/v1/agents/{id}", get(agents::show).patch(agents::patch))
        .route("/v1/agents/{id}/kill", post(orders::kill))
        .route("/v1/agents/{id}/suspend", post(orders::suspend))
        .route("/v1/agents/{id}/revive", post(orders::revive))
        .route("/v1/agents/{id}/rotate", post(agents::rotate))
        .route("/v1/keys", get(keys::list).post(keys::create))
        .route("/v1/keys/{id}", delete(keys::delete))
        .route("/v1/tools", get(tools::list))
        .route(
            "/v1/tools/{*name}",
            get(tools::show).put(tools::put).delete(tools::delete),
        )
        .route("/v1/policies", get(policies::list))
        .route(
            "/v1/policies/{id}",
            get(policies::show)
                .put(policies::put)
                .delete(policies::delete),
        )
        .route("/v1/policies/validate", post(policies::validate))
        .route("/v1/policy-reference", get(policies::reference))
        .route("/v1/evaluate", post(policies::evaluate))
        .route("/v1/rules", get(rules::list))
        .route(
            "/v1/rules/{name}",
            get(rules::show).put(rules::put).delete(rules::delete),
        )
        .route("/v1/organisation", get(settings::organisation))
        .route("/v1/settings", get(settings::show).put(settings::put))
        .route(
            "/v1/automatic-kill",
            get(automatic_kill::show)
                .put(automatic_kill::put)
                .delete(automatic_kill::delete),
        )
        .route("/v1/bundle", get(bundle::poll))
        .route("/v1/tokens/exchange", post(tokens::exchange))
        .route("/v1/tokens/revoke", post(tokens::revoke))
        .route("/v1/introspect", post(tokens::introspect))
        .route("/v1/audit/events", post(audit::ingest))
        .route("/v1/audit/query", post(audit::query))
        .route("/v1/audit/verify", get(audit::verify))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(common))
        .with_state(service)
}

/// Gives the request an id, and the answer the id and, where it is an error, its body.
async fn common(mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(&request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    request.extensions_mut().insert(RequestId(id.clone()));
    let (parts, body) = request.into_parts();
    let (body, leftover) = drain::returning(body);
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        response = error.render(&id);
    } else if is_unworded(&response) {
        response = ApiError::unworded(response.status()).render(&id);
    }
    if let Some(leftover) = leftover {
        leftover.drain(&mut response).await;
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID.clone(), id);
    }
    let (status, us) = (response.status().as_u16(), begun.elapsed().as_micros());
    tracing::debug!(%method, path, status, us, request_id = id, "answered");
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Whether it is an error that the framework answered by itself, such as a path that is no UTF-8.
fn is_unworded(response: &Response) -> bool {
    let status = response.status();
    let content_type = response.headers().get(header::CONTENT_TYPE);
    let is_json = content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    (status.is_client_error() || status.is_server_error()) && !is_json
}

fn request_id(request: &Request) -> String {
    let given = request
        .headers()
        .get(&REQUEST_ID)
        .and_then(|id| id.to_str().ok());
    let well_formed = |id: &&str| {
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte))
    };
    match given.filter(well_formed) {
        Some(id) => id.to_owned(),
        None => random::uuid().unwrap_or_else(|_| "unidentified".to_owned()),
    }
}

async fn unknown_route(_: AnyCaller) -> Response {
    ApiError::not_found("route").into_response()
}

async fn wrong_method(_: AnyCaller) -> Response {
    ApiError::method_not_allowed().into_response()
}
