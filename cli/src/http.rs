//! HTTP as far as the verbs need it: one request, its status and its JSON.

use std::{fs, time::Duration};

use clampd_model::Secret;
use serde_json::Value;
use ureq::{
    http::{self, Request, header},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

use crate::{error::CliError, global::Global};

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer that is read: an audit query of 10,000 rows fits well.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A service and the headers that every request to it carries.
#[derive(Debug)]
pub(crate) struct Service {
    name: &'static str,
    url: String,
    headers: Vec<(http::HeaderName, Secret)>,
    agent: ureq::Agent,
}

/// What is sent.
#[derive(Debug)]
pub(crate) struct Body {
    content_type: &'static str,
    text: String,
    if_match: Option<String>,
}

impl Body {
    pub(crate) fn json(value: &Value) -> Self {
        Self {
            content_type: "application/json",
            text: value.to_string(),
            if_match: None,
        }
    }

    pub(crate) fn toml(text: String) -> Self {
        Self {
            content_type: "application/toml",
            text,
            if_match: None,
        }
    }

    /// The same for a request that is refused unless what it changes still has this tag.
    #[must_use]
    pub(crate) fn if_match(self, tag: Option<String>) -> Self {
        Self {
            if_match: tag,
            ..self
        }
    }
}

/// What a service answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    /// Its `ETag`.
    pub(crate) tag: Option<String>,
    service: &'static str,
    url: String,
}

impl Service {
    /// A service at `url`. Nothing but the URL's own host is ever asked: redirects are answers.
    pub(crate) fn new(name: &'static str, url: &str, global: &Global) -> Result<Self, CliError> {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("clampd-cli/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(ANSWER_TIMEOUT));
        if is_loopback(url) {
            // A proxy for the outside knows nothing of this machine's own services.
            config = config.proxy(None);
        }
        if let Some(path) = &global.ca_file {
            let pem = fs::read(path).map_err(CliError::file(path))?;
            let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if certificates.is_empty() {
                let wanted = format!("`{}` holds no certificate in PEM", path.display());
                return Err(CliError::Usage(wanted));
            }
            let roots = RootCerts::new_with_certs(&certificates);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(Self {
            name,
            url: url.to_owned(),
            headers: Vec::new(),
            agent: config.build().into(),
        })
    }

    /// The service with one more header on every request.
    #[must_use]
    pub(crate) fn with(mut self, name: http::HeaderName, value: String) -> Self {
        self.headers.push((name, Secret::new(value)));
        self
    }

    /// Where it is.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Sends one request; `body` goes as JSON.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, CliError> {
        self.send_body(method, path, body.map(Body::json).as_ref())
    }

    /// Sends one request.
    pub(crate) fn send_body(
        &self,
        method: &str,
        path: &str,
        body: Option<&Body>,
    ) -> Result<Answer, CliError> {
        let url = format!("{}{path}", self.url);
        let no_answer = |reason: String| CliError::NoAnswer {
            service: self.name,
            url: self.url.clone(),
            reason,
        };
        let mut request = Request::builder().method(method).uri(&url);
        for (name, value) in &self.headers {
            request = request.header(name, value.expose());
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, body.content_type);
            if let Some(tag) = &body.if_match {
                request = request.header(header::IF_MATCH, tag);
            }
        }
        let bytes = body.map(|body| body.text.as_str()).unwrap_or_default();
        // The error could show the headers, and with them a key.
        let request = request.body(bytes);
        let request = request.map_err(|_| no_answer("the request cannot be written".to_owned()))?;
        let answer = self.agent.run(request);
        let mut answer = answer.map_err(|e| no_answer(e.to_string()))?;
        let limited = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX);
        let text = limited
            .read_to_string()
            .map_err(|e| no_answer(e.to_string()))?;
        let tag = answer.headers().get(header::ETAG);
        let tag = tag.and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok(Answer {
            status: answer.status().as_u16(),
            tag,
            text,
            service: self.name,
            url: self.url.clone(),
        })
    }
}

impl Answer {
    /// Whether the status is one of success.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON; `null` for an empty one.
    pub(crate) fn json(&self) -> Result<Value, CliError> {
        if self.text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&self.text).map_err(|_| CliError::NoAnswer {
            service: self.service,
            url: self.url.clone(),
            reason: format!("status {} with a body that is not JSON", self.status),
        })
    }

    /// The body of a success; the service's own words when it refused.
    pub(crate) fn expect_success(self) -> Result<Value, CliError> {
        if self.is_success() {
            return self.json();
        }
        let body: Value = serde_json::from_str(&self.text).unwrap_or(Value::Null);
        let text = |field: &str| body.get(field).and_then(Value::as_str).map(str::to_owned);
        Err(CliError::Refused {
            service: self.service,
            status: self.status,
            code: text("error_code").unwrap_or_else(|| "no error code".to_owned()),
            message: text("error").unwrap_or_else(|| "no reason given".to_owned()),
        })
    }
}

fn is_loopback(url: &str) -> bool {
    let uri: Result<http::Uri, _> = url.parse();
    let Ok(uri) = uri else { return false };
    let host = uri.host().unwrap_or_default();
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

/// A piece of a path, percent-encoded (RFC 3986 section 2.1) but for what names are made of.
pub(crate) fn path_segment(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{is_loopback, path_segment};

    #[test]
    fn what_is_typed_cannot_leave_its_place_in_a_path() {
        for (typed, sent) in [
            ("my-agent", "my-agent"),
            ("a/../../keys?x=1#y", "a%2F..%2F..%2Fkeys%3Fx%3D1%23y"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(path_segment(typed), sent);
        }
    }

    #[test]
    fn only_this_machine_is_reached_without_a_proxy() {
        for (url, loopback) in [
            ("http://127.0.0.1:3001", true),
            ("http://localhost:8080", true),
            ("http://[::1]:8080", true),
            ("https://api.example.com", false),
            ("http://localhost.example.com", false),
        ] {
            assert_eq!(is_loopback(url), loopback, "{url}");
        }
    }
}
