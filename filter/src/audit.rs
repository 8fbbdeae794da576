//! Audit events on their way to the control plane: in batches, kept until they are acknowledged.

use std::collections::VecDeque;

use clampd_guard::{Callout, ControlPlane, Micros};
use clampd_model::{AUDIT_BATCH_EVENTS_MAX, AuditEvent};

/// The most events that wait in one VM.
const QUEUE_EVENTS_MAX: usize = 20_000;
/// The most bytes of them.
const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many events a batch has where others wait: few enough that sending them does not hold up the
/// worker's requests.
const BATCH_EVENTS: usize = 200;
/// Beyond so many waiting events batches are as large as may be.
const BACKLOG_EVENTS: usize = 10 * BATCH_EVENTS;
/// The most bytes in one batch.
const BATCH_BYTES_MAX: usize = 1024 * 1024;
/// How long to wait after the first failure, and at most.
const BACKOFF_MICROS: (Micros, Micros) = (250_000, 8_000_000);

/// Events that wait, and the batch that is on its way.
#[derive(Debug, Default)]
pub(crate) struct AuditQueue {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The call that carries a batch, and how many of the first events it carries.
    on_its_way: Option<(u32, usize)>,
    failures: u32,
    not_before: Micros,
}

impl AuditQueue {
    /// Keeps an event; says no when there is no room, and then the event is lost.
    pub(crate) fn push(&mut self, event: &AuditEvent) -> bool {
        let Ok(json) = serde_json::to_vec(event) else {
            return false;
        };
        if self.waiting.len() >= QUEUE_EVENTS_MAX || self.bytes + json.len() > QUEUE_BYTES_MAX {
            return false;
        }
        self.bytes += json.len();
        self.waiting.push_back(json);
        true
    }

    /// How many events wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether there is a batch that need not wait for more events. Others wait for a tick: what
    /// a batch costs is for a call, not for its events.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= BATCH_EVENTS
    }

    /// The next batch, if it is time for one: at most one is on its way at a time.
    pub(crate) fn next_batch(&self, to: &ControlPlane, now: Micros) -> Option<(Callout, usize)> {
        if self.waiting.is_empty() || self.on_its_way.is_some() || now < self.not_before {
            return None;
        }
        let mut body = b"{\"events\":[".to_vec();
        let mut events = 0;
        let is_behind = self.waiting.len() > BACKLOG_EVENTS;
        let most = if is_behind {
            AUDIT_BATCH_EVENTS_MAX
        } else {
            BATCH_EVENTS
        };
        for event in self.waiting.iter().take(most) {
            if events > 0 {
                if body.len() + event.len() > BATCH_BYTES_MAX {
                    break;
                }
                body.push(b',');
            }
            body.extend_from_slice(event);
            events += 1;
        }
        body.extend_from_slice(b"]}");
        let callout = to.post("/v1/audit/events", "application/json", &to.key, body);
        let timeout_ms = callout.timeout_ms.max(5_000);
        Some((
            Callout {
                timeout_ms,
                ..callout
            },
            events,
        ))
    }

    /// The batch left, or could not.
    pub(crate) fn sent(&mut self, call: Option<u32>, events: usize, now: Micros) {
        match call {
            Some(call) => self.on_its_way = Some((call, events)),
            None => self.failed(now),
        }
    }

    /// Takes the answer to a batch. `None` when the call was not one of ours; else whether the
    /// batch was acknowledged, or why it never will be.
    pub(crate) fn answered(&mut self, call: u32, status: u16, now: Micros) -> Option<Delivery> {
        let (_, events) = self.on_its_way.filter(|(ours, _)| *ours == call)?;
        self.on_its_way = None;
        match status {
            200..=299 => {
                self.drop_first(events);
                self.failures = 0;
                Some(Delivery::Acknowledged)
            }
            // It was read and will not be taken: sending it again would hold up all others.
            400 | 413 | 422 => {
                self.drop_first(events);
                Some(Delivery::Refused { events })
            }
            _ => {
                self.failed(now);
                Some(Delivery::Later)
            }
        }
    }

    fn drop_first(&mut self, events: usize) {
        let gone: usize = self
            .waiting
            .drain(..events.min(self.waiting.len()))
            .map(|e| e.len())
            .sum();
        self.bytes = self.bytes.saturating_sub(gone);
    }

    fn failed(&mut self, now: Micros) {
        let (first, most) = BACKOFF_MICROS;
        self.not_before = now + (first << self.failures.min(6)).min(most);
        self.failures = self.failures.saturating_add(1);
    }
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Acknowledged,
    /// The control plane will not take it.
    Refused {
        events: usize,
    },
    /// It will be sent again.
    Later,
}
