//! Errors as callers see them: a sentence, a code and the request's id.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::store::StoreError;

/// The body of every error.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Problem<'e> {
    /// A sentence without a full stop.
    error: &'e str,
    /// A word for programs.
    error_code: &'e str,
    request_id: &'e str,
}

/// The body of an error at the token endpoint (RFC 6749 section 5.2).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct OauthProblem<'e> {
    /// OAuth's word; a sentence where it was the key that was refused.
    error: &'e str,
    /// A sentence without a full stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    error_description: Option<&'e str>,
    /// Our word.
    error_code: &'e str,
    request_id: &'e str,
}

/// An error on its way to a caller.
#[derive(Debug, Clone)]
pub(super) struct ApiError {
    status: StatusCode,
    code: String,
    message: String,
    /// The OAuth 2.0 error (RFC 6749 section 5.2), at the token endpoint.
    oauth: Option<&'static str>,
    retry_after_seconds: Option<u64>,
}

impl ApiError {
    fn new(status: StatusCode, code: impl Into<String>, message: impl Into<String>) -> Self {
        let (code, message) = (code.into(), message.into());
        Self {
            status,
            code,
            message,
            oauth: None,
            retry_after_seconds: None,
        }
    }

    pub(super) fn missing_api_key() -> Self {
        let message = "header `Authorization: Bearer <key>` is required";
        Self::new(StatusCode::UNAUTHORIZED, "missing_api_key", message)
    }

    pub(super) fn invalid_api_key() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "invalid_api_key",
            "API key is not known",
        )
    }

    pub(super) fn rate_limited(retry_after_seconds: u64) -> Self {
        let message = "too many requests with keys that are not known";
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message)
        }
    }

    pub(super) fn too_many_streams() -> Self {
        let message = "too many streams are open";
        Self {
            retry_after_seconds: Some(1),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message)
        }
    }

    pub(super) fn too_many_idempotency_keys() -> Self {
        let message = "too many values of `Idempotency-Key` within a day";
        Self {
            retry_after_seconds: Some(3_600),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message)
        }
    }

    pub(super) fn idempotency_key_reused() -> Self {
        let message = "`Idempotency-Key` was sent with another request";
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(status, "idempotency_key_reused", message)
    }

    pub(super) fn forbidden_role(wanted: &str) -> Self {
        let message = format!("this needs a key with the role {wanted}");
        Self::new(StatusCode::FORBIDDEN, "forbidden_role", message)
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("{what}_not_found"),
            format!("{what} not found"),
        )
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the route has no such method";
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            message,
        )
    }

    pub(super) fn conflict(code: &str, message: &str) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    pub(super) fn payload_too_large(bytes_max: usize) -> Self {
        let message = format!("body must be at most {bytes_max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message)
    }

    pub(super) fn unsupported_media_type(wanted: &str) -> Self {
        let message = format!("content-type must be {wanted}");
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            message,
        )
    }

    pub(super) fn invalid_body(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_body", message)
    }

    pub(super) fn body_timeout() -> Self {
        let message = "body took too long to come";
        Self::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message)
    }

    /// An error that only has a status.
    pub(super) fn unworded(status: StatusCode) -> Self {
        let message = status
            .canonical_reason()
            .unwrap_or("error")
            .to_ascii_lowercase();
        Self::new(status, "invalid_request", message)
    }

    pub(super) fn invalid_query(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_query", message)
    }

    pub(super) fn query_timeout(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "query_timeout", message)
    }

    /// `field` cannot have the value; `wanted` completes the sentence that begins with its name.
    pub(super) fn invalid_value(field: &str, wanted: &str) -> Self {
        let message = format!("`{field}` {wanted}");
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_value", message)
    }

    /// A text of policies that cannot be put in force.
    pub(super) fn invalid_policy(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_policy", message)
    }

    /// What failed here and not in what was asked; it is logged, not told.
    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "request failed");
        let message = "the control plane could not do it; nothing was changed";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }

    /// Rules that cannot be compiled; the message names file, line, rule and text.
    pub(super) fn invalid_rules(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_rules", message)
    }

    /// A refusal at the token endpoint.
    pub(super) fn oauth(
        status: StatusCode,
        error: &'static str,
        code: &str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            oauth: Some(error),
            ..Self::new(status, code, message)
        }
    }

    /// The same error as the token endpoint words it.
    pub(super) fn worded_for_oauth(self, error: &'static str) -> Self {
        Self {
            oauth: Some(error),
            ..self
        }
    }

    /// The answer, for the request of that id.
    pub(super) fn render(&self, request_id: &str) -> Response {
        let (message, error_code) = (self.message.as_str(), self.code.as_str());
        let mut response = match self.oauth {
            None => {
                let problem = Problem {
                    error: message,
                    error_code,
                    request_id,
                };
                (self.status, Json(problem)).into_response()
            }
            Some(oauth) => {
                let problem = OauthProblem {
                    error: oauth,
                    error_description: Some(message),
                    error_code,
                    request_id,
                };
                (self.status, Json(problem)).into_response()
            }
        };
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for ApiError {
    /// An answer with no body yet: the request's id is known further out.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(noun) => Self::not_found(noun.as_str()),
            StoreError::AlreadyExists(noun) => {
                Self::conflict("already_exists", &format!("{noun} already exists"))
            }
            StoreError::Rules(message) => Self::invalid_rules(message),
            StoreError::NamedInSettings(_) => {
                Self::conflict("named_in_settings", &error.to_string())
            }
            StoreError::SettingsChanged => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "settings_changed",
                error.to_string(),
            ),
            StoreError::UnknownName { field, name } => {
                Self::invalid_value(&field, &format!("names `{name}`, which is not there"))
            }
            StoreError::TooManyDescriptors => {
                Self::conflict("too_many_descriptors", &error.to_string())
            }
            StoreError::AgentKilled => Self::conflict("agent_killed", &error.to_string()),
            error => Self::internal(&error),
        }
    }
}
