//! What the host gives: bytes, the time, randomness. Nothing here panics on what it gets.

use std::{
    cell::RefCell,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clampd_guard::{Answer, Callout, Head, HeaderChanges, Micros, Reply, ResponseHead, Seed};
use proxy_wasm::{
    hostcalls,
    types::{BufferType, LogLevel, MapType},
};

/// For so many exchanges randomness is drawn at once: the call is most of what it costs.
const SEEDS_DRAWN: usize = 64;

/// The time.
pub(crate) fn now() -> Micros {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Time and randomness for one exchange; none when the host has no randomness.
pub(crate) fn seed() -> Option<Seed> {
    thread_local! {
        static DRAWN: RefCell<Vec<[u8; 32]>> = const { RefCell::new(Vec::new()) };
    }
    let random = DRAWN.with_borrow_mut(|drawn| {
        if drawn.is_empty() {
            let mut fresh = vec![[0; 32]; SEEDS_DRAWN];
            getrandom::fill(fresh.as_flattened_mut()).ok()?;
            *drawn = fresh;
        }
        drawn.pop()
    })?;
    Some(Seed { now: now(), random })
}

/// A random number, for telling VMs apart.
pub(crate) fn random_u64() -> u64 {
    getrandom::u64().unwrap_or_else(|_| now())
}

/// The request's headers and the mode that its route names.
pub(crate) fn request_head() -> Head {
    const MODE: [&str; 5] = ["xds", "route_metadata", "filter_metadata", "clampd", "mode"];
    let headers = hostcalls::get_map_bytes(MapType::HttpRequestHeaders);
    let mode = hostcalls::get_property(MODE.to_vec()).ok().flatten();
    Head::new(headers.unwrap_or_default()).on_route(mode)
}

/// The URI in the certificate that the peer showed, where the connection is mutual TLS.
pub(crate) fn peer_uri() -> Option<String> {
    let connection = |property| hostcalls::get_property(vec!["connection", property]);
    if connection("mtls").ok()?? != [1] {
        return None;
    }
    String::from_utf8(connection("uri_san_peer_certificate").ok()??).ok()
}

/// Changes the headers of a request that came with those of `names`. They must not have been
/// released.
pub(crate) fn change_request_headers(changes: &HeaderChanges, names: &[String]) {
    const MAP: MapType = MapType::HttpRequestHeaders;
    // A call of the host costs more than a look through the names.
    let came = |name: &&&'static str| names.iter().any(|n| n == **name);
    for name in changes.remove.iter().filter(came) {
        log_failure("remove a header", hostcalls::remove_map_value(MAP, name));
    }
    for (name, value) in &changes.set {
        log_failure(
            "set a header",
            hostcalls::set_map_value(MAP, name, Some(value)),
        );
    }
}

/// At most `bytes` of the request's body, as far as it has come.
pub(crate) fn request_body(bytes: usize) -> Vec<u8> {
    let body = hostcalls::get_buffer(BufferType::HttpRequestBody, 0, bytes);
    body.ok().flatten().unwrap_or_default()
}

/// Answers the request here.
pub(crate) fn reply(reply: &Reply) {
    let headers = reply
        .headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let sent = hostcalls::send_http_response(u32::from(reply.status), headers, Some(&reply.body));
    log_failure("answer", sent);
}

/// The head of the answer. Its headers must not have been released.
pub(crate) fn response_head() -> ResponseHead {
    // All at once, each header as often as it is there. Names are tokens: Envoy refuses an answer
    // with others, which this call could not read.
    let headers = hostcalls::get_map_bytes(MapType::HttpResponseHeaders).unwrap_or_default();
    let values = |name| {
        let of_name = headers.iter().filter(move |(n, _)| n == name);
        of_name.map(|(_, value)| value.as_slice())
    };
    let text = |name| values(name).next().and_then(|v| str::from_utf8(v).ok());
    ResponseHead {
        status: text(":status").and_then(|s| s.parse().ok()).unwrap_or(0),
        content_type: text("content-type").unwrap_or_default().to_owned(),
        is_encoded: values("content-encoding").any(|e| e != b"identity"),
    }
}

/// At most `bytes` of the answer's body, as far as it is held.
pub(crate) fn response_body(bytes: usize) -> Vec<u8> {
    let body = hostcalls::get_buffer(BufferType::HttpResponseBody, 0, bytes);
    body.ok().flatten().unwrap_or_default()
}

/// Headers that would tell something of a body that was replaced, or of its parts.
const OF_THE_BODY: [&str; 5] = [
    "etag",
    "digest",
    "content-digest",
    "repr-digest",
    "content-md5",
];

/// Puts an answer in the place of a held one of `bytes`. Its headers must not have been released.
pub(crate) fn replace_response(bytes: usize, reply: &Reply) {
    for name in OF_THE_BODY {
        let removed = hostcalls::remove_map_value(MapType::HttpResponseHeaders, name);
        log_failure("remove a header", removed);
    }
    let (status, length) = (reply.status.to_string(), reply.body.len().to_string());
    let own = reply.headers.iter().map(|(n, v)| (*n, v.as_str()));
    for (name, value) in own.chain([
        (":status", status.as_str()),
        ("content-length", length.as_str()),
    ]) {
        let set = hostcalls::set_map_value(MapType::HttpResponseHeaders, name, Some(value));
        log_failure("set a header", set);
    }
    replace_chunk(bytes, &reply.body);
}

/// Puts something in the place of `bytes` that are held.
pub(crate) fn replace_chunk(bytes: usize, with: &[u8]) {
    let set = hostcalls::set_buffer(BufferType::HttpResponseBody, 0, bytes, with);
    log_failure("replace a body", set);
}

/// Takes the length off an answer whose body will change.
pub(crate) fn forget_response_length() {
    let map = MapType::HttpResponseHeaders;
    log_failure(
        "remove a header",
        hostcalls::remove_map_value(map, "content-length"),
    );
}

/// Notes what came of this exchange where its access log finds it: `%FILTER_STATE(wasm.clampd)%`.
pub(crate) fn note(note: &str) {
    let path = vec!["clampd"];
    log_failure("note", hostcalls::set_property(path, Some(note.as_bytes())));
}

/// Lets a held request go on.
pub(crate) fn resume_request() {
    log_failure("resume", hostcalls::resume_http_request());
}

/// Makes a call; the token by which its answer comes, or `None` when it cannot be made.
pub(crate) fn call(callout: &Callout) -> Option<u32> {
    let headers = callout
        .headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let timeout = Duration::from_millis(callout.timeout_ms);
    let body = (!callout.body.is_empty()).then_some(callout.body.as_slice());
    hostcalls::dispatch_http_call(&callout.cluster, headers, body, vec![], timeout).ok()
}

/// The answer of the call whose callback is running; `None` when there was none.
pub(crate) fn answer(headers: usize, body_bytes: usize) -> Option<Answer> {
    if headers == 0 {
        return None;
    }
    let status: u16 = answer_header(":status")?.parse().ok()?;
    // An error that Envoy made up, because nobody answered, says so by what it lacks; behind an
    // internal listener by what `envoy.yaml` adds to it.
    let made_up = answer_header("x-envoy-upstream-service-time").is_none()
        || answer_header("x-clampd-no-answer").is_some();
    if status >= 500 && made_up {
        return None;
    }
    let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, body_bytes);
    Some(Answer {
        status,
        is_encoded: answer_header("content-encoding").is_some_and(|e| e != "identity"),
        body: body.ok().flatten().unwrap_or_default(),
    })
}

/// A header of the answer whose callback is running, if it is UTF-8.
pub(crate) fn answer_header(name: &str) -> Option<String> {
    let value = hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, name);
    String::from_utf8(value.ok()??).ok()
}

/// The plugin's configuration.
pub(crate) fn configuration(bytes: usize) -> Vec<u8> {
    let json = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, bytes);
    json.ok().flatten().unwrap_or_default()
}

/// Sets how often the root context ticks.
pub(crate) fn tick_every(milliseconds: u64) {
    log_failure(
        "tick",
        hostcalls::set_tick_period(Duration::from_millis(milliseconds)),
    );
}

pub(crate) fn info(message: &str) {
    log(LogLevel::Info, message);
}

pub(crate) fn warn(message: &str) {
    log(LogLevel::Warn, message);
}

pub(crate) fn error(message: &str) {
    log(LogLevel::Error, message);
}

fn log(level: LogLevel, message: &str) {
    // A log that cannot be written has nowhere else to say so.
    let _ = hostcalls::log(level, message);
}

fn log_failure<E: std::fmt::Debug>(what: &str, outcome: Result<(), E>) {
    if let Err(status) = outcome {
        error(&format!("clampd: could not {what}: {status:?}"));
    }
}
