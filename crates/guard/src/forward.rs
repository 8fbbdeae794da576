//! Forwarding an allowed call to its tool, and looking at what comes back.

use serde_json::Value;

use clampd_model::{ObservedResponse, Tool};

use crate::{
    Answer, Callout, Config, Decision, ErrorCode, Guard, Micros, Refusal, Snapshot,
    decide::stop_encoded, json::parse_strict, record, tool_call::JudgedCall,
};

/// A place that a call may be forwarded to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    cluster: String,
    authority: String,
    path: String,
    body: Vec<u8>,
}

/// A call that waits for what its tool answers.
#[derive(Debug)]
pub struct Forwarding {
    pub(crate) call: JudgedCall,
    pub(crate) token: String,
    pub(crate) sent_at: Micros,
}

/// The longest target URL, in bytes.
const TARGET_BYTES_MAX: usize = 2048;

impl Target {
    /// Checks that `url` lies under the upstream of `tool` and can be reached.
    ///
    /// The comparison is by bytes on a restricted alphabet, so that no other reader of the URL can
    /// find another host in it.
    pub(crate) fn check(
        config: &Config,
        tool: &Tool,
        url: &str,
        params: &Value,
    ) -> Result<Self, Refusal> {
        let blocked = |why: &str| ErrorCode::SsrfBlocked.because(format!("target_url {why}"));
        let upstream = tool
            .upstream
            .as_deref()
            .ok_or_else(|| blocked("is not for this tool"))?;
        if url.len() > TARGET_BYTES_MAX || !url.bytes().all(is_plain_url_byte) {
            return Err(blocked("has characters that are not let through"));
        }
        let rest = url
            .strip_prefix(upstream.trim_end_matches('/'))
            .filter(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
            .ok_or_else(|| blocked("does not lie under the tool's upstream"))?;
        if has_dot_segment(rest) {
            return Err(blocked("must not have `.` or `..` segments"));
        }
        let (scheme, after) = url
            .split_once("://")
            .ok_or_else(|| blocked("has no scheme"))?;
        let end = after.find(['/', '?']).unwrap_or(after.len());
        let (authority, path) = after.split_at_checked(end).unwrap_or((after, ""));
        if authority.is_empty() || authority.contains('@') {
            return Err(blocked("has no plain host"));
        }
        let origin = format!("{scheme}://{authority}");
        let cluster = config
            .upstreams
            .get(&origin)
            .or_else(|| config.egress.get(scheme))
            .ok_or_else(|| blocked("is reached by no cluster of this gateway"))?;
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        Ok(Self {
            cluster: cluster.clone(),
            authority: authority.to_owned(),
            path,
            body: params.to_string().into_bytes(),
        })
    }

    /// The call to the tool.
    pub(crate) fn callout(&self, config: &Config, token: &str, call: &JudgedCall) -> Callout {
        let meta = &call.admitted.meta;
        let mut headers = vec![
            (":method".to_owned(), "POST".to_owned()),
            (":path".to_owned(), self.path.clone()),
            (":authority".to_owned(), self.authority.clone()),
            ("content-type".to_owned(), "application/json".to_owned()),
            ("accept".to_owned(), "application/json".to_owned()),
            ("authorization".to_owned(), format!("Bearer {token}")),
            ("x-request-id".to_owned(), meta.request_id.clone()),
        ];
        if let Some(session) = &meta.session_id {
            headers.push(("x-ag-session".to_owned(), session.clone()));
        }
        if let Some(traceparent) = &meta.traceparent {
            headers.push(("traceparent".to_owned(), traceparent.clone()));
        }
        Callout {
            cluster: self.cluster.clone(),
            headers,
            body: self.body.clone(),
            timeout_ms: config.tool_timeout_ms,
        }
    }
}

/// The host in a URL, in lower case and without its port; nothing where there is none.
pub(crate) fn host_of(url: &str) -> Option<String> {
    let (_, after) = url.split_once("://")?;
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    };
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

impl Guard {
    /// Looks at a tool's answer: what it says, and the decision on it where it must be stopped.
    pub(crate) fn inspect_answer(
        &self,
        snapshot: &Snapshot,
        call: &mut JudgedCall,
        answer: &Answer,
        (sent_at, now): (Micros, Micros),
    ) -> Result<(Value, Option<Decision>), Refusal> {
        if answer.is_encoded {
            return Ok((Value::Null, Some(stop_encoded(call.decision.clone()))));
        }
        let value = read_answer(answer);
        let said = (answer.body.as_slice(), value);
        let inspected = self.inspect_value(snapshot, &call.admitted, Some(&call.tool), said)?;
        let mut response = ObservedResponse {
            status: answer.status,
            bytes: answer.body.len() as u64,
            latency_us: now.saturating_sub(sent_at),
            ..ObservedResponse::default()
        };
        inspected.note(&mut response);
        let decision = inspected.decision;
        let mut event = std::mem::take(&mut call.event);
        event.response = Some(response);
        call.event = record::with_answer(event, &decision);
        if !decision.verdict.lets_pass() {
            return Ok((Value::Null, Some(decision)));
        }
        call.decision.add_answer(&decision);
        Ok((inspected.value, None))
    }
}

/// A tool's answer as a JSON value: what it is when it is JSON, else its text.
fn read_answer(answer: &Answer) -> Value {
    if answer.body.is_empty() {
        return Value::Null;
    }
    parse_strict(&answer.body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&answer.body).into_owned()))
}

/// The characters of RFC 3986 that need no second look: no backslash, no control, no space, no
/// percent, whose decoding differs between readers.
fn is_plain_url_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=".contains(&byte)
}

fn has_dot_segment(rest: &str) -> bool {
    rest.split(['/', '?'])
        .any(|segment| segment == "." || segment == "..")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{Target, host_of};
    use crate::Config;
    use clampd_model::{Tool, ToolCategory};

    #[track_caller]
    fn check(upstream: &str, url: &str, wanted: Option<(&str, &str, &str)>) {
        let tool = Tool {
            name: "t".into(),
            scope: "s".into(),
            category: ToolCategory::Other,
            audience: "a".into(),
            upstream: Some(upstream.into()),
            binding: String::new(),
            pins: Vec::new(),
        };
        let json = r#"{"mode":"gateway","trust_root_env":"ROOT",
            "control_plane":{"cluster":"c","authority":"a","key_env":"KEY"},
            "upstreams":{"http://127.0.0.1:9001":"sql"},"egress":{"https":"out"}}"#;
        let config = Config::parse(json.as_bytes(), |name| {
            Some(
                if name == "KEY" {
                    "k"
                } else {
                    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
                }
                .into(),
            )
        })
        .unwrap();
        let got = Target::check(&config, &tool, url, &json!({}));
        let got = got
            .as_ref()
            .ok()
            .map(|t| (t.cluster.as_str(), t.authority.as_str(), t.path.as_str()));
        assert_eq!(got, wanted, "{url}");
    }

    #[test]
    fn a_call_goes_only_where_its_tool_is() {
        let upstream = "http://127.0.0.1:9001/db/";
        check(
            upstream,
            "http://127.0.0.1:9001/db",
            Some(("sql", "127.0.0.1:9001", "/db")),
        );
        check(
            upstream,
            "http://127.0.0.1:9001/db/q?x=1",
            Some(("sql", "127.0.0.1:9001", "/db/q?x=1")),
        );
        for bad in [
            "http://127.0.0.1:9001/dbx",
            "http://127.0.0.1:9001/",
            "http://127.0.0.1:9001/db/../admin",
            "http://127.0.0.1:9001/db/%2e%2e/admin",
            "http://127.0.0.1:9001/db/..\\admin",
            "http://127.0.0.1:90010/db",
            "http://127.0.0.1:9001@evil/db",
            "http://169.254.169.254/latest/meta-data",
            "HTTP://127.0.0.1:9001/db",
            "//127.0.0.1:9001/db",
            "http://127.0.0.1:9001/db\r\nx: y",
            "http://127.0.0.1:9001/db#f",
        ] {
            check(upstream, bad, None);
        }
        check("http://127.0.0.1:9001", "http://127.0.0.1:9001@evil/", None);
        check(
            "https://api.example.com/v1",
            "https://api.example.com/v1/x",
            Some(("out", "api.example.com", "/v1/x")),
        );
        check("http://other:1", "http://other:1/", None);
    }

    #[test]
    fn policies_are_told_the_host_without_its_port() {
        for (url, host) in [
            ("http://Tools.Example:9001/db?x=1", Some("tools.example")),
            ("https://tools.example", Some("tools.example")),
            ("http://[::1]:80/x", Some("[::1]")),
            ("http://[::1]/x", Some("[::1]")),
            ("", None),
            ("http://", None),
        ] {
            assert_eq!(host_of(url).as_deref(), host, "{url}");
        }
    }
}
