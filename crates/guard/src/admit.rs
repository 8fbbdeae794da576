//! Which requests are for the guard, and what every one of them must show first.

use std::sync::Arc;

use clampd_model::AgentId;
use clampd_token::hex;

use crate::{
    Config, ErrorCode, Head, Micros, Mode, Refusal, Reply, Seed, Snapshot,
    count::Tally,
    delegation::Delegation,
    format::Format,
    identity::{KeyDemand, identify},
    introspect,
    step::Reading,
    tool_call::Admitted,
};

/// What a path and method ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// `POST /v1/proxy`
    Proxy,
    /// `POST /v1/verify`
    Verify,
    /// `POST /v1/inspect`
    Inspect,
    /// `POST /v1/scan-input`
    ScanInput,
    /// `POST /v1/scan-output`
    ScanOutput,
    /// `POST` on an MCP path.
    Mcp,
    /// `GET` or `DELETE` on an MCP path: no body may come with it.
    McpSession,
    /// `POST` on a path of A2A.
    A2a,
    /// A route that stands for a tool, by its place in the configuration.
    Rest(usize),
    /// `POST` on a path of a model's API.
    Model(Format),
    /// What passes unread because the configuration says so.
    Unread,
    /// `GET /health`
    Health,
    /// `GET /.well-known/jwks.json`
    Jwks,
    /// `GET /metrics`: Envoy answers it.
    Metrics,
}

/// What a request says of itself, beside who sends it.
#[derive(Debug, Clone)]
pub(crate) struct Meta {
    pub(crate) request_id: String,
    /// The nonce for a token of this request.
    pub(crate) jti: String,
    pub(crate) started: Micros,
    pub(crate) session_id: Option<String>,
    /// The `traceparent` that came, where it is well-formed.
    pub(crate) traceparent: Option<String>,
    /// The tools that this request allows itself, where it says so.
    pub(crate) authorized_tools: Option<Vec<String>>,
    pub(crate) delegation: Delegation,
    /// The host that the call is to be forwarded to, where it names one.
    pub(crate) target_host: Option<String>,
    /// What the counts say, once they were asked.
    pub(crate) tally: Arc<Tally>,
}

impl Meta {
    /// The id of the trace that the request is part of.
    pub(crate) fn trace_id(&self) -> Option<&str> {
        self.traceparent.as_deref()?.split('-').nth(1)
    }
}

const SESSION_BYTES_MAX: usize = 128;
const AUTHORIZED_TOOLS_MAX: usize = 100;

impl Endpoint {
    /// Finds the endpoint of a request.
    pub(crate) fn of(head: &Head, config: &Config) -> Result<Self, Refusal> {
        let method = head.value(":method").unwrap_or_default();
        let target = head.value(":path").unwrap_or_default();
        let path = target.split(['?', '#']).next().unwrap_or_default();
        if method == "CONNECT" || head.has("upgrade") || head.has(":protocol") {
            return Err(ErrorCode::UpgradeRefused.because("protocol upgrades are not let through"));
        }
        let Some(mode) = head.mode(config.mode) else {
            return Err(ErrorCode::NotReady.because("the route names a mode that does not exist"));
        };
        let post = |endpoint| (endpoint, "POST");
        let get = |endpoint| (endpoint, "GET");
        let own = match path {
            _ if mode != Mode::Gateway => None,
            "/v1/proxy" => Some(post(Self::Proxy)),
            "/v1/verify" => Some(post(Self::Verify)),
            "/v1/inspect" => Some(post(Self::Inspect)),
            "/v1/scan-input" => Some(post(Self::ScanInput)),
            "/v1/scan-output" => Some(post(Self::ScanOutput)),
            "/health" => Some(get(Self::Health)),
            "/metrics" => Some(get(Self::Metrics)),
            "/.well-known/jwks.json" => Some(get(Self::Jwks)),
            _ => None,
        };
        let of_models = || {
            let speaks = matches!(mode, Mode::Llm | Mode::Egress);
            Some(post(Self::Model(Format::of(path).filter(|_| speaks)?)))
        };
        let of_tools = || {
            let at = |paths: &[String]| mode != Mode::Llm && paths.iter().any(|p| p == path);
            match method {
                "GET" | "DELETE" if at(&config.mcp_paths) => Some((Self::McpSession, method)),
                _ if at(&config.mcp_paths) => Some(post(Self::Mcp)),
                _ if at(&config.a2a_paths) => Some(post(Self::A2a)),
                _ => None,
            }
        };
        let of_rest = || {
            let mut routes = config.rest.iter().filter(|_| mode != Mode::Llm);
            let at = routes.position(|route| route.is_for(method, path))?;
            Some((Self::Rest(at), method))
        };
        let unread = || is_passed(config, path).then_some((Self::Unread, method));
        let found = own
            .or_else(of_models)
            .or_else(of_tools)
            .or_else(of_rest)
            .or_else(unread);
        match found {
            Some((endpoint, wanted)) if method == wanted => Ok(endpoint),
            Some((_, wanted)) => {
                Err(ErrorCode::MethodNotAllowed.because(format!("this endpoint answers {wanted}")))
            }
            None => Err(ErrorCode::NotFound.because("no such endpoint")),
        }
    }

    /// The answer to a request that is refused, in the language that its caller speaks.
    pub(crate) fn refusal(self, refusal: &Refusal, request_id: &str) -> Reply {
        match self {
            Self::Model(format) => refusal.tell_again(format.error(refusal, request_id)),
            _ => refusal.tell_again(refusal.reply(request_id)),
        }
    }

    /// What the audit trail calls it.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Verify => "verify",
            Self::Inspect => "inspect",
            Self::ScanInput => "scan-input",
            Self::ScanOutput => "scan-output",
            Self::Mcp | Self::McpSession => "mcp",
            Self::A2a => "a2a",
            Self::Rest(_) => "rest",
            Self::Unread => "unread",
            Self::Model(Format::Chat) => "chat-completions",
            Self::Model(Format::Responses) => "responses",
            Self::Model(Format::Messages) => "messages",
            Self::Model(Format::Gemini) => "generate-content",
            Self::Health => "health",
            Self::Jwks => "jwks",
            Self::Metrics => "metrics",
        }
    }
}

/// Whether the configuration lets a path pass unread.
fn is_passed(config: &Config, path: &str) -> bool {
    config
        .pass
        .iter()
        .any(|known| match known.strip_suffix('*') {
            Some(begin) if begin.ends_with('/') => {
                // What stands behind must be a plain path, whatever stands before this filter.
                let is_plain = !path.contains("//") && !path.contains(['%', '\\']);
                let has_dots = path.split('/').any(|part| part == "." || part == "..");
                path.starts_with(begin) && is_plain && !has_dots
            }
            _ => known == path,
        })
}

/// Authenticates a request before anything of its body is looked at.
pub(crate) fn admit(
    snapshot: &Snapshot,
    config: &Config,
    head: &Head,
    endpoint: Endpoint,
    seed: &Seed,
    request_id: &str,
) -> Result<Reading, Refusal> {
    let demand = match endpoint {
        Endpoint::Proxy
        | Endpoint::Verify
        | Endpoint::Inspect
        | Endpoint::ScanInput
        | Endpoint::ScanOutput => KeyDemand::Required,
        _ => KeyDemand::Optional,
    };
    let (caller, micro_token) = match introspect::shown(snapshot, config, head, endpoint)? {
        Some(shown) => (shown.caller, Some(shown.token)),
        None => (identify(snapshot, config, head, demand, seed.now)?, None),
    };
    refuse_encodings(head)?;
    refuse_charsets(head)?;
    let delegation = Delegation::from_head(head)?;
    delegation.check(snapshot, &caller.agent)?;
    let meta = Meta {
        request_id: request_id.to_owned(),
        jti: hex(seed.random.get(16..).unwrap_or_default()),
        started: seed.now,
        session_id: session_id(head)?,
        traceparent: traceparent(head),
        authorized_tools: authorized_tools(head)?,
        delegation,
        target_host: None,
        tally: Arc::default(),
    };
    let mcp_names = (
        header_word(head, "mcp-method"),
        header_word(head, "mcp-name"),
    );
    let rest = match endpoint {
        Endpoint::Rest(at) => config.rest.get(at).map(|route| route.read(head)),
        _ => None,
    };
    Ok(Reading {
        admitted: Admitted {
            endpoint,
            rest: rest.transpose()?,
            caller,
            meta,
            mcp_names,
            micro_token,
        },
    })
}

/// The id of a request: a version 4 UUID (RFC 9562) of 16 random bytes.
pub(crate) fn request_id(seed: &Seed) -> String {
    let mut bytes = [0_u8; 16];
    bytes
        .iter_mut()
        .zip(seed.random)
        .for_each(|(to, from)| *to = from);
    let mut id = hex(&bytes);
    // Version and variant, then the hyphens from the back so that places stay.
    id.replace_range(12..13, "4");
    let variant = match bytes.get(8).map_or(0, |b| b & 3) {
        0 => "8",
        1 => "9",
        2 => "a",
        _ => "b",
    };
    id.replace_range(16..17, variant);
    for at in [20, 16, 12, 8] {
        id.insert(at, '-');
    }
    id
}

/// Every encoding that Envoy's decompressors have left is one that cannot be looked into.
fn refuse_encodings(head: &Head) -> Result<(), Refusal> {
    let identity = |value: &[u8]| value.is_empty() || value.eq_ignore_ascii_case(b"identity");
    if head.values("content-encoding").all(identity) {
        Ok(())
    } else {
        Err(ErrorCode::UnsupportedEncoding.because("content-encoding cannot be inspected"))
    }
}

/// A body is read as UTF-8, so one that says it is something else is read otherwise behind us: in
/// UTF-7 `+AEQ-ROP` is `DROP`, in GBK a quote can be half a character.
fn refuse_charsets(head: &Head) -> Result<(), Refusal> {
    let is_utf8 = |param: &str| {
        let (name, value) = param.split_once('=').unwrap_or((param, ""));
        let value = value.trim().trim_matches('"');
        !name.trim().starts_with("charset") || matches!(value, "utf-8" | "utf8" | "us-ascii")
    };
    let readable = |kind: &[u8]| {
        let kind = String::from_utf8_lossy(kind).to_ascii_lowercase();
        kind.split(';').skip(1).all(is_utf8)
    };
    let mut kinds = head.values("content-type");
    match (kinds.next(), kinds.next()) {
        (None, _) => Ok(()),
        (Some(kind), None) if readable(kind) => Ok(()),
        _ => Err(ErrorCode::UnsupportedEncoding.because("content-type must be one, and of UTF-8")),
    }
}

fn session_id(head: &Head) -> Result<Option<String>, Refusal> {
    let bad = || {
        ErrorCode::InvalidSessionId
            .because("X-AG-Session must be 1 to 128 characters of A-Z a-z 0-9 _ : . -")
    };
    if !head.has("x-ag-session") {
        return Ok(None);
    }
    let id = head.value("x-ag-session").ok_or_else(bad)?;
    let well_formed = AgentId::parse(id).is_ok() && id.len() <= SESSION_BYTES_MAX;
    if well_formed {
        Ok(Some(id.to_owned()))
    } else {
        Err(bad())
    }
}

fn authorized_tools(head: &Head) -> Result<Option<Vec<String>>, Refusal> {
    const NAME: &str = "x-ag-authorized-tools";
    if !head.has(NAME) {
        return Ok(None);
    }
    let csv = head.value(NAME).ok_or_else(|| {
        ErrorCode::InvalidHeader.because("X-AG-Authorized-Tools must be one readable header")
    })?;
    let tools: Vec<String> = csv
        .split(',')
        .map(str::trim)
        .filter(|t| !t.is_empty())
        .map(str::to_owned)
        .collect();
    if tools.len() > AUTHORIZED_TOOLS_MAX {
        return Err(
            ErrorCode::InvalidHeader.because("X-AG-Authorized-Tools must name at most 100 tools")
        );
    }
    Ok(Some(tools))
}

/// The trace that a request is part of (W3C Trace Context section 3.2, version 00).
fn traceparent(head: &Head) -> Option<String> {
    let value = head.value("traceparent")?;
    let lengths = value.split('-').map(str::len);
    let well_formed = lengths.eq([2, 32, 16, 2])
        && value
            .bytes()
            .all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    well_formed.then(|| value.to_owned())
}

fn header_word(head: &Head, name: &str) -> Option<String> {
    head.has(name)
        .then(|| head.value(name).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::request_id;
    use crate::Seed;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_request_id_is_a_random_uuid() {
        let id = request_id(&Seed {
            now: 0,
            random: [0xff; 32],
        });
        assert_eq!(id, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
