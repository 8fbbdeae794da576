//! Bodies: bounded, typed, refused with a reason that repeats nothing secret.

use std::time::Duration;

use axum::{
    body,
    extract::{FromRequest, Request},
    http::header,
};
use clampd_rule_compiler::FILE_BYTES_MAX;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::{App, error::ApiError};

/// The largest body of a route that takes one object.
pub(super) const OBJECT_BYTES_MAX: usize = 256 * 1024;

/// The largest batch of audit events.
const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long a body may take to come.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// A JSON body of at most 256 KiB.
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

/// A JSON body of at most 256 KiB, or none.
#[derive(Debug)]
pub(super) struct OptionalJsonBody<T>(pub(super) T);

/// A JSON body of at most 8 MiB.
#[derive(Debug)]
pub(super) struct BatchBody<T>(pub(super) T);

/// A form (`application/x-www-form-urlencoded`) or JSON body with the same fields.
#[derive(Debug)]
pub(super) struct FormOrJsonBody<T>(pub(super) T);

/// A file of rules in TOML.
#[derive(Debug)]
pub(super) struct TomlBody(pub(super) String);

impl FromRequest<App> for TomlBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        let is_toml = media_type(&request)
            .is_some_and(|media_type| media_type.eq_ignore_ascii_case("application/toml"));
        if !is_toml {
            return Err(ApiError::unsupported_media_type("application/toml"));
        }
        let bytes = read(request, FILE_BYTES_MAX).await?;
        let text = String::from_utf8(bytes.into());
        text.map(Self)
            .map_err(|_| ApiError::invalid_body("body is not UTF-8"))
    }
}

impl<T: DeserializeOwned> FromRequest<App> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        demand_json(&request)?;
        parse_json(&read(request, OBJECT_BYTES_MAX).await?).map(Self)
    }
}

impl<T: DeserializeOwned + Default> FromRequest<App> for OptionalJsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        let json = demand_json(&request);
        let bytes = read(request, OBJECT_BYTES_MAX).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        json?;
        parse_json(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<App> for BatchBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        demand_json(&request)?;
        parse_json(&read(request, BATCH_BYTES_MAX).await?).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequest<App> for FormOrJsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &App) -> Result<Self, ApiError> {
        let is_form = media_type(&request)
            .is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded"));
        if !is_form && demand_json(&request).is_err() {
            let wanted = "application/x-www-form-urlencoded or application/json";
            return Err(ApiError::unsupported_media_type(wanted));
        }
        let bytes = read(request, OBJECT_BYTES_MAX).await?;
        if !is_form {
            return parse_json(&bytes).map(Self);
        }
        serde_urlencoded::from_bytes(&bytes)
            .map(Self)
            .map_err(|error| ApiError::invalid_body(without_values(&error.to_string())))
    }
}

fn media_type(request: &Request) -> Option<&str> {
    let value = request.headers().get(header::CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(str::trim)
}

fn demand_json(request: &Request) -> Result<(), ApiError> {
    let is_json = media_type(request).is_some_and(|media_type| {
        media_type.eq_ignore_ascii_case("application/json") || media_type.ends_with("+json")
    });
    if is_json {
        Ok(())
    } else {
        Err(ApiError::unsupported_media_type("application/json"))
    }
}

pub(super) async fn read(request: Request, bytes_max: usize) -> Result<body::Bytes, ApiError> {
    let encoding = request.headers().get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| encoding != "identity") {
        return Err(ApiError::unsupported_media_type(
            "sent without content-encoding",
        ));
    }
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > bytes_max) {
        return Err(ApiError::payload_too_large(bytes_max));
    }
    let reading = body::to_bytes(request.into_body(), bytes_max);
    let Ok(read) = tokio::time::timeout(READ_TIMEOUT, reading).await else {
        return Err(ApiError::body_timeout());
    };
    read.map_err(|error| {
        let source = std::error::Error::source(&error);
        match source.map(|source| source.is::<http_body_util::LengthLimitError>()) {
            Some(true) => ApiError::payload_too_large(bytes_max),
            _ => ApiError::invalid_body("body was cut off"),
        }
    })
}

fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(bytes).map_err(|error| {
        let message = match error.classify() {
            Category::Data => without_values(&error.to_string()),
            _ => format!(
                "body is not JSON: line {} column {}",
                error.line(),
                error.column()
            ),
        };
        ApiError::invalid_body(message)
    })
}

/// The message without what the caller wrote: `invalid type: string "ags_…", expected u64` tells a
/// secret that stands in the wrong place.
fn without_values(message: &str) -> String {
    for kind in ["invalid type", "invalid value", "invalid length"] {
        if message.starts_with(kind) {
            return match message.rsplit_once(", expected ") {
                Some((_, expected)) => format!("{kind}, expected {expected}"),
                None => kind.to_owned(),
            };
        }
    }
    message.to_owned()
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn an_error_about_a_body_does_not_repeat_its_values() {
        let error = serde_json::from_str::<Vec<u8>>("[\"ags_secret\"]").unwrap_err();
        let message = without_values(&error.to_string());
        assert_eq!(message, "invalid type, expected u8 at line 1 column 13");
    }
}
