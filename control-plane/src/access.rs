//! Who may call: keys, roles, and a brake on guessing.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May do all that an operator may, and manage keys.
    Admin,
    /// May do all that an auditor may, and change agents, tools, policies and settings.
    Operator,
    /// May read.
    Auditor,
    /// A gateway: fetches bundles, exchanges tokens, hands in audit events.
    Proxy,
    /// A tool's service: introspects tokens.
    Tool,
    /// What an agent sends to a gateway; grants nothing here.
    Agent,
}

impl Role {
    const ALL: [Self; 6] = [
        Self::Admin,
        Self::Operator,
        Self::Auditor,
        Self::Proxy,
        Self::Tool,
        Self::Agent,
    ];

    /// The word in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
            Self::Proxy => "proxy",
            Self::Tool => "tool",
            Self::Agent => "agent",
        }
    }

    /// The role of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }

    /// Whether a key of this role may do what `wanted` may.
    pub fn grants(self, wanted: Self) -> bool {
        match wanted {
            Self::Auditor => matches!(self, Self::Admin | Self::Operator | Self::Auditor),
            Self::Operator => matches!(self, Self::Admin | Self::Operator),
            Self::Admin | Self::Proxy | Self::Tool => self == wanted,
            Self::Agent => false,
        }
    }
}

/// Whether `key` looks like one of ours: `ag_live_` or `ag_test_` and 1 to 200 graphic characters.
pub(crate) fn is_key(key: &str) -> bool {
    let rest = key
        .strip_prefix("ag_live_")
        .or_else(|| key.strip_prefix("ag_test_"));
    rest.is_some_and(|rest| {
        (1..=200).contains(&rest.len()) && rest.bytes().all(|byte| byte.is_ascii_graphic())
    })
}

/// How long failures are remembered.
const WINDOW: Duration = Duration::from_secs(60);

/// Failures in a window with one beginning of a key from one address, before it is braked.
const PREFIX_FAILURES_MAX: u32 = 10;

/// Failures in a window from one address with any keys, before unfamiliar keys are braked.
const ADDRESS_FAILURES_MAX: u32 = 100;

/// How many addresses and beginnings are remembered; then the oldest is forgotten.
const REMEMBERED_MAX: usize = 4_096;

/// How many keys are remembered as good from an address, so that a guesser on the same address does
/// not brake them. Elsewhere a guesser is braked even when the guess is right.
const FAMILIAR_MAX: usize = 1_024;

/// Characters of a key that tell one guesser's target from another.
const PREFIX_CHARACTERS: usize = 14;

/// Slows down those who try keys that do not exist. Bounded in memory, whatever is tried.
#[derive(Debug, Default)]
pub(crate) struct Brake(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    failures: HashMap<(IpAddr, String), Failures>,
    order: VecDeque<(IpAddr, String)>,
    familiar: HashSet<(IpAddr, String)>,
    familiar_order: VecDeque<(IpAddr, String)>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    since: Instant,
    count: u32,
}

impl Brake {
    /// The seconds to wait, if `key` (whose hash is `sha256`) is not to be looked at now.
    pub(crate) fn wait(&self, address: IpAddr, key: &str, sha256: &str) -> Option<u64> {
        let memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.familiar.contains(&(address, sha256.to_owned())) {
            return None;
        }
        let by_prefix = memory.wait((address, prefix(key)), PREFIX_FAILURES_MAX);
        by_prefix.or_else(|| memory.wait((address, String::new()), ADDRESS_FAILURES_MAX))
    }

    /// Remembers that the key does not exist.
    pub(crate) fn failed(&self, address: IpAddr, key: &str) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        memory.count((address, prefix(key)));
        memory.count((address, String::new()));
    }

    /// Remembers that the key exists.
    pub(crate) fn succeeded(&self, address: IpAddr, sha256: &str) {
        let source = (address, sha256.to_owned());
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.familiar.contains(&source) {
            return;
        }
        if memory.familiar_order.len() >= FAMILIAR_MAX
            && let Some(oldest) = memory.familiar_order.pop_front()
        {
            memory.familiar.remove(&oldest);
        }
        memory.familiar.insert(source.clone());
        memory.familiar_order.push_back(source);
    }
}

impl Memory {
    fn wait(&self, source: (IpAddr, String), failures_max: u32) -> Option<u64> {
        let failures = self.failures.get(&source)?;
        let rest = WINDOW.checked_sub(failures.since.elapsed())?;
        (failures.count >= failures_max).then(|| rest.as_secs() + 1)
    }

    fn count(&mut self, source: (IpAddr, String)) {
        if let Some(failures) = self.failures.get_mut(&source) {
            if failures.since.elapsed() >= WINDOW {
                *failures = Failures {
                    since: Instant::now(),
                    count: 0,
                };
            }
            failures.count = failures.count.saturating_add(1);
            return;
        }
        if self.order.len() >= REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.failures.remove(&oldest);
        }
        self.order.push_back(source.clone());
        self.failures.insert(
            source,
            Failures {
                since: Instant::now(),
                count: 1,
            },
        );
    }
}

fn prefix(key: &str) -> String {
    key.chars().take(PREFIX_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::{ADDRESS_FAILURES_MAX, Brake, PREFIX_FAILURES_MAX, REMEMBERED_MAX, Role};

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn whoever_guesses_one_key_is_braked_and_others_are_not() {
        let brake = Brake::default();
        for _ in 0..PREFIX_FAILURES_MAX {
            assert_eq!(brake.wait(HERE, "ag_live_guess", "h"), None);
            brake.failed(HERE, "ag_live_guess");
        }
        assert!(
            brake
                .wait(HERE, "ag_live_guess", "h")
                .is_some_and(|s| (1..=60).contains(&s))
        );
        assert_eq!(brake.wait(HERE, "ag_live_other", "h"), None);
    }

    #[test]
    fn a_guesser_of_many_keys_is_braked_while_keys_known_to_be_good_pass() {
        let brake = Brake::default();
        brake.succeeded(HERE, "good");
        for guess in 0..ADDRESS_FAILURES_MAX {
            brake.failed(HERE, &format!("ag_live_{guess:06}"));
        }
        assert!(brake.wait(HERE, "ag_live_fresh_", "h").is_some());
        assert_eq!(brake.wait(HERE, "ag_live_fresh_", "good"), None);
        let elsewhere = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        for guess in 0..ADDRESS_FAILURES_MAX {
            brake.failed(elsewhere, &format!("ag_live_{guess:06}"));
        }
        assert!(
            brake.wait(elsewhere, "ag_live_fresh_", "good").is_some(),
            "a right guess too"
        );
    }

    #[test]
    fn memory_stays_bounded_whatever_is_tried() {
        let brake = Brake::default();
        for guess in 0..REMEMBERED_MAX * 3 {
            brake.failed(HERE, &format!("ag_live_{guess:06}"));
            brake.succeeded(HERE, &guess.to_string());
        }
        let memory = brake.0.lock().unwrap();
        assert!(memory.failures.len() <= REMEMBERED_MAX && memory.order.len() <= REMEMBERED_MAX);
        assert_eq!(memory.familiar.len(), super::FAMILIAR_MAX);
    }

    #[test]
    fn an_agents_key_grants_nothing_and_a_proxy_is_no_operator() {
        for wanted in Role::ALL {
            assert!(!Role::Agent.grants(wanted));
            assert_eq!(Role::Proxy.grants(wanted), wanted == Role::Proxy);
        }
        assert!(Role::Admin.grants(Role::Auditor) && Role::Admin.grants(Role::Operator));
        assert!(!Role::Admin.grants(Role::Proxy) && !Role::Auditor.grants(Role::Operator));
    }
}
