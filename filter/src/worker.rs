//! What one VM holds: the guard, the snapshot that it last read, what waits to be told.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use clampd_guard::{
    Charge, Guard, Judgement, Micros, Snapshot, Tally, Trace, access_note, pipeline_lines,
};
use clampd_model::AuditEvent;

use crate::{
    audit::AuditQueue,
    host,
    metrics::Metrics,
    shared::{self, Mark},
};

/// Shared by the root context and the exchanges of one VM.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) guard: Guard,
    pub(crate) audit: RefCell<AuditQueue>,
    pub(crate) metrics: Metrics,
    snapshot: RefCell<Option<(Mark, Rc<Snapshot>)>>,
    /// Whether a call came of an agent whose answers are bounded.
    counts_answers: Cell<bool>,
}

impl Worker {
    pub(crate) fn new(guard: Guard) -> Self {
        Self {
            guard,
            audit: RefCell::default(),
            metrics: Metrics::define(),
            snapshot: RefCell::default(),
            counts_answers: Cell::default(),
        }
    }

    /// What is in force at this moment in the whole process: a kill that one VM has learnt of is
    /// seen by the next look of every other.
    pub(crate) fn snapshot(&self) -> Option<Rc<Snapshot>> {
        let mark = shared::mark();
        let mut held = self.snapshot.borrow_mut();
        if let (Some(mark), Some((have, snapshot))) = (mark, held.as_ref())
            && mark == *have
        {
            return Some(Rc::clone(snapshot));
        }
        let mark = mark?;
        let is_renewal = |(have, _): &mut (Mark, _)| have.revision == mark.revision;
        if let Some((_, snapshot)) = held.take_if(is_renewal) {
            // Exchanges of this VM never overlap with this call, so the count is 1.
            let renewed = Rc::try_unwrap(snapshot).map(|s| s.renewed(mark.expires_at));
            if let Ok(renewed) = renewed {
                let renewed = Rc::new(renewed);
                *held = Some((mark, Rc::clone(&renewed)));
                return Some(renewed);
            }
        }
        let before = held.take();
        let before = before.as_ref().map(|(_, snapshot)| snapshot.as_ref());
        let snapshot = Rc::new(read_snapshot(before)?);
        *held = Some((mark, Rc::clone(&snapshot)));
        Some(snapshot)
    }

    /// Charges what a request uses; nothing when it cannot be.
    pub(crate) fn charge(&self, charge: &Charge, now: Micros) -> Option<Tally> {
        if charge.bounds_answers() {
            self.counts_answers.set(true);
        }
        shared::charge(charge, now)
    }

    /// Notes whether the control plane answered a call.
    pub(crate) fn asked_control_plane(&self, is_answered: bool) {
        if shared::was_asked(is_answered, host::now()) {
            self.metrics.circuit_opened();
            host::error("clampd: the control plane does not answer; calls no longer wait for it");
        }
    }

    /// Counts a judgement.
    pub(crate) fn judged(&self, judgement: &Judgement) {
        self.metrics.judged(judgement);
        self.metrics.remembered(self.guard.take_remembered());
    }

    /// Keeps events for the audit trail and notes them for the access log of the exchange whose
    /// callback is running.
    pub(crate) fn record(&self, events: Vec<AuditEvent>, now: Micros) {
        for event in events {
            host::note(&access_note(&event));
            self.keep(&event, now);
        }
    }

    /// Keeps an event for the audit trail and, where it is asked for, logs it.
    pub(crate) fn keep(&self, event: &AuditEvent, now: Micros) {
        if self.guard.config().trace == Trace::Pipeline {
            for line in pipeline_lines(event) {
                host::info(&line);
            }
        }
        shared::take_risk(&event.agent_id, event.risk_score, now);
        let answered = event.response.as_ref().map_or(0, |answer| answer.bytes);
        if self.counts_answers.get() && answered > 0 {
            shared::take_answer(&event.agent_id, answered, now);
        }
        self.metrics.latency(event.latency_us);
        self.metrics.left_out(event);
        self.metrics.stopped_in_answer(event);
        let kept = self.audit.borrow_mut().push(event);
        if !kept {
            self.metrics.audit_lost();
        }
    }
}

/// Reads what is in force; rules that stayed the same are taken over from `before`.
fn read_snapshot(before: Option<&Snapshot>) -> Option<Snapshot> {
    let bundle = Snapshot::read_bundle(&shared::bundle()?);
    match bundle.and_then(|bundle| Snapshot::after(before, bundle)) {
        Ok(snapshot) => Some(snapshot),
        Err(error) => {
            host::error(&format!("clampd: bundle in force cannot be read: {error}"));
            None
        }
    }
}
