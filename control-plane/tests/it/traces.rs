//! Traces: what a collector gets of a request, and what it does not.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    thread::{self, JoinHandle},
};

use clampd_control_plane::{config::Settings, traces::Collector};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::Span,
};
use prost::Message as _;

use crate::{client::Client, process::run, scene::Scene};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A collector that takes one request, on a port of its own: its endpoint, and what it was sent: the
/// head and the body.
fn collector() -> (String, JoinHandle<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let taking = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0);
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then_some(value)
        });
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        (head, body)
    });
    (endpoint, taking)
}

/// A service that hands its spans in there.
fn traced(endpoint: &str) -> Scene {
    Scene::with(Settings {
        collector: Some(Collector::parse(endpoint).unwrap()),
        ..Settings::default()
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, key: &str) -> Option<Value> {
    let found = span.attributes.iter().find(|one| one.key == key)?;
    found.value.clone()?.value
}

#[test]
fn a_collector_gets_a_span_of_a_request_in_the_trace_that_it_came_in_and_no_secret() {
    let (endpoint, taking) = collector();
    let mut scene = traced(&endpoint);
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let admin = scene.admin().with("traceparent", &parent);
    let answer = admin.get("/v1/agents/secret-agent?x=hidden");
    assert_eq!(answer.status, 404);
    let request_id = answer.header("x-request-id").unwrap().to_owned();
    scene
        .admin()
        .get("/nowhere/secret-path")
        .expect_error(404, "route_not_found");
    // The last spans are handed in before the service has ended.
    scene.stop();

    let (head, body) = taking.join().unwrap();
    assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
    let sent = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let resource = &sent.resource_spans[0];
    let name = resource.resource.as_ref().unwrap().attributes.iter();
    let name = name.filter(|one| one.key == "service.name");
    let name: Vec<_> = name.filter_map(|one| one.value.clone()?.value).collect();
    assert_eq!(
        name,
        [Value::StringValue("clampd-control-plane".to_owned())]
    );
    let spans = &resource.scope_spans[0].spans;
    let span = spans.iter().find(|span| hex(&span.trace_id) == TRACE);
    let span = span.unwrap();
    assert_eq!(hex(&span.parent_span_id), PARENT);
    assert_eq!(span.name, "GET /v1/agents/{id}");
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    let text = |key| attribute(span, key);
    assert_eq!(
        text("http.response.status_code"),
        Some(Value::IntValue(404))
    );
    assert_eq!(
        text("clampd.request_id"),
        Some(Value::StringValue(request_id))
    );
    let unknown = spans.iter().find(|span| span.name == "GET").unwrap();
    assert!(unknown.parent_span_id.is_empty(), "a trace of its own");

    let everything = String::from_utf8_lossy(&body);
    for hidden in [scene.keys.admin_key.as_str(), "secret-", "hidden"] {
        assert!(!everything.contains(hidden), "{hidden}");
    }
}

#[test]
fn a_caller_that_does_not_sample_is_not_traced() {
    let (endpoint, taking) = collector();
    let mut scene = traced(&endpoint);
    let parent = format!("00-{TRACE}-{PARENT}-00");
    Client::new(&scene.url, "")
        .with("traceparent", &parent)
        .get("/health");
    Client::new(&scene.url, "").get("/ready");
    scene.stop();
    let (_, body) = taking.join().unwrap();
    let sent = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let spans = &sent.resource_spans[0].scope_spans[0].spans;
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["GET /ready"]);
}

#[test]
fn a_collector_that_is_away_holds_nothing_up() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut scene = traced(&format!("http://{gone}"));
    scene.admin().get("/v1/agents").expect(200);
    scene.stop();
}

#[test]
fn what_is_no_collector_is_refused_at_the_start() {
    for endpoint in ["localhost:4317", "grpc://127.0.0.1:4317"] {
        let refused = run(&[
            "serve",
            "--check",
            "--data",
            "x",
            "--otlp-endpoint",
            endpoint,
        ]);
        assert!(!refused.status.success());
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(
            said.contains("--otlp-endpoint") && said.contains("4318"),
            "{said}"
        );
    }
}
