//! Exchanges with a model: what goes to it is looked at, what it calls is judged.
//!
//! Where things stand in a body is a [`Format`]'s to say; how a decision on a call comes about is
//! that of every call.

use std::collections::BTreeSet;

use serde_json::Value;

use clampd_detect::{Findings, Place};
use clampd_model::{Action, AuditEvent, Finding, Surface, ToolCategory};
use clampd_token::call_binding;

use crate::{
    Decision, ErrorCode, Guard, Micros, Refusal, Snapshot, Step,
    consult::{Asked, prompt_tool},
    decide::{judge_answer, judge_text},
    format::{CALLS_MAX, Format, Judge, Passage, sift::sift},
    json::parse_strict,
    leaves::{Leaves, leaves_of, leaves_told},
    masking::Masking,
    mcp::Stage,
    mcp_answer::Ruling,
    outcome::{Going, go_on, stopped},
    record,
    respond::Watching,
    tool_call::{Admitted, Outlet, ToolCall},
};

/// What the audit trail calls a tool call that a model told.
pub const MODEL_CALL: &str = "model-call";

/// The calls of an answer so far.
#[derive(Debug, Default)]
pub(crate) struct RuledCalls {
    /// The binding of each, and the words for it where it is stopped.
    ruled: Vec<(String, Option<String>)>,
    /// What is to be remembered of them.
    pub(crate) events: Vec<AuditEvent>,
}

/// Judges what an answer holds, and keeps what was judged with the exchange.
pub(crate) struct Hearing<'h> {
    pub(crate) guard: &'h Guard,
    pub(crate) snapshot: &'h Snapshot,
    pub(crate) watching: &'h mut Watching,
    pub(crate) format: Format,
    pub(crate) now: Micros,
}

impl Guard {
    /// Judges a request to a model.
    pub(crate) fn read_model(
        &self,
        snapshot: &Snapshot,
        admitted: Admitted,
        format: Format,
        body: &[u8],
        now: Micros,
    ) -> Step {
        let event = record::begin(&admitted, snapshot, admitted.endpoint.action());
        let decision = self.judge_request(snapshot, &admitted, format, body);
        let (event, refusal) = match &decision {
            Ok(decision) => {
                let denied = !decision.verdict.lets_pass();
                let event = record::with_decision(event, decision);
                (event, denied.then(|| decision.refusal()))
            }
            Err(refusal) => {
                let event = record::with_refusal(event, refusal);
                (event, Some(refusal.clone()))
            }
        };
        match (decision, refusal) {
            (Ok(decision), None) => go_on(Going::to_model(admitted, event, decision.verdict), now),
            (_, refusal) => {
                let refusal = refusal.unwrap_or_else(|| ErrorCode::InvalidBody.because("no body"));
                let reply = format.error(&refusal, &admitted.meta.request_id);
                stopped(reply, vec![record::end(event, now)])
            }
        }
    }

    /// The worst decision on any passage.
    fn judge_request(
        &self,
        snapshot: &Snapshot,
        admitted: &Admitted,
        format: Format,
        body: &[u8],
    ) -> Result<Decision, Refusal> {
        let body = parse_strict(body).map_err(|why| ErrorCode::InvalidBody.because(why))?;
        let Value::Object(request) = &body else {
            return Err(ErrorCode::InvalidBody.because("body must be a JSON object"));
        };
        let subject = admitted.caller.subject(None);
        let mut worst = judge_text(snapshot.settings(), &subject, &Findings::default());
        let mut marks = BTreeSet::new();
        for passage in format.passages(request) {
            let mut decision = self.judge_passage(snapshot, admitted, format, passage)?;
            marks.extend(std::mem::take(&mut decision.marks));
            let is_worse = (decision.verdict, decision.risk) > (worst.verdict, worst.risk);
            if is_worse {
                worst = decision;
            }
        }
        worst.marks = marks.into_iter().collect();
        let prompt = prompt_tool();
        let asked = Asked::about(Action::Prompt, admitted, &prompt);
        Ok(asked.of_policies(snapshot, worst))
    }

    fn judge_passage(
        &self,
        snapshot: &Snapshot,
        admitted: &Admitted,
        format: Format,
        passage: Passage<'_>,
    ) -> Result<Decision, Refusal> {
        let text = |surface, tool: &str, leaves: &Leaves<'_>| {
            let place = Place {
                surface,
                tool,
                category: ToolCategory::Other,
            };
            let findings = self.find(snapshot, &place, leaves)?;
            let subject = admitted.caller.subject(None);
            Ok(judge_text(snapshot.settings(), &subject, &findings))
        };
        match passage {
            Passage::Said(surface, value) => text(surface, "", &leaves_of(value)),
            Passage::Joined(surface, joined) => text(surface, "", &Leaves::text(&joined)),
            Passage::Tool(name, value) => text(Surface::Descriptor, name, &leaves_of(value)),
            Passage::Hosted(tool, value) => {
                let call = ToolCall {
                    tool,
                    params: value.clone(),
                    prompt: None,
                    descriptor: Vec::new(),
                };
                let judged =
                    self.judge(snapshot, admitted.clone(), &call, Outlet::Caller, "offer")?;
                Ok(judged.decision)
            }
            Passage::Earlier(item) => match format.call(item) {
                Ok(call) => self.judge_earlier(snapshot, admitted, &call),
                Err(_) => text(Surface::Prompt, "", &leaves_of(item)),
            },
        }
    }

    /// Judges a call of an earlier turn. It was judged when it was made; what is new would be what
    /// it says, so neither a scope that was lost meanwhile nor a policy stops the conversation.
    fn judge_earlier(
        &self,
        snapshot: &Snapshot,
        admitted: &Admitted,
        call: &ToolCall,
    ) -> Result<Decision, Refusal> {
        let tool = snapshot.tool(&call.tool);
        let place = Place {
            surface: Surface::Params,
            tool: &call.tool,
            category: tool.map_or(ToolCategory::Other, |tool| tool.category),
        };
        let findings = self.find(snapshot, &place, &leaves_of(&call.params))?;
        let subject = admitted.caller.subject(tool);
        Ok(judge_text(snapshot.settings(), &subject, &findings))
    }

    /// Rules on a whole answer of a model's.
    pub(crate) fn rule_on_model_answer(
        &self,
        hearing: &mut Hearing<'_>,
        status: u16,
        body: &[u8],
    ) -> Ruling {
        let format = hearing.format;
        let mut answer = match parse_strict(body) {
            _ if body.is_empty() => return Ruling::Pass,
            Ok(answer) => answer,
            // An error page of something before the model.
            Err(_) if status >= 300 => String::from_utf8_lossy(body).into_owned().into(),
            Err(_) => {
                let why = "the model's answer is not JSON that can be read in one way";
                return Ruling::Refuse(ErrorCode::UnreadableAnswer.because(why));
            }
        };
        let masked = match hearing.mask((body, &mut answer)) {
            Ok(masked) => masked,
            Err(refusal) => return Ruling::Refuse(refusal),
        };
        let as_told = masked.map_or(Ruling::Pass, Ruling::Rewrite);
        if format.turns(&mut answer).is_empty() {
            return match hearing.text(&answer) {
                None => as_told,
                Some(_) => {
                    let why = "the answer is withheld";
                    Ruling::Refuse(ErrorCode::ContentBlocked.because(why))
                }
            };
        }
        if sift(format, &mut answer, hearing) {
            Ruling::Rewrite(answer.to_string().into_bytes())
        } else {
            as_told
        }
    }
}

impl Hearing<'_> {
    /// Masks what a whole answer tells; what it calls is judged as calls. Gives its bytes where they
    /// are others now.
    fn mask(&mut self, (body, answer): (&[u8], &mut Value)) -> Result<Option<Vec<u8>>, Refusal> {
        let subject = self.watching.admitted.caller.subject(None);
        let masking = Masking::of(self.guard, self.snapshot, subject, body.len());
        let Some(mut masking) = masking else {
            return Ok(None);
        };
        if self.format.turns(answer).is_empty() {
            masking.text(answer);
        } else {
            sift(self.format, &mut answer.clone(), &mut masking);
        }
        if masking.is_empty() {
            return Ok(None);
        }
        let (body, value) = masking.applied(body, answer)?;
        *answer = value;
        let settings = self.snapshot.settings();
        // What is left is found and counted where the texts are judged.
        let found = std::mem::take(&mut masking.found).retain(&|f: &Finding| masking.is_masked(f));
        let none = Findings::default();
        let decision = judge_answer(settings, &subject, &none, Some(&found));
        self.watching.note_sensitive(&found);
        let event = std::mem::take(&mut self.watching.event);
        self.watching.event = record::with_answer(event, &decision);
        Ok(Some(body))
    }
}

impl Judge for Hearing<'_> {
    fn call(&mut self, item: &Value) -> Option<String> {
        let id = self.watching.admitted.meta.request_id.clone();
        let call = self.format.call(item);
        let binding = match &call {
            Ok(call) => call_binding(&call.tool, &call.params),
            Err(_) => String::new(),
        };
        let ruled = &self.watching.calls.ruled;
        // The same call again, as streams that end with the whole answer tell it.
        if let Some((_, words)) = ruled.iter().find(|(known, _)| *known == binding) {
            return words.clone();
        }
        let call = if ruled.len() < CALLS_MAX {
            call
        } else {
            let why = "the answer has more tool calls than are read";
            Err(ErrorCode::PayloadTooLarge.because(why))
        };
        let admitted = self.watching.admitted.clone();
        let judged = call.and_then(|call| {
            self.guard
                .judge(self.snapshot, admitted, &call, Outlet::Caller, MODEL_CALL)
        });
        let (event, words) = match judged {
            Ok(judged) => {
                let stops = !judged.decision.verdict.lets_pass();
                let words = stops.then(|| Stage::Call.denied(&judged.decision, &id));
                (judged.event, words)
            }
            Err(refusal) => {
                let begun = record::begin(&self.watching.admitted, self.snapshot, MODEL_CALL);
                let words = Stage::Call.refused(&refusal, &id);
                (record::with_refusal(begun, &refusal), Some(words))
            }
        };
        let calls = &mut self.watching.calls;
        if calls.ruled.len() < CALLS_MAX {
            calls.events.push(AuditEvent {
                event_id: format!("{id}/call-{}", calls.ruled.len()),
                timestamp: self.now,
                ..event
            });
            calls.ruled.push((binding, words.clone()));
        }
        words
    }

    fn text(&mut self, told: &Value) -> Option<String> {
        let place = Place {
            surface: Surface::Response,
            tool: "",
            category: ToolCategory::Other,
        };
        let watching = &mut *self.watching;
        let id = &watching.admitted.meta.request_id;
        match self.guard.find(self.snapshot, &place, &leaves_told(told)) {
            Ok(findings) => {
                let subject = watching.admitted.caller.subject(None);
                let settings = self.snapshot.settings();
                let decision = judge_answer(settings, &subject, &findings, None);
                record::mark(&mut watching.event, &decision.marks);
                let stops = !decision.verdict.lets_pass();
                let words = stops.then(|| Stage::Answer.denied(&decision, id));
                watching.note_sensitive(&findings);
                // The exchange is remembered by the worst that it held.
                if stops || (!watching.event.blocked && decision.risk > watching.event.risk_score) {
                    watching.event = record::with_decision(watching.event.clone(), &decision);
                }
                words
            }
            Err(refusal) => {
                let words = Stage::Answer.refused(&refusal, id);
                watching.event = record::with_refusal(watching.event.clone(), &refusal);
                Some(words)
            }
        }
    }
}
