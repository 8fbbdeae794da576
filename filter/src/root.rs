//! The root context of a VM: reads the configuration, polls, sends audit events.

use std::{hash::RandomState, rc::Rc};

use clampd_detect::Detector;
use clampd_guard::{Config, Guard, Micros};
use proxy_wasm::{
    traits::{Context, HttpContext, RootContext},
    types::ContextType,
};

use crate::{
    audit::Delivery,
    exchange::Exchange,
    host,
    poller::{Polled, Poller},
    worker::Worker,
};

/// How often a VM ticks, in milliseconds: how late an audit event or a failed poll may be.
const TICK_MS: u64 = 100;

/// The root context.
#[derive(Debug, Default)]
pub(crate) struct Root {
    configured: Option<(Rc<Worker>, Poller)>,
}

impl Root {
    fn configure(json: &[u8]) -> Result<Rc<Worker>, String> {
        let config = Config::parse(json, |name| std::env::var(name).ok());
        let config = config.map_err(|error| error.to_string())?;
        let detector =
            Detector::new(*clampd_ruleset::RULES).map_err(|error| format!("rules: {error}"))?;
        Ok(Rc::new(Worker::new(
            Guard::new(detector, config).remembering(RandomState::new()),
        )))
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, configuration_bytes: usize) -> bool {
        match Self::configure(&host::configuration(configuration_bytes)) {
            Ok(worker) => {
                self.configured = Some((worker, Poller::new()));
                host::tick_every(TICK_MS);
                true
            }
            Err(error) => {
                host::error(&format!("clampd: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let Some((worker, poller)) = &mut self.configured else {
            return;
        };
        let now = host::now();
        let control_plane = &worker.guard.config().control_plane;
        poller.tick(control_plane, now);
        send_audit(worker, now);
        worker.metrics.tell();
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        let worker = self
            .configured
            .as_ref()
            .map(|(worker, _)| Rc::clone(worker));
        Some(Box::new(Exchange::new(worker)))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Root {
    fn on_done(&mut self) -> bool {
        if let Some((worker, _)) = &self.configured {
            worker.metrics.tell();
        }
        true
    }

    fn on_http_call_response(&mut self, call: u32, headers: usize, body_bytes: usize, _: usize) {
        let Some((worker, poller)) = &mut self.configured else {
            return;
        };
        let now = host::now();
        if poller.owns(call) {
            let polled =
                poller.answered(headers, body_bytes, &worker.guard.config().trust_root, now);
            match polled {
                Polled::InForce(revision) => {
                    worker.metrics.bundle_in_force(revision);
                    // Poll again at once: a change must not wait for a tick.
                    poller.tick(&worker.guard.config().control_plane, now);
                }
                Polled::Refused(why) => {
                    worker.metrics.bundle_refused();
                    host::error(&format!(
                        "clampd: bundle refused, the last good one stays: {why}"
                    ));
                }
                Polled::Failed(status) => {
                    host::warn(&format!(
                        "clampd: control plane gave no bundle, status {status}"
                    ));
                }
            }
            return;
        }
        let status = host::answer(headers, 0).map_or(0, |answer| answer.status);
        let delivery = worker.audit.borrow_mut().answered(call, status, now);
        match delivery {
            Some(Delivery::Refused { events }) => {
                (0..events).for_each(|_| worker.metrics.audit_lost());
                host::error(&format!(
                    "clampd: {events} audit events refused, status {status}"
                ));
            }
            Some(Delivery::Later) => {
                host::warn(&format!("clampd: audit events wait, status {status}"));
            }
            Some(Delivery::Acknowledged) if worker.audit.borrow().is_full() => {
                send_audit(worker, now);
            }
            Some(Delivery::Acknowledged) | None => {}
        }
    }
}

/// Sends the next batch of audit events, if there is one and it is time.
fn send_audit(worker: &Worker, now: Micros) {
    let mut audit = worker.audit.borrow_mut();
    if let Some((callout, events)) = audit.next_batch(&worker.guard.config().control_plane, now) {
        let call = host::call(&callout);
        audit.sent(call, events, now);
    }
    worker.metrics.audit_queued(audit.len());
}
