//! `/v1/tokens` and `/v1/introspect`: micro-tokens.

use axum::{Json, extract::State, http::StatusCode};
use clampd_model::{MICRO_TOKEN_TTL_SECONDS, Tool};
use clampd_token::TOKEN_BYTES_MAX;
use serde::{Deserialize, Serialize};

use super::{
    App,
    body::{FormOrJsonBody, JsonBody},
    caller::{Operator, Proxy, ToolService},
    error::{ApiError, OauthProblem},
    value,
};
use crate::tokens::{self, Exchange, ExchangeRefusal, Introspection};

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// RFC 8693 section 2.1; fields that we do not know are left alone, as RFC 6749 wants.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct ExchangeBody {
    grant_type: Option<String>,
    subject_token: Option<String>,
    subject_token_type: Option<String>,
    tool: Option<String>,
    call_binding: Option<String>,
    scope: Option<String>,
    session_id: Option<String>,
}

/// RFC 8693 section 2.2.1.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Granted {
    access_token: String,
    issued_token_type: &'static str,
    /// `Bearer`.
    token_type: &'static str,
    /// In seconds.
    expires_in: u64,
    scope: String,
}

/// Exchanges an agent's JWT for a micro-token (RFC 8693).
#[utoipa::path(
    post,
    path = "/v1/tokens/exchange",
    operation_id = "tokens_exchange",
    tag = "tokens",
    security(("key" = ["proxy"])),
    request_body(content((ExchangeBody = "application/x-www-form-urlencoded"), (ExchangeBody = "application/json"))),
    responses(
        (status = 200, description = "A micro-token (RFC 8693 section 2.2).", body = Granted),
        (status = 400, description = "It is not granted, or the request is not well formed.", body = OauthProblem),
        (status = 403, description = "The agent may not, or the role of the key may not.", body = OauthProblem),
    ),
)]
pub(super) async fn exchange(
    Proxy(key): Proxy,
    State(app): State<App>,
    body: Result<FormOrJsonBody<ExchangeBody>, ApiError>,
) -> Result<Json<Granted>, ApiError> {
    let request = body
        .map_err(|error| error.worded_for_oauth("invalid_request"))
        .and_then(|FormOrJsonBody(body)| checked(body));
    let request = request.inspect_err(|_| app.metrics.exchanged("invalid_request"))?;
    let granted = match tokens::exchange(&app, &key.org_id, request).await? {
        Ok(granted) => granted,
        Err(refusal) => {
            app.metrics.exchanged(refusal.code());
            return Err(refused(refusal));
        }
    };
    app.metrics.exchanged("issued");
    Ok(Json(Granted {
        access_token: granted.token,
        issued_token_type: JWT,
        token_type: "Bearer",
        expires_in: MICRO_TOKEN_TTL_SECONDS,
        scope: granted.scope,
    }))
}

fn checked(body: ExchangeBody) -> Result<Exchange, ApiError> {
    let invalid = |error: &'static str, field: &str, wanted: &str| {
        let message = format!("`{field}` {wanted}");
        ApiError::oauth(StatusCode::BAD_REQUEST, error, "invalid_value", message)
    };
    let required = |field: &str, text: Option<String>| {
        text.ok_or_else(|| invalid("invalid_request", field, "is required"))
    };
    let as_oauth = |outcome: Result<(), ApiError>| {
        outcome.map_err(|error| error.worded_for_oauth("invalid_request"))
    };
    if required("grant_type", body.grant_type)? != TOKEN_EXCHANGE {
        let wanted = format!("must be `{TOKEN_EXCHANGE}`");
        return Err(invalid("unsupported_grant_type", "grant_type", &wanted));
    }
    if required("subject_token_type", body.subject_token_type)? != JWT {
        let wanted = format!("must be `{JWT}`");
        return Err(invalid("invalid_request", "subject_token_type", &wanted));
    }
    let agent_jwt = required("subject_token", body.subject_token)?;
    if agent_jwt.len() > TOKEN_BYTES_MAX {
        return Err(invalid("invalid_request", "subject_token", "is too long"));
    }
    let tool = required("tool", body.tool)?;
    if !Tool::is_name(&tool) {
        return Err(invalid("invalid_request", "tool", "is no tool's name"));
    }
    let call_binding = required("call_binding", body.call_binding)?;
    as_oauth(value::sha256("call_binding", &call_binding))?;
    let session_id = body.session_id.filter(|id| !id.is_empty());
    session_id
        .iter()
        .try_for_each(|id| as_oauth(value::token_text("session_id", id)))?;
    let scope = body.scope.filter(|scope| !scope.is_empty());
    for word in scope.iter().flat_map(|scope| scope.split(' ')) {
        as_oauth(value::scope("scope", word))?;
    }
    Ok(Exchange {
        agent_jwt,
        tool,
        call_binding,
        scope,
        session_id,
    })
}

fn refused(refusal: ExchangeRefusal) -> ApiError {
    let (status, error) = match refusal {
        ExchangeRefusal::Jwt(_) => (StatusCode::BAD_REQUEST, "invalid_grant"),
        ExchangeRefusal::Killed | ExchangeRefusal::Suspended | ExchangeRefusal::SessionEnded => {
            (StatusCode::FORBIDDEN, "invalid_grant")
        }
        ExchangeRefusal::UnknownTool => (StatusCode::BAD_REQUEST, "invalid_target"),
        ExchangeRefusal::Scope => (StatusCode::FORBIDDEN, "invalid_scope"),
    };
    ApiError::oauth(status, error, refusal.code(), refusal.to_string())
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub(super) struct IntrospectBody {
    token: String,
}

/// Says whether a micro-token is good, and uses it up (RFC 7662).
#[utoipa::path(
    post,
    path = "/v1/introspect",
    operation_id = "tokens_introspect",
    tag = "tokens",
    security(("key" = ["tool"])),
    request_body(content((IntrospectBody = "application/x-www-form-urlencoded"), (IntrospectBody = "application/json"))),
    responses(
        (status = 200, description = "Whether it is good; it is used up now (RFC 7662 section 2.2).", body = Introspection),
    ),
)]
pub(super) async fn introspect(
    ToolService(key): ToolService,
    State(app): State<App>,
    FormOrJsonBody(body): FormOrJsonBody<IntrospectBody>,
) -> Result<Json<Introspection>, ApiError> {
    let audience = key.audience.as_deref();
    let answer = tokens::introspect(&app, &key.org_id, audience, &body.token).await?;
    app.metrics.introspected(answer.result());
    Ok(Json(answer))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RevokeBody {
    jti: Option<String>,
    token: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Revoked {
    /// Always true.
    revoked: bool,
}

/// Revokes a micro-token.
#[utoipa::path(
    post,
    path = "/v1/tokens/revoke",
    operation_id = "tokens_revoke",
    tag = "tokens",
    security(("key" = ["operator"])),
    request_body = RevokeBody,
    responses(
        (status = 200, description = "It is good for nothing any more.", body = Revoked),
    ),
)]
pub(super) async fn revoke(
    Operator(key): Operator,
    State(app): State<App>,
    JsonBody(body): JsonBody<RevokeBody>,
) -> Result<Json<Revoked>, ApiError> {
    let jti = match (body.jti, body.token) {
        (Some(jti), None) => jti,
        (None, Some(token)) => match tokens::verify(&app, &key.org_id, &token).await? {
            Ok(claims) => claims.jti,
            Err(error) => {
                return Err(ApiError::invalid_value("token", &format!("is {error}")));
            }
        },
        _ => return Err(ApiError::invalid_body("wanted either `jti` or `token`")),
    };
    value::token_text("jti", &jti)?;
    tokens::revoke(&app, &key.org_id, jti).await?;
    Ok(Json(Revoked { revoked: true }))
}
