//! Tool calls: read from a body, judged, and what is kept of them until they are answered.

use clampd_detect::{Findings, Place};
use clampd_model::{Action, AuditEvent, Mode, Secret, Surface, Tool, ToolCategory, Verdict};
use clampd_token::call_binding;
use serde_json::{Map, Value};

use crate::{
    Decision, ErrorCode, Guard, Micros, Refusal, Snapshot,
    admit::{Endpoint, Meta},
    consult::Asked,
    decide::judge_call,
    delegation::Delegation,
    forward::Target,
    identity::Caller,
    json::parse_strict,
    leaves::{Leaves, leaves_of},
    mcp::Denier,
    record,
    reply::{ProxyResponse, Reply},
    rest::RestHead,
};

/// A request whose sender is known.
#[derive(Debug, Clone)]
pub(crate) struct Admitted {
    pub(crate) endpoint: Endpoint,
    pub(crate) caller: Caller,
    pub(crate) meta: Meta,
    /// `Mcp-Method` and `Mcp-Name`, where they were sent; unreadable ones are empty.
    pub(crate) mcp_names: (Option<String>, Option<String>),
    /// What the head of a REST call says.
    pub(crate) rest: Option<RestHead>,
    /// The micro-token that vouches for the call, not yet looked into.
    pub(crate) micro_token: Option<Secret>,
}

/// A tool call as its caller put it.
#[derive(Debug)]
pub(crate) struct ToolCall {
    pub(crate) tool: String,
    pub(crate) params: Value,
    /// What led to the call, where it was told.
    pub(crate) prompt: Option<String>,
    /// What the caller was told of the tool, where it said so.
    pub(crate) descriptor: Vec<Value>,
}

/// A call that was judged and may go on.
#[derive(Debug)]
pub(crate) struct JudgedCall {
    pub(crate) admitted: Admitted,
    pub(crate) tool: Tool,
    pub(crate) call_binding: String,
    pub(crate) decision: Decision,
    pub(crate) event: AuditEvent,
    pub(crate) outlet: Outlet,
}

/// Where a judged call goes.
#[derive(Debug)]
pub(crate) enum Outlet {
    /// Nowhere: the caller gets the answer and runs the tool.
    Caller,
    /// To the tool, by us; the caller gets what it answers.
    Target(Target),
    /// To the tool, as the request that it came in.
    Upstream(Denier),
}

/// The body of `/v1/proxy` and `/v1/verify`.
#[derive(Debug)]
pub(crate) struct CallBody {
    pub(crate) call: ToolCall,
    pub(crate) target_url: String,
    pub(crate) delegation: Delegation,
}

/// The fields of a JSON object, taken one by one with the error that names them.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    pub(crate) fn read(body: &[u8]) -> Result<Self, Refusal> {
        match parse_strict(body).map_err(|e| ErrorCode::InvalidBody.because(e))? {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(ErrorCode::InvalidBody.because("body must be a JSON object")),
        }
    }

    pub(crate) fn any(&mut self, name: &str) -> Result<Value, Refusal> {
        self.0
            .remove(name)
            .ok_or_else(|| invalid(name, "is required"))
    }

    pub(crate) fn string(&mut self, name: &str) -> Result<String, Refusal> {
        match self.any(name)? {
            Value::String(text) => Ok(text),
            _ => Err(invalid(name, "must be a string")),
        }
    }

    pub(crate) fn optional_string(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(invalid(name, "must be a string")),
        }
    }

    fn optional_strings(&mut self, name: &str) -> Result<Option<Vec<String>>, Refusal> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(items)) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Ok(text),
                    _ => Err(invalid(name, "must be a list of strings")),
                })
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(invalid(name, "must be a list of strings")),
        }
    }
}

fn invalid(name: &str, what: &str) -> Refusal {
    ErrorCode::InvalidBody.because(format!("field `{name}` {what}"))
}

impl CallBody {
    pub(crate) fn read(body: &[u8], delegation: Delegation) -> Result<Self, Refusal> {
        let mut fields = Fields::read(body)?;
        let tool = tool_name(fields.string("tool")?)?;
        let params = fields.any("params")?;
        let target_url = fields.optional_string("target_url")?.unwrap_or_default();
        let chain = fields.optional_strings("delegation_chain")?;
        let trace = fields.optional_string("delegation_trace_id")?;
        let delegation = delegation.with_body(chain, trace.as_deref())?;
        for name in [
            "caller_agent_id",
            "delegation_purpose",
            "tool_descriptor_hash",
            "signed_proof",
        ] {
            fields.optional_string(name)?;
        }
        let prompt = fields.optional_string("prompt_context")?;
        let descriptor = ["tool_description", "tool_params_schema"]
            .iter()
            .filter_map(|name| fields.0.remove(*name))
            .collect();
        Ok(Self {
            call: ToolCall {
                tool,
                params,
                prompt,
                descriptor,
            },
            target_url,
            delegation,
        })
    }
}

pub(crate) fn tool_name(name: String) -> Result<String, Refusal> {
    if Tool::is_name(&name) {
        Ok(name)
    } else {
        Err(invalid(
            "tool",
            "must be 1 to 128 characters of A-Z a-z 0-9 _ . : / -",
        ))
    }
}

impl Guard {
    /// Judges a call: what is found in it, what policies say, whether the caller may.
    pub(crate) fn judge(
        &self,
        snapshot: &Snapshot,
        admitted: Admitted,
        call: &ToolCall,
        outlet: Outlet,
        action: &str,
    ) -> Result<JudgedCall, Refusal> {
        let tool = snapshot
            .tool(&call.tool)
            .ok_or_else(|| ErrorCode::ToolNotRegistered.because("tool is not in the catalogue"))?;
        if let Some(own) = &admitted.meta.authorized_tools
            && !own.contains(&call.tool)
        {
            return Err(
                ErrorCode::UnauthorizedTool.because("tool is not among X-AG-Authorized-Tools")
            );
        }
        let Admitted { caller, meta, .. } = &admitted;
        meta.tally.check_tool(&call.tool)?;
        meta.delegation.check(snapshot, &caller.agent)?;
        let findings = self.find_in_call(snapshot, tool, call)?;
        let asked = Asked::about(Action::Call, &admitted, tool).with_params(&call.params);
        let decision = judge_call(snapshot, &asked, &findings);
        let event = record::begin(&admitted, snapshot, action);
        let call_binding = call_binding(&call.tool, &call.params);
        let event = record::with_params(event, &tool.name, &call.params, &call_binding);
        let mut event = record::with_decision(event, &decision);
        event.prompt_hash = call
            .prompt
            .as_ref()
            .map(|p| clampd_token::sha256_hex(p.as_bytes()));
        event.scope_requested = Some(tool.scope.clone());
        event.scope_granted.clone_from(&decision.scope);
        Ok(JudgedCall {
            call_binding,
            tool: tool.clone(),
            admitted,
            decision,
            event,
            outlet,
        })
    }

    fn find_in_call(
        &self,
        snapshot: &Snapshot,
        tool: &Tool,
        call: &ToolCall,
    ) -> Result<Findings, Refusal> {
        let place = |surface| Place {
            surface,
            tool: &tool.name,
            category: tool.category,
        };
        let mut found = self.find(snapshot, &place(Surface::Params), &leaves_of(&call.params))?;
        if let Some(prompt) = &call.prompt {
            found =
                found.merge(self.find(snapshot, &place(Surface::Prompt), &Leaves::text(prompt))?);
        }
        for descriptor in &call.descriptor {
            found = found.merge(self.find(
                snapshot,
                &place(Surface::Descriptor),
                &leaves_of(descriptor),
            )?);
        }
        Ok(found)
    }

    /// Looks for rules in texts, built-in ones and the organisation's own, but for those that are
    /// off; more texts than are looked at is a refusal, never a pass.
    pub(crate) fn find(
        &self,
        snapshot: &Snapshot,
        place: &Place<'_>,
        leaves: &Leaves<'_>,
    ) -> Result<Findings, Refusal> {
        if leaves.too_many() {
            return Err(ErrorCode::PayloadTooLarge.because("body has too many values"));
        }
        let memory = self.memory();
        let mut new = Vec::new();
        let mut known = Vec::new();
        for leaf in leaves.iter() {
            let hash = memory.known(snapshot.revision(), place, &leaf);
            if !hash.is_some_and(|hash| memory.is_clean(hash)) {
                new.push(leaf);
                known.extend(hash);
            }
        }
        let found = self.detector().scan(place, new.iter().copied());
        let found = match snapshot.own_rules() {
            Some(own) => found.merge(own.detector().scan(place, new)),
            None => found,
        };
        if found.is_empty() {
            known.into_iter().for_each(|hash| memory.keep(hash));
        }
        let settings = snapshot.settings();
        Ok(found.retain(|f| settings.mode(&f.rule_id, &f.category) != Mode::Off))
    }

    /// Judges what a tool answered.
    pub(crate) fn find_in_response(
        &self,
        snapshot: &Snapshot,
        tool: Option<&Tool>,
        response: &Value,
    ) -> Result<Findings, Refusal> {
        let place = Place {
            surface: Surface::Response,
            tool: tool.map_or("", |t| &t.name),
            category: tool.map_or(ToolCategory::Other, |t| t.category),
        };
        self.find(snapshot, &place, &leaves_of(response))
    }
}

impl JudgedCall {
    /// The scope that its token is for.
    pub(crate) fn scope(&self) -> &str {
        self.decision.scope.as_deref().unwrap_or(&self.tool.scope)
    }

    /// The answer to a caller of `/v1/proxy` or `/v1/verify`.
    pub(crate) fn reply(
        &self,
        scope_token: Option<String>,
        tool_response: Option<Value>,
        now: Micros,
    ) -> Reply {
        let meta = &self.admitted.meta;
        let response = response_of(&self.decision, meta, &self.call_binding, now);
        Reply::json(
            200,
            &ProxyResponse {
                scope_granted: self.event.scope_granted.clone(),
                degraded_stages: self.event.degraded_stages.clone(),
                session_flags: self.event.session_flags.clone(),
                scope_token,
                tool_response,
                ..response
            },
        )
    }
}

/// What every answer of the proxy kind says of a decision.
pub(crate) fn response_of(
    decision: &Decision,
    meta: &Meta,
    call_binding: &str,
    now: Micros,
) -> ProxyResponse {
    let mut denial = decision.denial.clone();
    if let Some(denial) = &mut denial {
        call_binding.clone_into(&mut denial.idempotency_key);
    }
    ProxyResponse {
        request_id: meta.request_id.clone(),
        allowed: decision.verdict != Verdict::Deny,
        action: decision.action(),
        risk_score: decision.risk,
        scope_granted: None,
        tool_response: None,
        denial_reason: decision.denial_reason.clone(),
        reasoning: decision.reasoning(),
        matched_rules: decision.matched_rules.clone(),
        latency_ms: now.saturating_sub(meta.started) / 1_000,
        degraded_stages: Vec::new(),
        session_flags: decision.marks.clone(),
        scope_token: None,
        denial,
    }
}
