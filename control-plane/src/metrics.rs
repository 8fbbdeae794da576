//! What the service counts about itself, as Prometheus reads it.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

/// Counters since the process began.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) audit_events: AtomicU64,
    pub(crate) audit_duplicates: AtomicU64,
    pub(crate) audit_queries: AtomicU64,
    pub(crate) kills: AtomicU64,
    pub(crate) keys_refused: AtomicU64,
    polls_waiting: AtomicI64,
    exchanges: Mutex<BTreeMap<&'static str, u64>>,
    introspections: Mutex<BTreeMap<&'static str, u64>>,
}

/// A poll that waits, counted while this lives.
pub(crate) struct WaitingPoll<'m>(&'m Metrics);

impl Drop for WaitingPoll<'_> {
    fn drop(&mut self) {
        self.0.polls_waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    pub(crate) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn poll_waits(&self) -> WaitingPoll<'_> {
        self.polls_waiting.fetch_add(1, Ordering::Relaxed);
        WaitingPoll(self)
    }

    /// Counts an exchange by its result: `issued` or an error code.
    pub(crate) fn exchanged(&self, result: &'static str) {
        count(&self.exchanges, result);
    }

    /// Counts an introspection by its result: `active` or the reason why not.
    pub(crate) fn introspected(&self, result: &'static str) {
        count(&self.introspections, result);
    }

    /// The text that Prometheus scrapes.
    pub(crate) fn render(&self, bundle_revision: u64) -> String {
        let mut text = String::new();
        let mut one = |name: &str, kind: &str, help: &str, value: String| {
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
            );
        };
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed).to_string();
        one(
            "clampd_bundle_revision",
            "gauge",
            "The bundle's revision.",
            bundle_revision.to_string(),
        );
        one(
            "clampd_bundle_polls_waiting",
            "gauge",
            "Long polls that wait for a change.",
            self.polls_waiting.load(Ordering::Relaxed).to_string(),
        );
        one(
            "clampd_audit_events_total",
            "counter",
            "Audit events taken in.",
            load(&self.audit_events),
        );
        one(
            "clampd_audit_duplicates_total",
            "counter",
            "Audit events that were in the trail already.",
            load(&self.audit_duplicates),
        );
        one(
            "clampd_audit_queries_total",
            "counter",
            "Audit queries.",
            load(&self.audit_queries),
        );
        one(
            "clampd_kills_total",
            "counter",
            "Agents killed.",
            load(&self.kills),
        );
        one(
            "clampd_keys_refused_total",
            "counter",
            "Requests with a key that is missing, unknown or braked.",
            load(&self.keys_refused),
        );
        let by = [
            (
                "clampd_token_exchanges_total",
                "Token exchanges by result.",
                &self.exchanges,
            ),
            (
                "clampd_introspections_total",
                "Introspections by result.",
                &self.introspections,
            ),
        ];
        for (name, help, counts) in by {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
            for (result, count) in counts.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                let _ = writeln!(text, "{name}{{result=\"{result}\"}} {count}");
            }
        }
        text
    }
}

fn count(counts: &Mutex<BTreeMap<&'static str, u64>>, result: &'static str) {
    *counts
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(result)
        .or_default() += 1;
}
