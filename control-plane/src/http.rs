//! The REST face: routes, request ids, and what every answer has in common.
//!
//! Handlers translate; what is decided and kept is elsewhere.

mod agents;
mod audit;
mod audit_export;
mod audit_stream;
mod automatic_kill;
mod body;
mod bundle;
mod caller;
mod drain;
mod error;
mod idempotency;
mod keys;
mod listen;
mod openapi;
mod orders;
mod page;
mod policies;
mod rules;
mod settings;
mod status;
mod streaming;
mod tokens;
mod tool_approvals;
mod tools;
mod value;

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use self::{audit_stream::STREAMS_MAX, listen::serve};
use self::{caller::AnyCaller, error::ApiError};
use crate::{random, service::Service, traces};

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest request id that is taken over from a caller.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// The id of a request, in every answer and every audit event that the request makes.
#[derive(Debug, Clone)]
struct RequestId(String);

type App = Arc<Service>;

/// Every route of the service.
pub(crate) fn router(service: App) -> Router {
    let (routes, document) = routes().split_for_parts();
    let once = middleware::from_fn_with_state(Arc::clone(&service), idempotency::once);
    routes
        .route_layer(once)
        .route("/openapi.json", openapi::document(document))
        .merge(openapi::page())
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&service), common))
        .with_state(service)
}

/// The OpenAPI document of every route, as JSON.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn openapi() -> serde_json::Result<String> {
    openapi::text(routes().into_openapi())
}

/// The routes with what the document says of them: none can be served without standing in it.
fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::beginning())
        .routes(routes!(status::health))
        .routes(routes!(status::ready))
        .routes(routes!(status::metrics))
        .routes(routes!(agents::list, agents::register))
        .routes(routes!(agents::show, agents::patch))
        .routes(routes!(orders::kill))
        .routes(routes!(orders::suspend))
        .routes(routes!(orders::revive))
        .routes(routes!(agents::rotate))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::delete))
        .routes(routes!(tools::list))
        .routes(routes!(tools::show, tools::put, tools::delete))
        .routes(routes!(tool_approvals::decide))
        .routes(routes!(policies::list))
        .routes(routes!(policies::show, policies::put, policies::delete))
        .routes(routes!(policies::validate))
        .routes(routes!(policies::reference))
        .routes(routes!(policies::evaluate))
        .routes(routes!(rules::list))
        .routes(routes!(rules::show, rules::put, rules::delete))
        .routes(routes!(settings::organisation))
        .routes(routes!(settings::jwks))
        .routes(routes!(settings::show, settings::put))
        .routes(routes!(
            automatic_kill::show,
            automatic_kill::put,
            automatic_kill::delete
        ))
        .routes(routes!(bundle::poll))
        .routes(routes!(tokens::exchange))
        .routes(routes!(tokens::revoke))
        .routes(routes!(tokens::introspect))
        .routes(routes!(audit::ingest))
        .routes(routes!(audit::query))
        .routes(routes!(audit::verify))
        .routes(routes!(audit_export::export))
        .routes(routes!(audit_stream::follow))
        .routes(routes!(audit::retention, audit::set_retention))
}

/// Gives the request an id, and the answer the id and, where it is an error, its body.
async fn common(State(service): State<App>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(&request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let span = service.traces.as_ref();
    let span = span.map(|traces| traces.begin(&request, &id));
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
    if let Some(span) = span {
        traces::end(span, &response);
    }
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
