//! Counters and gauges, by the names that dashboards know.
//!
//! A counter adds up in the VM and is told to Envoy at the next tick, since each call of the host
//! costs the exchange that makes it.

use std::{cell::Cell, rc::Rc};

use clampd_guard::{EXEMPTED, Judgement, MODEL_CALL, Micros, WOULD_BLOCK};
use clampd_model::{AuditEvent, Verdict};
use proxy_wasm::{hostcalls, types::MetricType};

/// The metrics of one VM. Envoy adds those of all VMs up.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// All that are counted below.
    counters: Vec<Rc<Counter>>,
    requests: Rc<Counter>,
    denied: Rc<Counter>,
    allowed: Rc<Counter>,
    flagged: Rc<Counter>,
    would_block: Rc<Counter>,
    exempted: Rc<Counter>,
    circuit_opened: Rc<Counter>,
    cache_hits: Rc<Counter>,
    latency_sum: Rc<Counter>,
    latency_count: Rc<Counter>,
    audit_lost: Rc<Counter>,
    audit_queued: Gauge,
    bundle_revision: Gauge,
    bundle_refused: Rc<Counter>,
}

#[derive(Debug)]
struct Counter {
    id: Option<u32>,
    /// What was not told yet.
    pending: Cell<u64>,
}

#[derive(Debug)]
struct Gauge(Option<u32>);

impl Metrics {
    /// Defines all of them, so that they can be seen before the first request.
    pub(crate) fn define() -> Self {
        let mut counters = Vec::new();
        let mut counter = |name| {
            let counter = Rc::new(Counter {
                id: hostcalls::define_metric(MetricType::Counter, name).ok(),
                pending: Cell::default(),
            });
            counters.push(Rc::clone(&counter));
            counter
        };
        let gauge = |name| Gauge(hostcalls::define_metric(MetricType::Gauge, name).ok());
        Self {
            requests: counter("agentguard_requests_total"),
            denied: counter("agentguard_requests_denied_total"),
            allowed: counter("agentguard_requests_allowed_total"),
            flagged: counter("agentguard_requests_flagged_total"),
            would_block: counter("agentguard_would_block_total"),
            exempted: counter("agentguard_exempted_total"),
            circuit_opened: counter("agentguard_circuit_breaker_open_total"),
            cache_hits: counter("agentguard_cache_hits_total"),
            latency_sum: counter("agentguard_latency_sum_us"),
            latency_count: counter("agentguard_latency_count"),
            audit_lost: counter("agentguard_audit_lost_total"),
            audit_queued: gauge("agentguard_audit_queued"),
            bundle_revision: gauge("agentguard_bundle_revision"),
            bundle_refused: counter("agentguard_bundle_refused_total"),
            counters,
        }
    }

    /// Tells Envoy what was counted since the last time.
    pub(crate) fn tell(&self) {
        self.counters.iter().for_each(|counter| counter.tell());
    }

    /// Counts a judgement. What was answered without judging anyone does not count.
    pub(crate) fn judged(&self, judgement: &Judgement) {
        let goes_on = judgement.watching.is_some();
        if judgement.verdict != Verdict::Deny && judgement.events.is_empty() && !goes_on {
            return;
        }
        self.requests.add(1);
        match judgement.verdict {
            Verdict::Allow => self.allowed.add(1),
            Verdict::Flag => {
                self.allowed.add(1);
                self.flagged.add(1);
            }
            Verdict::Deny => self.denied.add(1),
        }
    }

    /// Counts what was found and did not count, and what monitored rules would have blocked.
    pub(crate) fn left_out(&self, event: &AuditEvent) {
        let flagged = |is: fn(&str) -> bool| event.session_flags.iter().any(|flag| is(flag));
        self.would_block
            .add(u64::from(flagged(|f| f == WOULD_BLOCK)));
        self.exempted
            .add(u64::from(flagged(|f| f.starts_with(EXEMPTED))));
    }

    /// Counts a call that was stopped in a model's answer: its request had been let through.
    pub(crate) fn stopped_in_answer(&self, event: &AuditEvent) {
        let is_stopped = event.blocked && event.tool_action == MODEL_CALL;
        self.requests.add(u64::from(is_stopped));
        self.denied.add(u64::from(is_stopped));
    }

    /// Counts that the control plane is waited for no longer.
    pub(crate) fn circuit_opened(&self) {
        self.circuit_opened.add(1);
    }

    /// Counts texts that were not judged again.
    pub(crate) fn remembered(&self, texts: u64) {
        self.cache_hits.add(texts);
    }

    /// Adds up how long judgements took.
    pub(crate) fn latency(&self, latency: Micros) {
        self.latency_sum.add(latency);
        self.latency_count.add(1);
    }

    pub(crate) fn audit_lost(&self) {
        self.audit_lost.add(1);
    }

    pub(crate) fn audit_queued(&self, events: usize) {
        self.audit_queued.set(events as u64);
    }

    pub(crate) fn bundle_in_force(&self, revision: u64) {
        self.bundle_revision.set(revision);
    }

    pub(crate) fn bundle_refused(&self) {
        self.bundle_refused.add(1);
    }
}

impl Counter {
    fn add(&self, amount: u64) {
        self.pending.set(self.pending.get().saturating_add(amount));
    }

    fn tell(&self) {
        let amount = self.pending.take();
        if let Some(id) = self.id.filter(|_| amount > 0) {
            // A metric that cannot be written must not stop a request.
            let _ = hostcalls::increment_metric(id, i64::try_from(amount).unwrap_or(i64::MAX));
        }
    }
}

impl Gauge {
    fn set(&self, value: u64) {
        if let Some(id) = self.0 {
            let _ = hostcalls::record_metric(id, value);
        }
    }
}
