//! The configuration as written: every field, and what stands for one that is not there.

use std::collections::BTreeMap;

use clampd_model::{AgentId, Boundaries};
use serde::Deserialize;

use super::{AuditMode, McpDenial, Mint, MintFailure, Mode, Trace};
use crate::Peers;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// What stands behind the routes that do not say so themselves.
    pub(super) mode: Mode,
    /// How the control plane is reached.
    pub(super) control_plane: WrittenControlPlane,
    /// The environment variable that holds the public key of the bundles.
    pub(super) trust_root_env: String,
    #[serde(default)]
    pub(super) introspection: Option<WrittenIntrospection>,
    #[serde(default = "exchange")]
    pub(super) mint: Mint,
    #[serde(default = "deny")]
    pub(super) mint_failure: MintFailure,
    #[serde(default)]
    pub(super) audit: WrittenAudit,
    #[serde(default = "body_bytes_max")]
    pub(super) body_bytes_max: usize,
    #[serde(default)]
    pub(super) upstreams: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) egress: BTreeMap<String, String>,
    #[serde(default = "tool_timeout_ms")]
    pub(super) tool_timeout_ms: u64,
    #[serde(default)]
    pub(super) peers: Peers,
    #[serde(default)]
    pub(super) mcp: WrittenMcp,
    #[serde(default)]
    pub(super) a2a: WrittenPaths,
    #[serde(default)]
    pub(super) rest: Vec<WrittenRest>,
    #[serde(default)]
    pub(super) pass: Vec<String>,
    #[serde(default)]
    pub(super) agent: Option<AgentId>,
    #[serde(default)]
    pub(super) boundaries: Boundaries,
    #[serde(default = "off")]
    pub(super) trace: Trace,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenControlPlane {
    pub(super) cluster: String,
    pub(super) authority: String,
    /// The environment variable that holds this proxy's key.
    pub(super) key_env: String,
    #[serde(default = "control_plane_timeout_ms")]
    pub(super) timeout_ms: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenIntrospection {
    /// The environment variable that holds a key of the role `tool`.
    pub(super) key_env: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenAudit {
    #[serde(default)]
    pub(super) mode: AuditMode,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenMcp {
    #[serde(default)]
    pub(super) paths: Vec<String>,
    #[serde(default = "denial_result")]
    pub(super) denial: McpDenial,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenPaths {
    #[serde(default)]
    pub(super) paths: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRest {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) tool: String,
}

impl Default for WrittenMcp {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            denial: McpDenial::Result,
        }
    }
}

fn exchange() -> Mint {
    Mint::Exchange
}
fn deny() -> MintFailure {
    MintFailure::Deny
}
fn off() -> Trace {
    Trace::Off
}
fn denial_result() -> McpDenial {
    McpDenial::Result
}
fn body_bytes_max() -> usize {
    512 * 1024
}
fn control_plane_timeout_ms() -> u64 {
    1_000
}
fn tool_timeout_ms() -> u64 {
    15_000
}
