//! Traces, where a collector is configured: a span for each request, handed in by OTLP over HTTP.
//!
//! A span says which route was asked, what was answered and the request's id; nothing that stands in
//! a path, a header or a body. Without a collector nothing of this is made.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use axum::{
    body::Bytes,
    extract::{MatchedPath, Request},
    http::{self, StatusCode, Uri},
    response::Response,
};
use opentelemetry::{
    KeyValue,
    propagation::TextMapPropagator as _,
    trace::{Span as _, SpanKind, Status, Tracer as _, TracerProvider as _},
};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider, Span},
};

/// What the service calls itself where `OTEL_SERVICE_NAME` does not say otherwise.
const SERVICE_NAME: &str = "clampd-control-plane";

/// Where a collector takes spans, below its endpoint.
const TRACES_PATH: &str = "/v1/traces";

/// How long a collector may take to answer, and the last spans may take to go when the service ends.
const COLLECTOR_TIMEOUT: Duration = Duration::from_secs(2);

/// A collector that spans are handed in to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    traces_url: String,
}

impl Collector {
    /// Reads the collector's endpoint, such as `http://127.0.0.1:4318`.
    ///
    /// # Errors
    /// When it is no `http` or `https` URL.
    pub fn parse(endpoint: &str) -> anyhow::Result<Self> {
        let wanted = "wanted a URL such as `http://127.0.0.1:4318`";
        let uri: Uri = endpoint.parse().context(wanted)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.query().is_some() {
            bail!(wanted);
        }
        let endpoint = endpoint.trim_end_matches('/');
        let base = endpoint.strip_suffix(TRACES_PATH).unwrap_or(endpoint);
        Ok(Self {
            traces_url: format!("{base}{TRACES_PATH}"),
        })
    }
}

/// What makes spans.
#[derive(Debug)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Begins to hand in spans, from a thread of its own.
    ///
    /// # Errors
    /// When what `OTEL_…` variables say cannot be used.
    pub(crate) fn start(collector: &Collector) -> anyhow::Result<Self> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender::new())
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&collector.traces_url)
            .build()
            .context("preparing traces")?;
        let name = std::env::var("OTEL_SERVICE_NAME").ok();
        let name = name.filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| SERVICE_NAME.to_owned());
        let resource = Resource::builder()
            .with_service_name(name)
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        let tracer = provider.tracer(SERVICE_NAME);
        Ok(Self { provider, tracer })
    }

    /// Begins the span of a request; it belongs to the trace of `traceparent`, where there is one.
    pub(crate) fn begin(&self, request: &Request, request_id: &str) -> Span {
        let method = request.method().as_str();
        let route = request.extensions().get::<MatchedPath>();
        let mut attributes = vec![
            KeyValue::new("http.request.method", method.to_owned()),
            KeyValue::new("clampd.request_id", request_id.to_owned()),
        ];
        let name = match route {
            Some(route) => {
                let route = route.as_str().to_owned();
                let name = format!("{method} {route}");
                attributes.push(KeyValue::new("http.route", route));
                name
            }
            None => method.to_owned(),
        };
        let parent = TraceContextPropagator::new().extract(&HeaderExtractor(request.headers()));
        self.tracer
            .span_builder(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes)
            .start_with_context(&self.tracer, &parent)
    }

    /// Hands in what is still here, and ends. This blocks.
    pub(crate) fn stop(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(COLLECTOR_TIMEOUT) {
            tracing::warn!(%error, "the last spans were not handed in");
        }
    }
}

/// Ends the span of a request with what was answered.
pub(crate) fn end(mut span: Span, response: &Response) {
    let status = response.status();
    let code = i64::from(status.as_u16());
    span.set_attribute(KeyValue::new("http.response.status_code", code));
    if status.is_server_error() {
        span.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
        span.set_status(Status::error(""));
    }
    span.end();
}

/// Carries spans to the collector. It blocks, as the thread that uses it may.
#[derive(Debug, Clone)]
struct Sender(Arc<ureq::Agent>);

impl Sender {
    fn new() -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(COLLECTOR_TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .build();
        Self(Arc::new(config.into()))
    }

    fn send(&self, request: http::Request<Bytes>) -> Result<StatusCode, ureq::Error> {
        let answer = self.0.run(request.map(|body| body.to_vec()))?;
        Ok(answer.status())
    }
}

#[async_trait::async_trait]
impl HttpClient for Sender {
    async fn send_bytes(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, HttpError> {
        let sent = self.send(request);
        match &sent {
            Ok(status) if status.is_success() => {}
            Ok(status) => tracing::warn!(%status, "the collector did not take spans"),
            Err(error) => tracing::warn!(%error, "no span could be handed in"),
        }
        let mut answer = http::Response::new(Bytes::new());
        *answer.status_mut() = sent?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::Collector;

    #[test]
    fn a_collector_is_named_with_or_without_the_path_of_traces() {
        for endpoint in [
            "http://c:4318",
            "http://c:4318/",
            "http://c:4318/v1/traces",
            "http://c:4318/v1/traces/",
        ] {
            let collector = Collector::parse(endpoint).unwrap();
            assert_eq!(collector.traces_url, "http://c:4318/v1/traces");
        }
        for endpoint in ["", "c:4318", "/v1/traces", "grpc://c:4317", "http://c/?a"] {
            assert!(Collector::parse(endpoint).is_err(), "{endpoint}");
        }
    }
}
