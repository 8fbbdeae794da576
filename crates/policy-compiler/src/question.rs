//! A request written down, and the explanation of what policies make of it.
//!
//! This is how people and tests ask; the gateway asks `policy` itself.

use clampd_model::{Action, AgentId, AgentState, Policy, RiskScore, Tool, ToolCategory};
use clampd_policy::{
    Context, Delegation, EvaluationError, Outcome, Principal, Request, Ruling, evaluate,
    held_scopes,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A request written down.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What is to be done; `call` when it is not said.
    #[serde(default = "call")]
    pub action: Action,
    /// Who wants to.
    pub agent: AskedAgent,
    /// With what.
    pub tool: AskedTool,
    /// What is known beside.
    #[serde(default)]
    pub context: AskedContext,
}

/// An agent written down.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedAgent {
    /// Its id.
    pub id: AgentId,
    /// Its groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// What it holds.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Whether it may act; `active` when it is not said.
    #[serde(default = "active")]
    pub state: AgentState,
    /// What it is for.
    #[serde(default)]
    pub purpose: Option<String>,
}

/// A tool written down.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedTool {
    /// Its name.
    pub name: String,
    /// The scope that it asks for.
    pub scope: String,
    /// Its category; `other` when it is not said.
    #[serde(default)]
    pub category: ToolCategory,
    /// Where its calls are forwarded to.
    #[serde(default)]
    pub upstream: Option<String>,
}

/// What is known beside agent and tool, written down.
#[derive(Debug, Clone, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AskedContext {
    /// 0 to 1.
    pub risk: RiskScore,
    /// The categories of the rules that matched.
    pub labels: Vec<String>,
    /// The rules that matched.
    pub rules: Vec<String>,
    /// When, in Unix seconds; now when it is not said.
    pub at: Option<u64>,
    /// The host that the call is to be forwarded to.
    pub target_host: Option<String>,
    /// Who stands behind the agent.
    pub delegation: AskedDelegation,
    /// How many calls the agent made in the last minute.
    pub calls_last_minute: Option<u32>,
    /// What is known of the session.
    pub session: Option<AskedSession>,
    /// The parameters of the call.
    pub params: Value,
}

/// A delegation written down.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AskedDelegation {
    /// Root first, the caller last.
    pub chain: Vec<AgentId>,
    /// How sure that is; `declared` when there is a chain and it is not said.
    pub confidence: Option<Confidence>,
}

/// A session written down.
#[derive(Debug, Clone, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedSession {
    /// Its marks.
    pub labels: Vec<String>,
}

/// How sure a delegation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the words say it")]
pub enum Confidence {
    None,
    Declared,
    Inferred,
    Verified,
}

/// What policies make of a request, and how.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Explanation {
    /// Whether policies let it go on; the thresholds of the settings decide besides.
    pub allowed: bool,
    /// `pass`, `flag` or `block`.
    pub verdict: &'static str,
    /// Why, in a sentence without a full stop.
    pub reason: String,
    /// The scope that is granted.
    pub scope_granted: Option<String>,
    /// The policies that decided.
    pub determining: Vec<Named>,
    /// The forbids that apply and only flag.
    pub flagging: Vec<Named>,
    /// The policies that apply and are only monitored.
    pub monitored: Vec<Named>,
    /// The policies that could not be evaluated.
    pub errors: Vec<Failed>,
    /// The request as policies saw it.
    pub request: Value,
}

/// A policy by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// `permit` or `forbid`.
    pub effect: clampd_model::Effect,
    /// Its `@reason`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A policy that could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Failed {
    /// Its id.
    pub id: String,
    /// Why.
    pub error: String,
}

impl Question {
    /// Asks `policies`; `now` stands in where the question does not say when.
    pub fn ask(&self, policies: &[Policy], now: u64) -> Explanation {
        self.with_request(now, |request| {
            let outcome = evaluate(policies, request);
            explain(&outcome, request)
        })
    }

    /// Gives the request that this is to `look`.
    pub fn with_request<T>(&self, now: u64, look: impl FnOnce(&Request<'_>) -> T) -> T {
        let tool = Tool {
            name: self.tool.name.clone(),
            scope: self.tool.scope.clone(),
            category: self.tool.category,
            audience: String::new(),
            upstream: self.tool.upstream.clone(),
            binding: String::new(),
            pins: Vec::new(),
        };
        let scopes = held_scopes(&self.agent.scopes, None, &tool.scope);
        let context = &self.context;
        look(&Request {
            action: self.action,
            principal: Principal {
                id: &self.agent.id,
                groups: &self.agent.groups,
                scopes: &scopes,
                state: self.agent.state,
                purpose: self.agent.purpose.as_deref(),
            },
            resource: &tool,
            context: Context {
                risk: context.risk,
                labels: &context.labels,
                rules: &context.rules,
                now: context.at.unwrap_or(now),
                target_host: context.target_host.as_deref(),
                delegation: Delegation {
                    confidence: context.delegation.confidence(),
                    members: &context.delegation.chain,
                },
                calls_last_minute: context.calls_last_minute,
                session_labels: context.session.as_ref().map(|s| s.labels.as_slice()),
                parameters: &context.params,
            },
        })
    }
}

impl AskedDelegation {
    fn confidence(&self) -> &'static str {
        match (self.confidence, self.chain.is_empty()) {
            (Some(Confidence::None), _) | (None, true) => "none",
            (Some(Confidence::Declared), _) | (None, false) => "declared",
            (Some(Confidence::Inferred), _) => "inferred",
            (Some(Confidence::Verified), _) => "verified",
        }
    }
}

fn explain(outcome: &Outcome<'_>, request: &Request<'_>) -> Explanation {
    let names = |policies: &[&Policy]| policies.iter().map(|policy| named(policy)).collect();
    let (verdict, reason, scope) = match outcome.ruling(&request.resource.scope) {
        Ruling::Deny(denial) => ("block", denial.sentence(), None),
        Ruling::Allow(allowance) => {
            let by: Vec<&str> = allowance.by.iter().map(|p| p.id.as_str()).collect();
            let permitted = format!("permitted by {}", by.join(", "));
            let scope = Some(allowance.scope.to_owned());
            match allowance.flagged_by {
                Some(policy) => (
                    "flag",
                    format!("{permitted}, flagged by {}", policy.id),
                    scope,
                ),
                None => ("pass", permitted, scope),
            }
        }
    };
    let failed = |(policy, error): &(&Policy, EvaluationError)| Failed {
        id: policy.id.clone(),
        error: error.to_string(),
    };
    Explanation {
        allowed: verdict != "block",
        verdict,
        reason,
        scope_granted: scope,
        determining: names(&outcome.determining),
        flagging: names(&outcome.flagging),
        monitored: names(&outcome.monitored),
        errors: outcome.errors.iter().map(failed).collect(),
        request: seen(request),
    }
}

fn named(policy: &Policy) -> Named {
    Named {
        id: policy.id.clone(),
        effect: policy.effect,
        reason: policy.reason.clone(),
    }
}

/// The request as policies see it.
fn seen(request: &Request<'_>) -> Value {
    let Request {
        action,
        principal,
        resource,
        context,
    } = request;
    let session = context
        .session_labels
        .map(|labels| json!({ "labels": labels }));
    json!({
        "action": action,
        "principal": {
            "id": principal.id, "groups": principal.groups, "scopes": principal.scopes,
            "state": principal.state, "purpose": principal.purpose,
        },
        "resource": {
            "name": resource.name, "category": resource.category, "scope": resource.scope,
            "upstream": resource.upstream,
        },
        "context": {
            "risk": context.risk, "labels": context.labels, "rules": context.rules,
            "hour": context.hour(), "weekday": context.weekday(),
            "target_host": context.target_host,
            "delegation": {
                "depth": context.delegation_depth(),
                "confidence": context.delegation.confidence,
                "members": context.delegation.members,
            },
            "calls_last_minute": context.calls_last_minute,
            "session": session,
            "parameters": context.parameters,
        },
    })
}

fn call() -> Action {
    Action::Call
}

fn active() -> AgentState {
    AgentState::Active
}
