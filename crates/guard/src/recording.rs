//! `audit.mode` `required`: nothing passes before the control plane has acknowledged its event.
//!
//! What comes of it afterwards, the answer of a tool or a model, is an event of its own.

use clampd_model::AuditEvent;

use crate::{
    Answer, Asking, AuditMode, Callout, ErrorCode, Guard, Judgement, Micros, Refusal, Snapshot,
    Step,
    admit::Endpoint,
    exchange::last_gate,
    forward::Forwarding,
    identity::may_act,
    mcp::Stage,
    outcome::{not_ready, stopped},
    record,
    respond::Watching,
};

/// What is let through once it is recorded.
#[derive(Debug)]
pub enum Recording {
    /// A judgement.
    Judged(Box<Judgement>),
    /// A call that is to be forwarded.
    Forward(Callout, Box<Forwarding>),
}

/// What the id of an event ends in that follows the one which was acknowledged.
const AFTERWARDS: &str = "-answer";

impl Guard {
    /// The step, or before it that what it lets through is recorded.
    pub(crate) fn recorded_first(&self, step: Step) -> Step {
        if self.config().audit == AuditMode::Queued {
            return step;
        }
        let (recording, events) = match step {
            Step::Done(mut judgement) if judgement.verdict.lets_pass() => {
                let events = match &mut judgement.watching {
                    Some(watching) => vec![announced(&mut watching.event)],
                    None => judgement.events.clone(),
                };
                (Recording::Judged(judgement), events)
            }
            Step::Ask(callout, asking) => match *asking {
                Asking::Forward(mut forwarding) => {
                    let events = vec![announced(&mut forwarding.call.event)];
                    (Recording::Forward(callout, Box::new(forwarding)), events)
                }
                other => return Step::Ask(callout, Box::new(other)),
            },
            other => return other,
        };
        if events.is_empty() {
            return recording.done();
        }
        // Our own structs of strings and numbers always serialise.
        let events = events
            .iter()
            .filter_map(|event| serde_json::to_vec(event).ok());
        let body = [
            &b"{\"events\":["[..],
            &events.collect::<Vec<_>>().join(&b','),
            b"]}",
        ]
        .concat();
        let to = &self.config().control_plane;
        let callout = to.post("/v1/audit/events", "application/json", &to.key, body);
        Step::Ask(callout, Box::new(Asking::Record(recording)))
    }
}

impl Recording {
    /// Goes on if it was acknowledged and its agent may still act.
    pub(crate) fn acknowledged(
        self,
        snapshot: Option<&Snapshot>,
        answer: Option<&Answer>,
        now: Micros,
    ) -> Step {
        let is_taken = answer.is_some_and(|answer| (200..300).contains(&answer.status));
        let why = "the audit trail did not take its event";
        let taken = is_taken.then_some(());
        let taken = taken.ok_or_else(|| ErrorCode::ControlPlaneUnavailable.because(why));
        match taken.and_then(|()| self.last_gate(snapshot)) {
            Ok(()) => self.done(),
            Err(refusal) => self.refuse(&refusal, now),
        }
    }

    /// What waited may go on only if its agent was not killed meanwhile.
    fn last_gate(&self, snapshot: Option<&Snapshot>) -> Result<(), Refusal> {
        match self {
            Self::Forward(_, forwarding) => last_gate(snapshot, &forwarding.call).map(|_| ()),
            Self::Judged(judgement) => match &judgement.watching {
                Some(watching) => {
                    let snapshot = snapshot.ok_or_else(not_ready)?;
                    may_act(snapshot, &watching.admitted.caller.agent)
                }
                None => Ok(()),
            },
        }
    }

    fn refuse(self, refusal: &Refusal, now: Micros) -> Step {
        match self {
            Self::Forward(_, forwarding) => forwarding.call.refuse(refusal, now),
            Self::Judged(judgement) => {
                let Judgement {
                    events, watching, ..
                } = *judgement;
                match watching {
                    Some(watching) => unwatched(*watching, refusal, now),
                    None => unanswered(events, refusal, now),
                }
            }
        }
    }

    fn done(self) -> Step {
        match self {
            Self::Judged(judgement) => Step::Done(judgement),
            Self::Forward(callout, forwarding) => {
                Step::Ask(callout, Box::new(Asking::Forward(*forwarding)))
            }
        }
    }
}

/// The event as it is now; what follows is another.
fn announced(event: &mut AuditEvent) -> AuditEvent {
    let now = event.clone();
    event.event_id.push_str(AFTERWARDS);
    now
}

fn unwatched(watching: Watching, refusal: &Refusal, now: Micros) -> Step {
    let Watching {
        admitted,
        denier,
        event,
        ..
    } = watching;
    let id = &admitted.meta.request_id;
    let reply = match admitted.endpoint {
        Endpoint::Model(_) => admitted.endpoint.refusal(refusal, id),
        _ => denier.refuse(Stage::Call, refusal, id),
    };
    let event = record::end(record::with_refusal(event, refusal), now);
    stopped(reply, vec![event])
}

fn unanswered(events: Vec<AuditEvent>, refusal: &Refusal, now: Micros) -> Step {
    let id = events.first().map(|event| event.request_id.clone());
    let events = events.into_iter().map(|mut event| {
        event.event_id.push_str(AFTERWARDS);
        record::end(record::with_refusal(event, refusal), now)
    });
    stopped(refusal.reply(&id.unwrap_or_default()), events.collect())
}
