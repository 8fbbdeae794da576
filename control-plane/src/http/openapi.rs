//! `/openapi.json` and `/docs`: what the service can be asked, for programs and for people.
//!
//! What a route takes and answers stands beside its handler; what all of them have in common, the
//! errors, is put in here. Both are told to anyone: there is nothing of an organisation in them.

use axum::{
    Router,
    http::{HeaderValue, Method, header},
    response::IntoResponse,
    routing::{MethodRouter, get},
};
use utoipa::{
    OpenApi as _,
    openapi::{
        Content, Object, OpenApi, Ref, RefOr, ResponseBuilder, Type,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn, Paths},
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use super::{
    App,
    error::{OauthProblem, Problem},
    idempotency,
};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Clampd control plane",
        description = "Agents, tools, policies, keys, tokens, bundles, kills and the audit trail. \
                       The role that a route asks of a key stands in its `security`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(Problem, OauthProblem))
)]
struct Beginning;

/// The document before any route stands in it.
pub(super) fn beginning() -> OpenApi {
    let mut document = Beginning::openapi();
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A key of the role: `ag_live_…` or `ag_test_…`."))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("key", SecurityScheme::Http(key));
    document
}

/// The document as JSON, complete.
pub(super) fn text(mut document: OpenApi) -> serde_json::Result<String> {
    document.paths = completed(document.paths);
    document.to_pretty_json()
}

/// What answers `/openapi.json`.
pub(super) fn document(document: OpenApi) -> MethodRouter<App> {
    // Made once; what cannot be written as JSON is told as an empty document.
    let text = text(document).unwrap_or_else(|_| "{}".to_owned());
    get(move || async move { ([(header::CONTENT_TYPE, "application/json")], text) })
}

/// The page, which needs nothing but this service and may reach nothing else.
pub(super) fn page() -> Router<App> {
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move {
            let policy = HeaderValue::from_static(POLICY);
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
                (header::CONTENT_SECURITY_POLICY, policy),
            ];
            (headers, text).into_response()
        })
    };
    let html = "text/html; charset=utf-8";
    let css = "text/css; charset=utf-8";
    let script = "text/javascript; charset=utf-8";
    Router::new()
        .route("/docs", file(html, include_str!("openapi/page.html")))
        .route(
            "/docs/page.css",
            file(css, include_str!("openapi/page.css")),
        )
        .route(
            "/docs/page.js",
            file(script, include_str!("openapi/page.js")),
        )
}

/// The paths as OpenAPI writes them, each operation with the errors that it shares with others.
fn completed(paths: Paths) -> Paths {
    let mut completed = Paths::new();
    for (path, mut item) in paths.paths {
        for (method, operation) in [
            (Method::GET, &mut item.get),
            (Method::PUT, &mut item.put),
            (Method::POST, &mut item.post),
            (Method::DELETE, &mut item.delete),
            (Method::PATCH, &mut item.patch),
        ] {
            let Some(operation) = operation else { continue };
            let once = idempotency::applies(&method, &path);
            if once {
                let parameters = operation.parameters.get_or_insert_default();
                parameters.push(RefOr::T(idempotency_key()));
            }
            add_errors(operation, once);
        }
        // `{*name}` is the router's word for a name with slashes in it.
        completed.paths.insert(path.replace("{*", "{"), item);
    }
    completed
}

fn idempotency_key() -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "Of the caller's choice, 1 to 255 characters: the same request with it is answered \
             again within a day, and not done again.",
        ))
        .schema(Some(Object::with_type(Type::String)))
        .build()
}

fn add_errors(operation: &mut Operation, once: bool) {
    let parameters = operation.parameters.iter().flatten();
    let is_in = |wanted: &ParameterIn| {
        let mut parameters = parameters.clone();
        parameters.any(|parameter| {
            matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == *wanted)
        })
    };
    let (path, query) = (is_in(&ParameterIn::Path), is_in(&ParameterIn::Query));
    let header = is_in(&ParameterIn::Header);
    let body = operation.request_body.is_some();
    let key = operation.security.is_some();
    let errors = [
        (400, path || body, "The path or the body cannot be read."),
        (401, key, "There is no key, or none that is known."),
        (403, key, "The key has another role."),
        (404, path, "There is no such thing."),
        (408, body, "The body took too long to come."),
        (
            409,
            once,
            "A request with this `Idempotency-Key` goes on or was cut off.",
        ),
        (413, body, "The body is too large."),
        (415, body, "The body is of another type."),
        (
            422,
            path || query || header || body,
            "A value cannot be taken.",
        ),
        (
            429,
            key,
            "Too many keys were tried that are not known, or too much is open.",
        ),
        (
            500,
            true,
            "The control plane could not do it; nothing was changed.",
        ),
    ];
    let is_token_endpoint = operation.operation_id.as_deref() == Some("tokens_exchange");
    for (status, applies, description) in errors {
        let known = &mut operation.responses.responses;
        if !applies || known.contains_key(&status.to_string()) {
            continue;
        }
        let of_oauth = is_token_endpoint && matches!(status, 408 | 413 | 415 | 422);
        let problem = if of_oauth { "OauthProblem" } else { "Problem" };
        let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name(problem))));
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/json", content);
        known.insert(status.to_string(), RefOr::T(response.build()));
    }
}
