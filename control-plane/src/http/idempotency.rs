//! `Idempotency-Key`: a write that is asked for again is answered again, and not done again.
//!
//! Only administration is meant. A token's introspection must never be answered from memory, and
//! audit events have ids of their own.

use axum::{
    body::{self, Body, Bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clampd_token::sha256_hex;
use serde::{Deserialize, Serialize};

use super::{
    App,
    body::{OBJECT_BYTES_MAX, read},
    caller::authenticate,
    error::ApiError,
};
use crate::store::{Attempt, ChosenKey};

static IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// In an answer that was given before.
static REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;

/// The largest answer that is kept.
const ANSWER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// The beginnings of the paths whose writes are done once where a key is given.
const PATHS: [&str; 9] = [
    "/v1/agents",
    "/v1/keys",
    "/v1/tools",
    "/v1/policies",
    "/v1/rules",
    "/v1/settings",
    "/v1/automatic-kill",
    "/v1/tokens/revoke",
    "/v1/audit/retention",
];

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    content_type: Option<String>,
    etag: Option<String>,
    /// In base64.
    body: String,
}

/// Whether the path's writes take a key.
pub(super) fn applies(method: &Method, path: &str) -> bool {
    let writes = matches!(
        *method,
        Method::POST | Method::PUT | Method::PATCH | Method::DELETE
    );
    writes && PATHS.iter().any(|begin| path.starts_with(begin))
}

/// Lets a write with a key be done once.
pub(super) async fn once(State(app): State<App>, request: Request, next: Next) -> Response {
    let applies = applies(request.method(), request.uri().path());
    if !applies || !request.headers().contains_key(&IDEMPOTENCY_KEY) {
        return next.run(request).await;
    }
    // Whoever asked may go away before the answer is there; it is kept all the same.
    let done = tokio::spawn(async move { attempt(&app, request, next).await });
    match done.await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => error.into_response(),
        Err(_) => ApiError::unworded(StatusCode::INTERNAL_SERVER_ERROR).into_response(),
    }
}

async fn attempt(app: &App, request: Request, next: Next) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let caller = authenticate(&parts, app).await?;
    let chosen = ChosenKey {
        org_id: caller.org_id,
        caller: caller.id,
        key: chosen_key(&parts)?,
    };
    let bytes = read(Request::from_parts(parts.clone(), body), OBJECT_BYTES_MAX).await?;
    let hash = request_hash(&parts, &bytes);
    match app.store.begin_once(chosen.clone(), hash).await? {
        Attempt::First => {}
        Attempt::Done(kept) => return replayed(&kept),
        Attempt::Open => {
            let message = "a request with this `Idempotency-Key` goes on, or was cut off: look \
                           before you ask with another";
            return Err(ApiError::conflict("idempotency_key_in_use", message));
        }
        Attempt::OtherRequest => return Err(ApiError::idempotency_key_reused()),
        Attempt::TooMany => return Err(ApiError::too_many_idempotency_keys()),
    }
    let response = next
        .run(Request::from_parts(parts, Body::from(bytes)))
        .await;
    if response.status().is_success() {
        return keep(app, chosen, response).await;
    }
    // Except where the database did not say: then nobody knows.
    if !response.status().is_server_error() {
        app.store.end_once(chosen, None).await?;
    }
    Ok(response)
}

fn chosen_key(parts: &Parts) -> Result<String, ApiError> {
    let mut given = parts.headers.get_all(&IDEMPOTENCY_KEY).iter();
    let key = given.next().and_then(|key| key.to_str().ok());
    let well_formed = |key: &&str| {
        (1..=KEY_BYTES_MAX).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match (key.filter(well_formed), given.next()) {
        (Some(key), None) => Ok(key.to_owned()),
        _ => Err(ApiError::invalid_value(
            "idempotency-key",
            "must be 1 to 255 printable characters without spaces",
        )),
    }
}

/// What makes two requests the same.
fn request_hash(parts: &Parts, body: &Bytes) -> String {
    let mut text = format!("{} {}\n", parts.method, parts.uri).into_bytes();
    for name in [header::CONTENT_TYPE, header::IF_MATCH] {
        for value in parts.headers.get_all(&name) {
            text.extend_from_slice(value.as_bytes());
        }
        text.push(b'\n');
    }
    text.extend_from_slice(body);
    sha256_hex(&text)
}

async fn keep(app: &App, chosen: ChosenKey, response: Response) -> Result<Response, ApiError> {
    let (parts, body) = response.into_parts();
    let bytes = body::to_bytes(body, ANSWER_BYTES_MAX).await;
    let bytes = bytes.map_err(|error| ApiError::internal(&error))?;
    let text = |name: HeaderName| {
        let value = parts.headers.get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let kept = Kept {
        status: parts.status.as_u16(),
        content_type: text(header::CONTENT_TYPE),
        etag: text(header::ETAG),
        body: STANDARD.encode(&bytes),
    };
    let kept = serde_json::to_vec(&kept).map_err(|error| ApiError::internal(&error))?;
    app.store.end_once(chosen, Some(kept)).await?;
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn replayed(kept: &[u8]) -> Result<Response, ApiError> {
    let kept: Kept = serde_json::from_slice(kept).map_err(|error| ApiError::internal(&error))?;
    let body = STANDARD.decode(&kept.body);
    let body = body.map_err(|error| ApiError::internal(&error))?;
    let status = StatusCode::from_u16(kept.status);
    let status = status.map_err(|error| ApiError::internal(&error))?;
    let mut response = (status, Body::from(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(REPLAYED.clone(), HeaderValue::from_static("true"));
    for (name, value) in [
        (header::CONTENT_TYPE, kept.content_type),
        (header::ETAG, kept.etag),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}
