//! Keeps the bundle in force new: one VM of the process holds a long poll at the control plane.

use clampd_guard::{Callout, ControlPlane, Micros, WholeBundle};
use clampd_token::{VerifyingKey, verify_bundle};

use crate::{
    host,
    shared::{self, Mark},
};

/// How long the control plane may hold a poll, in seconds.
const WAIT_SECONDS: u64 = 25;
/// How long Envoy waits for it, in milliseconds.
const TIMEOUT_MS: u64 = 35_000;
/// How long to wait after the first failure, and at most.
const BACKOFF_MICROS: (Micros, Micros) = (250_000, 5_000_000);

/// The poller of one VM; idle unless it holds the lease.
#[derive(Debug)]
pub(crate) struct Poller {
    owner: u64,
    call: Option<u32>,
    failures: u32,
    not_before: Micros,
    /// The whole bundle in force, as far as this VM has read it.
    in_force: Option<WholeBundle>,
}

/// What became of a poll.
#[derive(Debug)]
pub(crate) enum Polled {
    /// A bundle of this revision is in force.
    InForce(u64),
    /// What came must not be used; what was in force stays.
    Refused(String),
    /// The control plane did not answer, or not well.
    Failed(String),
}

impl Poller {
    pub(crate) fn new() -> Self {
        Self {
            owner: host::random_u64(),
            call: None,
            failures: 0,
            not_before: 0,
            in_force: None,
        }
    }

    /// Polls, if this VM is the one to do so and it is time.
    pub(crate) fn tick(&mut self, to: &ControlPlane, now: Micros) {
        if !shared::hold_lease(self.owner, now) || self.call.is_some() || now < self.not_before {
            return;
        }
        self.catch_up();
        let since = self.in_force.as_ref().map_or(0, WholeBundle::revision);
        let headers = vec![
            (":method".to_owned(), "GET".to_owned()),
            (
                ":path".to_owned(),
                format!("/v1/bundle?since={since}&wait={WAIT_SECONDS}"),
            ),
            (":authority".to_owned(), to.authority.clone()),
            (
                "authorization".to_owned(),
                format!("Bearer {}", to.key.expose()),
            ),
        ];
        let cluster = to.cluster.clone();
        self.call = host::call(&Callout {
            cluster,
            headers,
            body: vec![],
            timeout_ms: TIMEOUT_MS,
        });
        if self.call.is_none() {
            self.failed(now);
        }
    }

    /// Whether a call is this poller's.
    pub(crate) fn owns(&self, call: u32) -> bool {
        self.call == Some(call)
    }

    /// Takes the answer of the poll whose callback is running.
    pub(crate) fn answered(
        &mut self,
        headers: usize,
        body_bytes: usize,
        root: &VerifyingKey,
        now: Micros,
    ) -> Polled {
        self.call = None;
        let answer = match host::answer(headers, body_bytes) {
            Some(answer) if answer.status == 200 => answer,
            other => {
                self.failed(now);
                let status = other.map_or_else(|| "none".to_owned(), |a| a.status.to_string());
                return Polled::Failed(status);
            }
        };
        let signature = host::answer_header("x-clampd-signature");
        if let Err(error) = verify_bundle(&answer.body, signature.as_deref(), root) {
            self.failed(now);
            return Polled::Refused(error.to_string());
        }
        match self.put_in_force(&answer.body, now) {
            Ok(revision) => {
                self.failures = 0;
                self.not_before = 0;
                Polled::InForce(revision)
            }
            Err(error) => {
                // The next poll asks for the whole.
                self.in_force = None;
                self.failed(now);
                Polled::Refused(error)
            }
        }
    }

    fn put_in_force(&mut self, body: &[u8], now: Micros) -> Result<u64, String> {
        let whole = WholeBundle::lay(self.in_force.as_ref(), body, now);
        let whole = whole.map_err(|error| error.to_string())?;
        let mark = Mark {
            revision: whole.revision(),
            expires_at: whole.expires_at(),
        };
        let floor = shared::mark().map_or(0, |mark| mark.revision);
        if mark.revision < floor {
            return Err(format!(
                "bundle revision {} is older than {floor}",
                mark.revision
            ));
        }
        let known = self.in_force.as_ref().map(WholeBundle::revision);
        if known == Some(mark.revision) {
            shared::put_bundle(mark, None);
        } else {
            shared::put_bundle(mark, Some(&whole.to_json()));
        }
        self.in_force = Some(whole);
        Ok(mark.revision)
    }

    /// Reads what another VM has put in force since.
    fn catch_up(&mut self) {
        let known = self.in_force.as_ref().map(WholeBundle::revision);
        if shared::mark().map(|mark| mark.revision) == known {
            return;
        }
        let shared = shared::bundle().and_then(|body| WholeBundle::take_up(&body).ok());
        self.in_force = shared.or(self.in_force.take());
    }

    fn failed(&mut self, now: Micros) {
        let (first, most) = BACKOFF_MICROS;
        self.not_before = now + (first << self.failures.min(6)).min(most);
        self.failures = self.failures.saturating_add(1);
    }
}
