//! How an exchange ends for the guard: answered here, or gone on to its upstream.

use clampd_model::{AuditEvent, Tool, Verdict};

use crate::{
    ErrorCode, HeaderChanges, Judgement, McpDenial, Micros, Refusal, Reply, Snapshot, Step,
    admit::Endpoint,
    identity::{AGENT_TOKEN_HEADER, AUTHORIZATION, KEY_HEADER, TokenHeader},
    mcp::Denier,
    mcp_answer::McpAnswer,
    model::RuledCalls,
    record,
    respond::Watching,
    tool_call::{Admitted, JudgedCall, Outlet},
};

/// Where the micro-token goes when `authorization` is the upstream's own.
pub(crate) const TOKEN_HEADER: &str = "x-clampd-token";

/// Headers that are for us alone.
pub(crate) const OURS: [&str; 4] = [
    KEY_HEADER,
    AGENT_TOKEN_HEADER,
    TOKEN_HEADER,
    "x-ag-authorized-tools",
];

/// Headers that tools may read and a model's provider has no business with.
pub(crate) const OF_THE_MESH: [&str; 4] = [
    "x-ag-session",
    "x-clampd-delegation-chain",
    "x-clampd-delegation-trace",
    "x-clampd-delegation-confidence",
];

/// Headers by which some servers take a request for another than was judged: its method, its path.
const OVERRIDES: [&str; 5] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// A request that may go on, and who says no for it should its answer be stopped.
pub(crate) struct Going {
    admitted: Admitted,
    event: AuditEvent,
    denier: Denier,
    tool: Option<Tool>,
    token: Option<String>,
    verdict: Verdict,
}

impl Going {
    /// A request that is no call.
    pub(crate) fn without_token(admitted: Admitted, event: AuditEvent, denier: Denier) -> Self {
        Self {
            admitted,
            event,
            denier,
            tool: None,
            token: None,
            verdict: Verdict::Allow,
        }
    }

    /// A request to a model.
    pub(crate) fn to_model(admitted: Admitted, event: AuditEvent, verdict: Verdict) -> Self {
        Self {
            verdict,
            ..Self::without_token(admitted, event, Denier::for_nobody(McpDenial::Http))
        }
    }

    /// A call whose token was used up.
    pub(crate) fn introspected(
        admitted: Admitted,
        event: AuditEvent,
        denier: Denier,
        tool: Tool,
    ) -> Self {
        Self {
            tool: Some(tool),
            ..Self::without_token(admitted, event, denier)
        }
    }

    /// An allowed call with its token.
    pub(crate) fn with_token(call: JudgedCall, token: String) -> Self {
        let JudgedCall {
            admitted,
            tool,
            event,
            decision,
            outlet,
            ..
        } = call;
        let verdict = decision.verdict;
        let denier = match outlet {
            Outlet::Upstream(denier) => denier,
            Outlet::Caller | Outlet::Target(_) => Denier::for_nobody(McpDenial::Result),
        };
        Self {
            admitted,
            event,
            denier,
            tool: Some(tool),
            token: Some(token),
            verdict,
        }
    }
}

/// Lets a request go on to its upstream, without what is only for us.
pub(crate) fn go_on(going: Going, now: Micros) -> Step {
    let Going {
        admitted,
        event,
        denier,
        tool,
        token,
        verdict,
    } = going;
    let mut headers = HeaderChanges {
        // An answer that is encoded could not be looked at.
        remove: vec!["accept-encoding"],
        set: Vec::new(),
    };
    headers.remove.extend(OURS);
    headers.remove.extend(OVERRIDES);
    if matches!(admitted.endpoint, Endpoint::Model(_)) {
        headers.remove.extend(OF_THE_MESH);
    }
    let ours = admitted.caller.came_in == TokenHeader::Authorization;
    match (token, ours) {
        (Some(token), true) => headers.set.push((AUTHORIZATION, format!("Bearer {token}"))),
        (Some(token), false) => headers.set.push((TOKEN_HEADER, token)),
        (None, true) => headers.remove.push(AUTHORIZATION),
        (None, false) => {}
    }
    let watching = Watching {
        admitted,
        answer: McpAnswer { tool },
        denier,
        event: record::end(event, now),
        calls: RuledCalls::default(),
        sent_at: now,
    };
    Step::Done(Box::new(Judgement {
        verdict,
        headers,
        reply: None,
        events: Vec::new(),
        watching: Some(Box::new(watching)),
    }))
}

/// A call that passed, answered by us.
pub(crate) fn passed(call: JudgedCall, reply: Reply, now: Micros) -> Step {
    Step::Done(Box::new(Judgement {
        verdict: call.decision.verdict,
        headers: HeaderChanges::default(),
        reply: Some(reply),
        events: vec![record::end(call.event, now)],
        watching: None,
    }))
}

pub(crate) fn stopped(reply: Reply, events: Vec<AuditEvent>) -> Step {
    Step::Done(Box::new(Judgement {
        verdict: Verdict::Deny,
        headers: HeaderChanges::default(),
        reply: Some(reply),
        events,
        watching: None,
    }))
}

/// A refusal of a known caller: it leaves an event.
pub(crate) fn recorded(
    snapshot: &Snapshot,
    admitted: &Admitted,
    refusal: &Refusal,
    now: Micros,
) -> Step {
    let event = record::begin(admitted, snapshot, admitted.endpoint.action());
    let event = record::end(record::with_refusal(event, refusal), now);
    let reply = admitted
        .endpoint
        .refusal(refusal, &admitted.meta.request_id);
    stopped(reply, vec![event])
}

/// A refusal of a caller that is not known, in the language of where it came.
pub(crate) fn refuse(endpoint: Option<Endpoint>, refusal: &Refusal, request_id: &str) -> Step {
    let reply = match endpoint {
        Some(endpoint) => endpoint.refusal(refusal, request_id),
        None => refusal.reply(request_id),
    };
    stopped(reply, Vec::new())
}

/// A request that goes on unread, and its answer comes back so: only what is for us comes off.
pub(crate) fn unread() -> Step {
    Step::Done(Box::new(Judgement {
        verdict: Verdict::Allow,
        headers: HeaderChanges {
            remove: OURS.to_vec(),
            set: Vec::new(),
        },
        reply: None,
        events: Vec::new(),
        watching: None,
    }))
}

/// An answer that judges nothing.
pub(crate) fn done(reply: Reply) -> Step {
    Step::Done(Box::new(Judgement {
        verdict: Verdict::Allow,
        headers: HeaderChanges::default(),
        reply: Some(reply),
        events: Vec::new(),
        watching: None,
    }))
}

pub(crate) fn not_ready() -> Refusal {
    ErrorCode::NotReady.because("no valid bundle is in force yet")
}

pub(crate) fn health(snapshot: Option<&Snapshot>, good: Option<&Snapshot>) -> Reply {
    let status = match (snapshot, good) {
        (_, Some(_)) => "ok",
        (Some(_), None) => "expired",
        (None, None) => "starting",
    };
    let revision = snapshot.map(Snapshot::revision);
    let body = serde_json::json!({"status": status, "bundle_revision": revision});
    Reply::json(if good.is_some() { 200 } else { 503 }, &body)
}
