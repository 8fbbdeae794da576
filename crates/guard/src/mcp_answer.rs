//! What an MCP server says: results of tools, lists of tools, requests and notices of its own.
//!
//! Lists are cut down to the tools that the caller may call and whose descriptions are harmless
//! (tool poisoning); everything else is looked at as an answer (indirect prompt injection).

use serde_json::Value;

use clampd_detect::Place;
use clampd_model::{Action, AuditEvent, Surface, ToldDescriptor, Tool, ToolCategory};
use clampd_token::tool_binding;

use crate::{
    Decision, ErrorCode, Guard, Refusal, Snapshot, consult::Asked, decide::judge_text,
    inspection::Inspected, json::parse_strict, leaves::leaves_of, record, respond::Watching,
};

/// What an exchange asked for, as far as it matters for the answer.
#[derive(Debug, Default)]
pub(crate) struct McpAnswer {
    /// The tool that was called.
    pub(crate) tool: Option<Tool>,
}

/// What is to be done with one answer.
#[derive(Debug)]
pub(crate) enum Ruling {
    Pass,
    /// Give this in its place.
    Rewrite(Vec<u8>),
    Deny(Box<Decision>),
    Refuse(Refusal),
}

/// The most marks of an event that descriptors may add to; what is left out is told with the next list.
const TOLD_MARKS_MAX: usize = 64;
/// The most tools of one list that are looked at.
const TOOLS_MAX: usize = 2_000;

impl Guard {
    /// Rules on one body or one event's data.
    pub(crate) fn rule_on_answer(
        &self,
        snapshot: &Snapshot,
        watching: &mut Watching,
        body: &[u8],
    ) -> Ruling {
        if body.is_empty() {
            return Ruling::Pass;
        }
        let mut value = match parse_strict(body) {
            Ok(value) => value,
            // An error page, say: its text is looked at like any answer.
            Err(_) => match std::str::from_utf8(body) {
                Ok(text) => Value::String(text.to_owned()),
                Err(_) => {
                    let why = "the upstream's answer is neither JSON nor text";
                    return Ruling::Refuse(ErrorCode::UnsupportedEncoding.because(why));
                }
            },
        };
        // Lists are looked at tool by tool, so they are taken out of what is looked at whole.
        let mut lists = taken_lists(&mut value);
        let Inspected {
            value: said,
            masked,
            decision,
            ..
        } = match self.judge_answer(snapshot, watching, body, std::mem::take(&mut value)) {
            Ok(inspected) => inspected,
            Err(refusal) => return Ruling::Refuse(refusal),
        };
        if !decision.verdict.lets_pass() {
            return Ruling::Deny(Box::new(decision));
        }
        value = said;
        if masked.is_some() {
            lists = taken_lists(&mut value);
        }
        let before: usize = lists.iter().map(Vec::len).sum();
        for list in &mut lists {
            list.truncate(TOOLS_MAX);
            list.retain(|tool| self.may_be_listed(snapshot, watching, tool));
        }
        if lists.iter().map(Vec::len).sum::<usize>() == before {
            return masked.map_or(Ruling::Pass, Ruling::Rewrite);
        }
        lists_in(&mut value)
            .zip(lists)
            .for_each(|(place, list)| *place = list);
        Ruling::Rewrite(value.to_string().into_bytes())
    }

    /// Looks at an answer and remembers what is in it.
    fn judge_answer(
        &self,
        snapshot: &Snapshot,
        watching: &mut Watching,
        body: &[u8],
        value: Value,
    ) -> Result<Inspected, Refusal> {
        let tool = watching.answer.tool.as_ref();
        let inspected = self.inspect_value(snapshot, &watching.admitted, tool, (body, value))?;
        inspected.note(watching.event.response.get_or_insert_default());
        let event = std::mem::take(&mut watching.event);
        watching.event = record::with_answer(event, &inspected.decision);
        Ok(inspected)
    }

    /// Whether a caller may see a tool of a list.
    fn may_be_listed(&self, snapshot: &Snapshot, watching: &mut Watching, tool: &Value) -> bool {
        let Some(name) = tool.get("name").and_then(Value::as_str) else {
            return false;
        };
        let admitted = &watching.admitted;
        let known = snapshot.tool(name).filter(|known| {
            admitted.caller.holds(&known.scope)
                && Asked::about(Action::List, admitted, known).is_permitted(snapshot)
        });
        if known.is_none() {
            return false;
        }
        let place = Place {
            surface: Surface::Descriptor,
            tool: name,
            category: ToolCategory::Other,
        };
        let Ok(found) = self.find(snapshot, &place, &leaves_of(tool)) else {
            return false;
        };
        let subject = admitted.caller.subject(known);
        let decision = judge_text(snapshot.settings(), &subject, &found);
        record::mark(&mut watching.event, &decision.marks);
        decision.verdict.lets_pass()
            && known.is_some_and(|known| is_pinned(&mut watching.event, known, tool))
    }
}

/// Takes the lists out of an answer.
fn taken_lists(value: &mut Value) -> Vec<Vec<Value>> {
    lists_in(value).map(std::mem::take).collect()
}

/// Whether a descriptor is one that its tool is pinned to, or the first that is told of it. What is
/// not known yet is told in the exchange's event, from which the control plane learns.
fn is_pinned(event: &mut AuditEvent, known: &Tool, descriptor: &Value) -> bool {
    let sha256 = tool_binding(descriptor);
    if known.pins.contains(&sha256) {
        return true;
    }
    let told = ToldDescriptor {
        tool: known.name.clone(),
        sha256,
        is_first: known.pins.is_empty(),
    };
    if event.session_flags.len() < TOLD_MARKS_MAX {
        record::mark(event, &[told.to_mark()]);
    }
    told.is_first
}

/// Every `result.tools` of one message or a batch.
fn lists_in(value: &mut Value) -> impl Iterator<Item = &mut Vec<Value>> {
    let messages = match value {
        Value::Array(messages) => messages.as_mut_slice(),
        message => std::slice::from_mut(message),
    };
    messages
        .iter_mut()
        .filter_map(|message| message.pointer_mut("/result/tools")?.as_array_mut())
}
