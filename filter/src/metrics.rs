//! Counters and gauges, by the names that dashboards know.

use clampd_guard::{EXEMPTED, Judgement, MODEL_CALL, Micros, WOULD_BLOCK};
use clampd_model::{AuditEvent, Verdict};
use proxy_wasm::{hostcalls, types::MetricType};

/// The metrics of one VM. Envoy adds those of all VMs up.
#[derive(Debug)]
pub(crate) struct Metrics {
    requests: Metric,
    denied: Metric,
    allowed: Metric,
    flagged: Metric,
    would_block: Metric,
    exempted: Metric,
    circuit_opened: Metric,
    cache_hits: Metric,
    latency_sum: Metric,
    latency_count: Metric,
    audit_lost: Metric,
    audit_queued: Metric,
    bundle_revision: Metric,
    bundle_refused: Metric,
}

#[derive(Debug, Clone, Copy)]
struct Metric(Option<u32>);

impl Metrics {
    /// Defines all of them, so that they can be seen before the first request.
    pub(crate) fn define() -> Self {
        let counter = |name| Metric::define(MetricType::Counter, name);
        let gauge = |name| Metric::define(MetricType::Gauge, name);
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
        }
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

impl Metric {
    fn define(kind: MetricType, name: &str) -> Self {
        Self(hostcalls::define_metric(kind, name).ok())
    }

    fn add(self, amount: u64) {
        if let Some(id) = self.0.filter(|_| amount > 0) {
            // A metric that cannot be written must not stop a request.
            let _ = hostcalls::increment_metric(id, i64::try_from(amount).unwrap_or(i64::MAX));
        }
    }

    fn set(self, value: u64) {
        if let Some(id) = self.0 {
            let _ = hostcalls::record_metric(id, value);
        }
    }
}
