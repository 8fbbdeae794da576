//! What the workers of one Envoy share: the bundle in force, who polls for the next, and what
//! agents have used.
//!
//! Writers follow one order, the bundle first and its mark after; so a reader that sees a mark
//! finds a bundle at least that new. Marks only grow, by compare-and-swap.

use clampd_guard::{AgentRisk, AnswerBytes, Charge, Circuit, Entry, Laid, Micros, Permit, Tally};
use clampd_model::RiskScore;
use proxy_wasm::hostcalls;

const BUNDLE: &str = "clampd.bundle";
const MARK: &str = "clampd.mark";
const LEASE: &str = "clampd.lease";
const CIRCUIT: &str = "clampd.circuit";

/// How long a poller keeps its lease without renewing it.
const LEASE_MICROS: Micros = 3_000_000;
/// How often a contended write is tried.
const TRIES_MAX: usize = 8;
/// The same of a count: every failure is another worker's success, and there are not so many.
const CHARGE_TRIES_MAX: usize = 128;
/// Compared where a record is not there: the host takes the first such write and refuses others,
/// for no record has this number.
const ABSENT: u32 = u32::MAX;

/// Which bundle is in force, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub(crate) revision: u64,
    pub(crate) expires_at: u64,
}

/// The mark of the bundle in force.
pub(crate) fn mark() -> Option<Mark> {
    Mark::of(&read(MARK).0?)
}

/// The bundle in force: the JSON of a whole bundle that was verified before it was put here.
pub(crate) fn bundle() -> Option<Vec<u8>> {
    read(BUNDLE).0
}

/// Puts a verified whole bundle in force, unless a newer one is. Without `body` only its validity
/// is renewed.
pub(crate) fn put_bundle(mark: Mark, body: Option<&[u8]>) {
    for _ in 0..TRIES_MAX {
        let (there, cas) = read(MARK);
        if there
            .as_deref()
            .and_then(Mark::of)
            .is_some_and(|there| there >= mark)
        {
            return;
        }
        if let Some(body) = body {
            write(BUNDLE, body, None);
        }
        if write(MARK, &mark.bytes(), cas) {
            return;
        }
    }
}

/// Takes or keeps the lease to poll: one VM of the process holds it.
pub(crate) fn hold_lease(owner: u64, now: Micros) -> bool {
    let (there, cas) = read(LEASE);
    let (holder, until) = there.as_deref().and_then(pair).unwrap_or((0, 0));
    if holder != owner && until > now {
        return false;
    }
    if holder == owner && until > now + LEASE_MICROS / 2 {
        return true;
    }
    write(LEASE, &bytes(owner, now + LEASE_MICROS), cas)
}

/// Whether the control plane may be asked now, for at most so long.
pub(crate) fn may_ask(timeout_ms: u64, now: Micros) -> bool {
    for _ in 0..TRIES_MAX {
        let (there, cas) = read(CIRCUIT);
        match Circuit::read(there.as_deref()).ask(timeout_ms, now) {
            Permit::Given => return true,
            Permit::Refused => return false,
            Permit::Probe(probing) if write(CIRCUIT, &probing.record(), cas) => return true,
            Permit::Probe(_) => {}
        }
    }
    false
}

/// Notes whether the control plane answered; gives whether nobody will wait for it from now on.
pub(crate) fn was_asked(is_answered: bool, now: Micros) -> bool {
    for _ in 0..TRIES_MAX {
        let (there, cas) = read(CIRCUIT);
        let Some(circuit) = Circuit::read(there.as_deref()).told(is_answered, now) else {
            return false;
        };
        if write(CIRCUIT, &circuit.record(), cas.or(Some(ABSENT))) {
            return circuit.has_opened();
        }
    }
    false
}

/// Charges what a request uses; nothing when so many others are being charged that it cannot be.
pub(crate) fn charge(charge: &Charge, now: Micros) -> Option<Tally> {
    let mut tally = Tally::default();
    for entry in charge.entries() {
        let laid = lay(entry, now)?;
        let is_over = laid.is_over();
        tally.add(laid);
        if is_over {
            break;
        }
    }
    Some(tally)
}

/// Has an agent's average take a judgement in. Where others do the same too often to get a word
/// in, theirs will do.
pub(crate) fn take_risk(agent: &str, score: RiskScore, now: Micros) {
    let key = AgentRisk::key(agent);
    for _ in 0..TRIES_MAX {
        let (there, cas) = read(&key);
        let Some(record) = AgentRisk::read(there.as_deref(), now).after(score) else {
            return;
        };
        if write(&key, &record, cas.or(Some(ABSENT))) {
            return;
        }
    }
}

/// Counts what an answer brought an agent, where that is bounded. It is tried as often as a charge:
/// what others write must not leave it out.
pub(crate) fn take_answer(agent: &str, bytes: u64, now: Micros) {
    let key = AnswerBytes::key(agent);
    for _ in 0..CHARGE_TRIES_MAX {
        let (Some(there), cas) = read(&key) else {
            return;
        };
        if write(&key, &AnswerBytes::after(&there, bytes, now), cas) {
            return;
        }
    }
}

fn lay(entry: &Entry, now: Micros) -> Option<Laid> {
    (0..CHARGE_TRIES_MAX).find_map(|_| {
        let (there, cas) = read(entry.key());
        let laid = entry.lay(there.as_deref(), now);
        let is_in = match &laid.record {
            Some(record) => write(entry.key(), record, cas.or(Some(ABSENT))),
            None => true,
        };
        is_in.then_some(laid)
    })
}

impl Mark {
    fn of(value: &[u8]) -> Option<Self> {
        pair(value).map(|(revision, expires_at)| Self {
            revision,
            expires_at,
        })
    }

    fn bytes(self) -> [u8; 16] {
        bytes(self.revision, self.expires_at)
    }
}

fn read(key: &str) -> (Option<Vec<u8>>, Option<u32>) {
    hostcalls::get_shared_data(key).unwrap_or_default()
}

fn write(key: &str, value: &[u8], cas: Option<u32>) -> bool {
    hostcalls::set_shared_data(key, Some(value), cas).is_ok()
}

fn pair(value: &[u8]) -> Option<(u64, u64)> {
    let (first, second) = value.split_at_checked(8)?;
    let first = u64::from_le_bytes(first.try_into().ok()?);
    let second = u64::from_le_bytes(second.try_into().ok()?);
    Some((first, second))
}

fn bytes(first: u64, second: u64) -> [u8; 16] {
    let mut value = [0; 16];
    let parts = first.to_le_bytes().into_iter().chain(second.to_le_bytes());
    value
        .iter_mut()
        .zip(parts)
        .for_each(|(to, from)| *to = from);
    value
}
