//! What goes between the guard and whoever carries its decisions out.

use clampd_model::{AuditEvent, Verdict};

use crate::{
    Charge, Counting, Mode, forward::Forwarding, introspect::Introspecting, mint::Minting,
    recording::Recording, reply::Reply, respond::Watching, tool_call::Admitted,
};

/// Unix time in microseconds.
pub type Micros = u64;

/// The head of a request as Envoy gives it: names in lower case, values as bytes, the
/// pseudo-headers `:method` and `:path` among them.
#[derive(Debug, Clone, Default)]
pub struct Head {
    headers: Vec<(String, Vec<u8>)>,
    peer: Option<String>,
    /// The mode that the request's route names.
    route_mode: Option<Vec<u8>>,
}

impl Head {
    /// The longest header value that is looked at, in bytes.
    pub const VALUE_BYTES_MAX: usize = 16 * 1024;

    /// Takes a request's headers.
    pub fn new(headers: Vec<(String, Vec<u8>)>) -> Self {
        Self {
            headers,
            peer: None,
            route_mode: None,
        }
    }

    /// The same, come over a connection whose peer showed a certificate with this URI, which
    /// Envoy's TLS has found good.
    #[must_use]
    pub fn from_peer(self, uri: Option<String>) -> Self {
        Self { peer: uri, ..self }
    }

    /// The URI of the peer's certificate.
    pub(crate) fn peer(&self) -> Option<&str> {
        self.peer.as_deref()
    }

    /// The same head on a route that names its mode.
    #[must_use]
    pub fn on_route(self, mode: Option<Vec<u8>>) -> Self {
        Self {
            route_mode: mode,
            ..self
        }
    }

    /// The mode of the request: what its route names, else `default`. None for a name that means
    /// nothing.
    pub(crate) fn mode(&self, default: Mode) -> Option<Mode> {
        match &self.route_mode {
            Some(name) => Mode::named(name),
            None => Some(default),
        }
    }

    /// The value of a header, if it is there once and is UTF-8. One that is there twice has no
    /// value: two readers could take different ones.
    pub fn value(&self, name: &str) -> Option<&str> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (Some(value), None) if value.len() <= Self::VALUE_BYTES_MAX => {
                std::str::from_utf8(value).ok()
            }
            _ => None,
        }
    }

    /// Whether a header is there, readable or not.
    pub fn has(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// The names of its headers, each as often as it is there.
    pub fn into_names(self) -> Vec<String> {
        self.headers.into_iter().map(|(name, _)| name).collect()
    }

    /// Every value of a header.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, v)| v.as_slice())
    }
}

/// What one exchange needs from outside: the time and randomness.
#[derive(Debug, Clone, Copy)]
pub struct Seed {
    /// When the request came.
    pub now: Micros,
    /// 32 random bytes: the request's id and its token's nonce are made of them.
    pub random: [u8; 32],
}

/// What is to happen next.
#[derive(Debug)]
pub enum Step {
    /// Nothing here is for the guard; let the exchange go on as it is.
    Pass,
    /// Hold the request and bring its whole body.
    Read(Box<Reading>),
    /// Charge the counts that all workers share, and bring what they say.
    Count(Charge, Box<Counting>),
    /// Hold the request, make this call and bring the answer.
    Ask(Callout, Box<Asking>),
    /// It is judged.
    Done(Box<Judgement>),
}

/// An exchange that waits for its body.
#[derive(Debug)]
pub struct Reading {
    pub(crate) admitted: Admitted,
}

/// An exchange that waits for an answer.
#[derive(Debug)]
pub enum Asking {
    /// For a micro-token.
    Mint(Minting),
    /// For what the tool answers.
    Forward(Forwarding),
    /// Whether the micro-token that came is good.
    Introspect(Introspecting),
    /// For the audit trail's acknowledgement.
    Record(Recording),
}

impl Asking {
    /// Whether it is the control plane that is asked.
    pub fn is_of_control_plane(&self) -> bool {
        match self {
            Self::Mint(_) | Self::Introspect(_) | Self::Record(_) => true,
            Self::Forward(_) => false,
        }
    }
}

/// A call to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callout {
    /// The Envoy cluster to reach.
    pub cluster: String,
    /// Headers, the pseudo-headers `:method`, `:path` and `:authority` among them.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
}

/// What a call brought back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Whether a `content-encoding` other than `identity` hides what it says.
    pub is_encoded: bool,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether whoever was asked is there: an error of its own says no more than silence does.
    pub fn is_there(&self) -> bool {
        self.status < 500
    }
}

/// What was decided, and what is to be done about it.
#[derive(Debug)]
pub struct Judgement {
    /// The decision.
    pub verdict: Verdict,
    /// Changes to the request's headers before it goes on; nothing where there is a reply.
    pub headers: HeaderChanges,
    /// The answer to give instead of going on.
    pub reply: Option<Reply>,
    /// What is to be remembered now.
    pub events: Vec<AuditEvent>,
    /// Set where the exchange goes on: its answer must be looked at, and what is to be remembered
    /// follows then.
    pub watching: Option<Box<Watching>>,
}

/// Changes to a request's headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    /// Headers to take off.
    pub remove: Vec<&'static str>,
    /// Headers to set, in place of any there.
    pub set: Vec<(&'static str, String)>,
}

#[cfg(test)]
mod tests {
    use super::Head;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_header_that_is_there_twice_has_no_value() {
        let head = Head::new(vec![
            ("authorization".into(), b"Bearer a".to_vec()),
            ("authorization".into(), b"Bearer b".to_vec()),
            ("x-ag-key".into(), b"\xff".to_vec()),
            ("host".into(), b"h".to_vec()),
        ]);
        assert_eq!(head.value("authorization"), None);
        assert_eq!(head.value("x-ag-key"), None);
        assert_eq!(head.value("host"), Some("h"));
        assert!(head.has("x-ag-key"));
    }
}
