//! The gateway's configuration: as written, and as used.

mod written;

use std::{collections::BTreeMap, sync::Arc};

use clampd_model::{Agent, AgentId, Boundaries, Secret};
use clampd_token::VerifyingKey;
use serde::Deserialize;

use crate::{Callout, Peers, rest::RestRoute};
use written::{Written, WrittenRest};

/// The largest body cap that can be set: the filter must stay under Envoy's buffer limit and
/// wasm's memory.
const BODY_BYTES_CEILING: usize = 8 * 1024 * 1024;

/// The configuration as used.
#[derive(Debug, Clone)]
pub struct Config {
    /// What stands behind the routes that do not say so themselves.
    pub mode: Mode,
    /// How the control plane is reached.
    pub control_plane: ControlPlane,
    /// Whose signature makes a bundle good.
    pub trust_root: VerifyingKey,
    /// The key with which a filter in front of a tool has micro-tokens looked into; without one it
    /// takes none.
    pub introspection_key: Option<Secret>,
    /// Who signs micro-tokens.
    pub mint: Mint,
    /// What happens when the control plane should sign and cannot.
    pub mint_failure: MintFailure,
    /// When an event must be with the control plane.
    pub audit: AuditMode,
    /// The largest body that is read, in bytes.
    pub body_bytes_max: usize,
    /// Envoy clusters by the origin (`http://host:port`) that they reach.
    pub upstreams: BTreeMap<String, String>,
    /// Clusters that reach any catalogued origin, by scheme.
    pub egress: BTreeMap<String, String>,
    /// How long a tool may take to answer, in milliseconds.
    pub tool_timeout_ms: u64,
    /// Agents known by their peer certificate.
    pub peers: Peers,
    /// Paths that carry MCP.
    pub mcp_paths: Vec<String>,
    /// How a blocked MCP call is answered.
    pub mcp_denial: McpDenial,
    /// Paths that carry A2A.
    pub a2a_paths: Vec<String>,
    /// Routes that stand for tools.
    pub rest: Vec<RestRoute>,
    /// Paths that pass unread and for anybody, where nothing above reads them: whole paths, or
    /// beginnings that end in `/*`.
    pub pass: Vec<String>,
    /// The agent of every request that shows no token of its own: a sidecar's.
    pub agent: Option<AgentId>,
    /// What an agent may use at most where its record does not say.
    pub boundaries: Arc<Boundaries>,
    /// Whether the pipeline is logged.
    pub trace: Trace,
}

/// What the filter stands in front of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing or tools: it answers its own endpoints and guards the paths of MCP.
    Gateway,
    /// A model's API.
    Llm,
    /// Tools: the paths of MCP, A2A and REST.
    Tool,
    /// Whatever an agent calls: models and tools.
    Egress,
}

impl Mode {
    /// The mode of that name.
    pub fn named(name: &[u8]) -> Option<Self> {
        match name {
            b"gateway" => Some(Self::Gateway),
            b"llm" => Some(Self::Llm),
            b"tool" => Some(Self::Tool),
            b"egress" => Some(Self::Egress),
            _ => None,
        }
    }
}

/// How the control plane is reached.
#[derive(Debug, Clone)]
pub struct ControlPlane {
    /// The Envoy cluster.
    pub cluster: String,
    /// The `:authority` to ask for.
    pub authority: String,
    /// The key that this proxy shows.
    pub key: Secret,
    /// How long a call may take, in milliseconds.
    pub timeout_ms: u64,
}

impl ControlPlane {
    /// The call that posts a body to it with that key.
    pub fn post(&self, path: &str, content_type: &str, key: &Secret, body: Vec<u8>) -> Callout {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Callout {
            cluster: self.cluster.clone(),
            headers: vec![
                header(":method", "POST"),
                header(":path", path),
                header(":authority", &self.authority),
                header("content-type", content_type),
                header("authorization", &format!("Bearer {}", key.expose())),
            ],
            body,
            timeout_ms: self.timeout_ms,
        }
    }
}

/// Who signs micro-tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mint {
    /// The control plane, one call each.
    Exchange,
    /// The filter, with a key that the control plane derived for this proxy.
    Local,
}

/// What happens when the control plane should sign and cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MintFailure {
    /// The call is refused.
    Deny,
    /// The filter signs, and the token says `degraded`.
    Degrade,
}

/// When an event must be with the control plane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuditMode {
    /// Soon: it waits in a queue, and what is lost is counted.
    #[default]
    Queued,
    /// Before what it tells of passes.
    Required,
}

/// How a blocked MCP call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum McpDenial {
    /// A result with `isError`, which the model reads.
    Result,
    /// A JSON-RPC error.
    Error,
    /// HTTP 403 with the gateway's own error body.
    Http,
}

/// Whether the pipeline is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trace {
    /// No.
    Off,
    /// A line a stage at Envoy's info level; never the text that matched.
    Pipeline,
}

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is not JSON of the configuration's shape.
    #[error("configuration: {0}")]
    Shape(String),
    /// A field has a value that cannot be used.
    #[error("configuration field `{field}`: {wanted}")]
    Field {
        /// The field.
        field: &'static str,
        /// What was wanted.
        wanted: String,
    },
}

impl Config {
    /// What an agent may use at most: what its record says, and where that is silent, the
    /// configuration.
    pub(crate) fn boundaries_of(&self, agent: &Agent) -> Arc<Boundaries> {
        match &agent.boundaries {
            Some(own) => Arc::new(own.over(&self.boundaries)),
            None => Arc::clone(&self.boundaries),
        }
    }

    /// Reads a configuration in JSON; secrets and keys come from the environment by name.
    ///
    /// # Errors
    /// [`ConfigError`] with the field's name.
    pub fn parse(
        json: &[u8],
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let written: Written =
            serde_json::from_slice(json).map_err(|e| ConfigError::Shape(e.to_string()))?;
        let from_environment = |field: &'static str, name: &str| {
            environment(name)
                .filter(|v| !v.trim().is_empty())
                .ok_or_else(|| {
                    field_error(field, format!("environment variable `{name}` must be set"))
                })
        };
        let key = from_environment("control_plane.key_env", &written.control_plane.key_env)?;
        let introspection = written.introspection.as_ref();
        let introspection_key = introspection
            .map(|wanted| from_environment("introspection.key_env", &wanted.key_env))
            .transpose()?;
        let root = from_environment("trust_root_env", &written.trust_root_env)?;
        let trust_root = VerifyingKey::parse(root.trim())
            .map_err(|e| field_error("trust_root_env", e.to_string()))?;
        if !(1..=BODY_BYTES_CEILING).contains(&written.body_bytes_max) {
            let wanted = format!("must be 1 to {BODY_BYTES_CEILING}");
            return Err(field_error("body_bytes_max", wanted));
        }
        for (field, timeout_ms) in [
            ("control_plane.timeout_ms", written.control_plane.timeout_ms),
            ("tool_timeout_ms", written.tool_timeout_ms),
        ] {
            if !(1..=600_000).contains(&timeout_ms) {
                return Err(field_error(field, "must be 1 to 600000".into()));
            }
        }
        for (field, paths) in [
            ("mcp.paths", &written.mcp.paths),
            ("a2a.paths", &written.a2a.paths),
            ("pass", &written.pass),
        ] {
            if let Some(path) = paths.iter().find(|p| !p.starts_with('/')) {
                return Err(field_error(field, format!("`{path}` must start with `/`")));
            }
            if field != "pass" && paths.iter().any(|p| p.starts_with("/v1/")) {
                return Err(field_error(field, "must not lie under `/v1/`".into()));
            }
        }
        let mut rest = Vec::new();
        for WrittenRest { method, path, tool } in &written.rest {
            let route = RestRoute::parse(method, path, tool);
            rest.push(route.ok_or_else(|| {
                let wanted = format!(
                    "`{method} {path}` must be a method, a path such as `/users/{{id}}` and a tool"
                );
                field_error("rest", wanted)
            })?);
        }
        if written.agent.is_some() && written.mint == Mint::Exchange && written.mode != Mode::Llm {
            let wanted = "needs `mint` to be `local`: it has no token to exchange";
            return Err(field_error("agent", wanted.into()));
        }
        if !written.peers.is_empty() && written.mint == Mint::Exchange {
            let wanted = "needs `mint` `local`: a peer shows no JWT that could be exchanged";
            return Err(field_error("peers", wanted.into()));
        }
        for origin in written.upstreams.keys() {
            let rest = origin
                .strip_prefix("http://")
                .or(origin.strip_prefix("https://"));
            if !rest.is_some_and(|r| !r.is_empty() && !r.contains('/')) {
                let wanted = format!("`{origin}` must be an origin such as `http://host:port`");
                return Err(field_error("upstreams", wanted));
            }
        }
        if written
            .egress
            .keys()
            .any(|scheme| scheme != "http" && scheme != "https")
        {
            return Err(field_error(
                "egress",
                "keys must be `http` or `https`".into(),
            ));
        }
        Ok(Self {
            mode: written.mode,
            control_plane: ControlPlane {
                cluster: written.control_plane.cluster,
                authority: written.control_plane.authority,
                key: Secret::new(key.trim()),
                timeout_ms: written.control_plane.timeout_ms,
            },
            trust_root,
            introspection_key: introspection_key.map(|key| Secret::new(key.trim())),
            mint: written.mint,
            mint_failure: written.mint_failure,
            audit: written.audit.mode,
            body_bytes_max: written.body_bytes_max,
            upstreams: written.upstreams,
            egress: written.egress,
            tool_timeout_ms: written.tool_timeout_ms,
            peers: written.peers,
            mcp_paths: written.mcp.paths,
            mcp_denial: written.mcp.denial,
            a2a_paths: written.a2a.paths,
            rest,
            pass: written.pass,
            agent: written.agent,
            boundaries: Arc::new(written.boundaries),
            trace: written.trace,
        })
    }
}

fn field_error(field: &'static str, wanted: String) -> ConfigError {
    ConfigError::Field { field, wanted }
}

#[cfg(test)]
mod tests {
    use super::{Config, ConfigError};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const ROOT: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn parse(json: &str) -> Result<Config, ConfigError> {
        Config::parse(json.as_bytes(), |name| match name {
            "KEY" => Some("ag_live_k".to_owned()),
            "ROOT" => Some(ROOT.to_owned()),
            "BAD" => Some("short".to_owned()),
            _ => None,
        })
    }

    fn with(extra: &str) -> String {
        format!(
            r#"{{"mode":"gateway","trust_root_env":"ROOT",
            "control_plane":{{"cluster":"c","authority":"a","key_env":"KEY"}}{extra}}}"#
        )
    }

    #[test]
    fn little_needs_to_be_said() {
        let config = parse(&with("")).unwrap();
        assert_eq!(config.body_bytes_max, 512 * 1024);
        assert_eq!(config.mcp_paths, Vec::<String>::new());
    }

    #[cfg(not(target_arch = "wasm32"))]
    #[test]
    fn every_field_stands_in_the_reference() {
        let reference = include_str!("../../../docs/filter.md");
        let error = parse(r#"{"x":1}"#).unwrap_err().to_string();
        let (_, fields) = error.split_once("expected one of ").unwrap();
        let fields: Vec<_> = fields.split('`').skip(1).step_by(2).collect();
        assert!(fields.len() > 15, "{error}");
        for field in fields {
            assert!(reference.contains(&format!("\n| `{field}` |")), "{field}");
        }
    }

    #[test]
    fn a_bad_configuration_is_refused_with_the_fields_name() {
        for (json, name) in [
            (with(r#","body_bytes_max":0"#), "body_bytes_max"),
            (with(r#","body_bytes_max":99999999"#), "body_bytes_max"),
            (with(r#","tool_timeout_ms":0"#), "tool_timeout_ms"),
            (with(r#","mint":"maybe""#), "maybe"),
            (with(r#","audit":{"mode":"never"}"#), "never"),
            (
                with(r#","introspection":{"key_env":"NONE"}"#),
                "introspection.key_env",
            ),
            (with(r#","mint_failur":"deny""#), "mint_failur"),
            (with(r#","mcp":{"paths":["mcp"]}"#), "mcp.paths"),
            (with(r#","mcp":{"paths":["/v1/x"]}"#), "mcp.paths"),
            (with(r#","a2a":{"paths":["/v1/x"]}"#), "a2a.paths"),
            (with(r#","pass":["x"]"#), "pass"),
            (
                with(r#","rest":[{"method":"GET","path":"x","tool":"t"}]"#),
                "rest",
            ),
            (with(r#","agent":"a b""#), "agent"),
            (with(r#","boundaries":{"hours":"late"}"#), "hours"),
            (with(r#","agent":"scout""#), "agent"),
            (with(r#","upstreams":{"http://a/b":"c"}"#), "upstreams"),
            (with(r#","egress":{"ftp":"c"}"#), "egress"),
            (
                with(r#","mint":"local","peers":{"scout":"scout"}"#),
                "peers",
            ),
            (with(r#","peers":{"spiffe://a/b":"scout"}"#), "peers"),
            (with("").replace("ROOT", "BAD"), "trust_root_env"),
            (with("").replace("ROOT", "NONE"), "trust_root_env"),
            (with("").replace("KEY", "NONE"), "control_plane.key_env"),
            (with("").replace("gateway", "open"), "open"),
            ("{}".into(), "mode"),
            ("".into(), "configuration"),
        ] {
            let error = parse(&json).unwrap_err().to_string();
            assert!(error.contains(name), "{json}: {error}");
        }
    }

    #[test]
    fn the_key_is_not_printed() {
        assert!(!format!("{:?}", parse(&with("")).unwrap()).contains("ag_live_k"));
    }
}
