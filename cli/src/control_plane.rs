//! The control plane as the verbs ask it.

use serde_json::Value;
use ureq::http::header;

use crate::{
    context,
    error::CliError,
    global::Global,
    http::{Answer, Body, Service},
};

/// The control plane of the context in use.
#[derive(Debug)]
pub(crate) struct ControlPlane(Service);

impl ControlPlane {
    /// The one of the context in use, with its key.
    pub(crate) fn of(global: &Global) -> Result<Self, CliError> {
        let context = context::in_use(global)?;
        let token = context.api_token.expose();
        if token.is_empty() {
            return Err(CliError::NotFound(format!(
                "the context `{}` has no `api_token`: set it with `clampd context add {} --replace \
                 --set-api-token KEY`, or set CLAMPD_API_TOKEN",
                context.name, context.name
            )));
        }
        let service = Service::new("control plane", &context.dashboard_url, global)?;
        let bearer = format!("Bearer {token}");
        Ok(Self(service.with(header::AUTHORIZATION, bearer)))
    }

    /// The same without a key, for what anybody may ask.
    pub(crate) fn anonymous(global: &Global) -> Result<Self, CliError> {
        let context = context::in_use(global)?;
        Service::new("control plane", &context.dashboard_url, global).map(Self)
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        self.0.url()
    }

    /// Asks, whatever the answer.
    pub(crate) fn ask(&self, path: &str) -> Result<Answer, CliError> {
        self.0.send("GET", path, None)
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, CliError> {
        self.ask(path)?.expect_success()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.0.send("POST", path, Some(body))?.expect_success()
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.0.send("PUT", path, Some(body))?.expect_success()
    }

    pub(crate) fn patch(&self, path: &str, body: &Value) -> Result<Value, CliError> {
        self.0.send("PATCH", path, Some(body))?.expect_success()
    }

    pub(crate) fn send(&self, method: &str, path: &str, body: &Body) -> Result<Answer, CliError> {
        self.0.send_body(method, path, Some(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Result<(), CliError> {
        self.0.send("DELETE", path, None)?.expect_success()?;
        Ok(())
    }
}

/// A field of an answer as text; empty when it is absent or something else.
pub(crate) fn text_of<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// A field of an answer as a list; empty when it is absent or something else.
pub(crate) fn list_of<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    value
        .get(field)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
