//! Callers that are known by their certificate: which SPIFFE id stands for which agent.
//!
//! That the certificate is good, Envoy's TLS has found out before; no header is ever asked.

use std::collections::BTreeMap;

use clampd_model::AgentId;
use serde::Deserialize;

/// The longest SPIFFE id, in bytes (SPIFFE-ID section 2.3).
const ID_BYTES_MAX: usize = 2048;

/// The agents that peer certificates stand for, by SPIFFE id. Compared byte for byte, whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, AgentId>")]
pub struct Peers(BTreeMap<String, AgentId>);

impl Peers {
    /// Whether no certificate stands for anybody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The agent that a peer certificate's URI stands for.
    pub(crate) fn agent(&self, uri: &str) -> Option<&AgentId> {
        self.0.get(uri)
    }
}

impl TryFrom<BTreeMap<String, AgentId>> for Peers {
    type Error = String;

    fn try_from(peers: BTreeMap<String, AgentId>) -> Result<Self, String> {
        match peers.keys().find(|id| !is_spiffe_id(id)) {
            Some(id) => Err(format!(
                "`peers`: `{id}` must be a SPIFFE id such as `spiffe://cluster.local/ns/a/sa/b`"
            )),
            None => Ok(Self(peers)),
        }
    }
}

/// Whether a text is the SPIFFE id of a workload: a trust domain and a path (SPIFFE-ID sections
/// 2.1 and 2.2).
fn is_spiffe_id(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_digit() || b"-_.".contains(&b);
    let segment = |s: &str| {
        !matches!(s, "" | "." | "..") && s.bytes().all(|b| plain(b) || b.is_ascii_alphabetic())
    };
    text.len() <= ID_BYTES_MAX
        && text
            .strip_prefix("spiffe://")
            .and_then(|rest| rest.split_once('/'))
            .is_some_and(|(domain, path)| {
                !domain.is_empty()
                    && domain.bytes().all(|b| plain(b) || b.is_ascii_lowercase())
                    && path.split('/').all(segment)
            })
}

#[cfg(test)]
mod tests {
    use super::is_spiffe_id;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn only_a_whole_workload_id_stands_for_an_agent() {
        assert!(is_spiffe_id("spiffe://cluster.local/ns/agents/sa/scout"));
        for bad in [
            "",
            "spiffe://",
            "spiffe://cluster.local",
            "spiffe://cluster.local/",
            "spiffe:///ns/a",
            "spiffe://Cluster.local/ns/a",
            "spiffe://cluster.local:1/ns/a",
            "spiffe://cluster.local/ns//a",
            "spiffe://cluster.local/ns/../a",
            "spiffe://cluster.local/ns/*",
            "spiffe://cluster.local/ns/a?b",
            "https://cluster.local/ns/a",
        ] {
            assert!(!is_spiffe_id(bad), "{bad}");
        }
    }
}
