//! A micro-token in front of the tool that it is for (WIRE.md section 3): the control plane says
//! whether it is good and uses it up, and it must have been made for the very call that it came
//! with. What was judged where it was made is not judged again, nor counted.

use clampd_model::{AuditEvent, Secret, Tool};
use clampd_token::{call_binding, micro_token_subject};
use serde_json::Value;

use crate::{
    Answer, Asking, Config, ErrorCode, Guard, Head, McpDenial, Micros, Mode, Refusal, Snapshot,
    Step,
    admit::Endpoint,
    identity::{AUTHORIZATION, Caller, TokenHeader, identify_named, may_act},
    json::parse_strict,
    mcp::{Denier, Post, Protocol, Stage},
    mint::Form,
    outcome::{Going, TOKEN_HEADER, go_on, not_ready, recorded, stopped},
    record,
    tool_call::Admitted,
};

/// A call whose micro-token is being looked into.
#[derive(Debug)]
pub struct Introspecting {
    admitted: Admitted,
    tool: Tool,
    call_binding: String,
    denier: Denier,
    event: AuditEvent,
}

/// The micro-token of a request and the agent that it names. The name proves nothing until the
/// control plane has confirmed it.
pub(crate) struct Shown {
    pub(crate) token: Secret,
    pub(crate) caller: Caller,
}

/// The micro-token that a request shows where its tool wants one; `None` where it shows none, and
/// its caller must say otherwise who it is.
pub(crate) fn shown(
    snapshot: &Snapshot,
    config: &Config,
    head: &Head,
    endpoint: Endpoint,
) -> Result<Option<Shown>, Refusal> {
    let of_a_tool = matches!(endpoint, Endpoint::Mcp | Endpoint::Rest(_));
    if config.introspection_key.is_none()
        || head.mode(config.mode) != Some(Mode::Tool)
        || !of_a_tool
    {
        return Ok(None);
    }
    let (token, came_in) = if head.has(TOKEN_HEADER) {
        let token = head.value(TOKEN_HEADER).unwrap_or_default();
        (token, TokenHeader::AgentToken)
    } else {
        let bearer = head.value(AUTHORIZATION).and_then(|v| v.split_once(' '));
        let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let token = bearer.map_or("", |(_, token)| token.trim());
        (token, TokenHeader::Authorization)
    };
    let agent = match (micro_token_subject(token), came_in) {
        (Some(agent), _) => agent,
        (None, TokenHeader::Authorization) => return Ok(None),
        (None, TokenHeader::AgentToken) => {
            return Err(ErrorCode::InvalidJwt.because("X-Clampd-Token is no micro-token"));
        }
    };
    let mut caller = identify_named(snapshot, config, &agent)?;
    caller.came_in = came_in;
    Ok(Some(Shown {
        token: Secret::new(token),
        caller,
    }))
}

impl Guard {
    /// Asks the control plane about the micro-token of a request that has come whole.
    pub(crate) fn introspect(
        &self,
        snapshot: &Snapshot,
        admitted: Admitted,
        token: &Secret,
        body: &[u8],
        now: Micros,
    ) -> Step {
        let event = record::begin(&admitted, snapshot, "introspect");
        let called = match admitted.endpoint {
            Endpoint::Mcp => self.posted(snapshot, &admitted, body),
            _ => sent(&admitted, body),
        };
        let Called {
            tool: name,
            params,
            denier,
        } = match called {
            Ok(called) => called,
            Err(refusal) => return recorded(snapshot, &admitted, &refusal, now),
        };
        let call_binding = call_binding(&name, &params);
        let event = record::with_params(event, &name, &params, &call_binding);
        let Some(tool) = snapshot.tool(&name).cloned() else {
            let refusal = ErrorCode::ToolNotRegistered.because("tool is not in the catalogue");
            return refused(&admitted, event, &denier, &refusal, now);
        };
        let Some(key) = &self.config().introspection_key else {
            return recorded(snapshot, &admitted, &not_ready(), now);
        };
        let mut form = Form::default();
        form.add("token", token.expose());
        let callout = form.into_callout(self.config(), "/v1/introspect", key);
        let introspecting = Introspecting {
            admitted,
            tool,
            call_binding,
            denier,
            event,
        };
        Step::Ask(callout, Box::new(Asking::Introspect(introspecting)))
    }

    /// The call of an MCP request. The token vouches for the call alone, so what stands beside it
    /// is judged here as everywhere.
    fn posted(
        &self,
        snapshot: &Snapshot,
        admitted: &Admitted,
        body: &[u8],
    ) -> Result<Called, Refusal> {
        let protocol = Protocol::Mcp(self.config().mcp_denial);
        let post = Post::read(protocol, body, &admitted.mcp_names)?;
        let call = post.call()?.ok_or_else(|| {
            ErrorCode::InvalidJwt.because("a micro-token comes with the call that it is for")
        })?;
        let mut marks = Vec::new();
        match self.judge_other_messages(snapshot, &admitted.caller, &post, &mut marks)? {
            Some(decision) => Err(decision.refusal()),
            None => Ok(Called {
                tool: call.tool.clone(),
                params: call.params.clone(),
                denier: post.denier(),
            }),
        }
    }

    /// Goes on with what the control plane said of a micro-token.
    pub(crate) fn introspected(
        snapshot: Option<&Snapshot>,
        introspecting: Introspecting,
        answer: Option<Answer>,
        now: Micros,
    ) -> Step {
        let Introspecting {
            admitted,
            tool,
            call_binding,
            denier,
            mut event,
        } = introspecting;
        let agent = &admitted.caller.agent;
        let still = snapshot.ok_or_else(not_ready);
        let said = still
            .and_then(|snapshot| may_act(snapshot, agent))
            .and_then(|()| read(answer))
            .and_then(|said| {
                let is_for_it = word(&said, "sub") == agent.as_str()
                    && word(&said, "tool_binding") == tool.binding
                    && word(&said, "call_binding") == call_binding;
                is_for_it.then_some(said).ok_or_else(|| {
                    ErrorCode::InvalidJwt.because("micro-token was made for another call")
                })
            });
        match said {
            Ok(said) => {
                event.scope_granted = Some(word(&said, "scope").to_owned());
                go_on(Going::introspected(admitted, event, denier, tool), now)
            }
            Err(refusal) => refused(&admitted, event, &denier, &refusal, now),
        }
    }
}

/// A call as its request puts it.
struct Called {
    tool: String,
    params: Value,
    denier: Denier,
}

/// The call that a request of a REST route is.
fn sent(admitted: &Admitted, body: &[u8]) -> Result<Called, Refusal> {
    let head = admitted.rest.clone().unwrap_or_default();
    Ok(Called {
        tool: head.tool.clone(),
        params: head.params(body)?,
        denier: Denier::for_nobody(McpDenial::Http),
    })
}

fn refused(
    admitted: &Admitted,
    event: AuditEvent,
    denier: &Denier,
    refusal: &Refusal,
    now: Micros,
) -> Step {
    let event = record::end(record::with_refusal(event, refusal), now);
    let reply = denier.refuse(Stage::Call, refusal, &admitted.meta.request_id);
    stopped(reply, vec![event])
}

/// Reads the control plane's answer (RFC 7662). Whatever is no clear yes is a no.
fn read(answer: Option<Answer>) -> Result<Value, Refusal> {
    let said = answer
        .filter(|answer| answer.status == 200)
        .and_then(|answer| parse_strict(&answer.body).ok())
        .ok_or_else(|| {
            ErrorCode::ControlPlaneUnavailable.because("the micro-token could not be looked into")
        })?;
    if said.get("active") == Some(&Value::Bool(true)) {
        return Ok(said);
    }
    Err(match word(&said, "reason") {
        "already_used" => ErrorCode::ReplayDetected.because("micro-token was used before"),
        "agent_killed" => ErrorCode::AgentKilled.because("agent is killed"),
        "agent_suspended" => ErrorCode::AgentSuspended.because("agent is suspended"),
        _ => ErrorCode::InvalidJwt.because("micro-token is not active"),
    })
}

fn word<'a>(said: &'a Value, name: &str) -> &'a str {
    said.get(name).and_then(Value::as_str).unwrap_or_default()
}
