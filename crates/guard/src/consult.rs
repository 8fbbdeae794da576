//! Asks the policies: what they are told of a request, and what follows from what they say.
//!
//! What was found is judged before; policies can make that decision stricter, never milder.

use clampd_model::{Action, Policy, RiskScore, Tool, ToolCategory, Verdict};
use clampd_policy::{
    Context, Delegation, Denial, Outcome, Principal, Request, Ruling, evaluate, held_scopes,
};
use serde_json::Value;

use crate::{Decision, Snapshot, bounds, decide::Help, tool_call::Admitted};

/// The most monitored policies that are named in an event.
const MONITORED_MAX: usize = 8;

/// What policies are asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) action: Action,
    pub(crate) admitted: &'a Admitted,
    pub(crate) tool: &'a Tool,
    pub(crate) params: &'a Value,
}

/// What stands for a tool where an agent says something to a model.
pub(crate) fn prompt_tool() -> Tool {
    Tool {
        name: "prompt".to_owned(),
        scope: String::new(),
        category: ToolCategory::Other,
        audience: String::new(),
        upstream: None,
        binding: String::new(),
        pins: Vec::new(),
    }
}

impl<'a> Asked<'a> {
    pub(crate) fn about(action: Action, admitted: &'a Admitted, tool: &'a Tool) -> Self {
        Self {
            action,
            admitted,
            tool,
            params: &Value::Null,
        }
    }

    pub(crate) fn with_params(self, params: &'a Value) -> Self {
        Self { params, ..self }
    }

    /// What becomes of a decision once policies are asked.
    pub(crate) fn of_policies(self, snapshot: &Snapshot, decision: Decision) -> Decision {
        let outside = bounds::outside(&self).filter(|_| decision.verdict.lets_pass());
        if let Some((id, why)) = outside {
            return decision.deny(id, why.to_owned(), Help::KeepBounds);
        }
        if let Some((agent, why)) = self.undelegated(snapshot, &decision) {
            let why = format!("agent {agent} may not delegate this: {why}");
            return decision.deny("delegation_not_permitted", why, Help::RequestApproval);
        }
        self.ask(snapshot, &decision, |outcome, tool_scope| {
            let monitored = monitored(outcome);
            let mut decision = match outcome.ruling(tool_scope) {
                Ruling::Deny(denial) => deny(decision.clone(), denial),
                Ruling::Allow(allowance) => {
                    let mut decision = decision.clone();
                    let passes = decision.verdict.lets_pass();
                    decision.scope = passes.then(|| allowance.scope.to_owned());
                    if let Some(policy) = allowance.flagged_by.filter(|_| passes) {
                        decision.verdict = Verdict::Flag;
                        decision.reason = flagged(policy);
                    }
                    decision
                }
            };
            decision.reason.push_str(&monitored);
            decision
        })
    }

    /// Whether policies permit it, where nothing was found.
    pub(crate) fn is_permitted(self, snapshot: &Snapshot) -> bool {
        self.evaluate(snapshot, RiskScore::ZERO, &[], &[], |outcome, scope| {
            matches!(outcome.ruling(scope), Ruling::Allow(_))
        })
    }

    /// The first of those who stand behind a call that may not have it made in its name, and why.
    fn undelegated(self, snapshot: &Snapshot, decision: &Decision) -> Option<(String, String)> {
        if self.action != Action::Call {
            return None;
        }
        let delegation = &self.admitted.meta.delegation;
        delegation.delegators().iter().find_map(|member| {
            let agent = snapshot.agent_folded(member.as_str())?;
            let scopes = held_scopes(&agent.scopes, None, &self.tool.scope);
            let request = Request {
                action: Action::Delegate,
                principal: Principal {
                    id: &agent.id,
                    groups: &agent.groups,
                    scopes: &scopes,
                    state: snapshot.state(&agent.id),
                    purpose: agent.purpose.as_deref(),
                },
                resource: self.tool,
                context: self.context(decision.risk, &decision.labels, &decision.matched_rules),
            };
            match evaluate(snapshot.policies(), &request).ruling(&self.tool.scope) {
                Ruling::Allow(_) => None,
                Ruling::Deny(denial) => Some((agent.id.to_string(), denial.sentence())),
            }
        })
    }

    fn ask<T>(
        self,
        snapshot: &Snapshot,
        decision: &Decision,
        look: impl FnOnce(&Outcome<'_>, &str) -> T,
    ) -> T {
        let Decision {
            risk,
            labels,
            matched_rules,
            ..
        } = decision;
        self.evaluate(snapshot, *risk, labels, matched_rules, look)
    }

    fn evaluate<T>(
        self,
        snapshot: &Snapshot,
        risk: RiskScore,
        labels: &[String],
        rules: &[String],
        look: impl FnOnce(&Outcome<'_>, &str) -> T,
    ) -> T {
        let caller = &self.admitted.caller;
        let scopes = caller.scopes_beside(&self.tool.scope);
        let request = Request {
            action: self.action,
            principal: Principal {
                id: &caller.agent,
                groups: &caller.groups,
                scopes: &scopes,
                state: snapshot.state(&caller.agent),
                purpose: caller.purpose.as_deref(),
            },
            resource: self.tool,
            context: self.context(risk, labels, rules),
        };
        look(&evaluate(snapshot.policies(), &request), &self.tool.scope)
    }

    fn context<'b>(
        &'b self,
        risk: RiskScore,
        labels: &'b [String],
        rules: &'b [String],
    ) -> Context<'b> {
        let meta = &self.admitted.meta;
        Context {
            risk,
            labels,
            rules,
            now: meta.started / 1_000_000,
            target_host: meta.target_host.as_deref(),
            delegation: Delegation {
                confidence: meta.delegation.confidence(),
                members: &meta.delegation.chain,
            },
            calls_last_minute: meta.tally.calls_last_minute,
            // Sessions bear no marks, and policies can tell.
            session_labels: None,
            parameters: self.params,
        }
    }
}

fn deny(decision: Decision, denial: Denial<'_>) -> Decision {
    let id = denial.policy().map_or("not_permitted", |policy| &policy.id);
    decision.deny(id, denial.sentence(), Help::RequestApproval)
}

fn flagged(policy: &Policy) -> String {
    match policy.reason.as_str() {
        "" => format!("flagged by policy {}", policy.id),
        reason => format!("flagged by policy {}: {reason}", policy.id),
    }
}

/// What policies that decide nothing would have said.
fn monitored(outcome: &Outcome<'_>) -> String {
    let ids: Vec<&str> = outcome
        .monitored
        .iter()
        .take(MONITORED_MAX)
        .map(|policy| policy.id.as_str())
        .collect();
    match outcome.monitored.len().saturating_sub(ids.len()) {
        0 if ids.is_empty() => String::new(),
        0 => format!("; monitored policies that apply: {}", ids.join(", ")),
        more => format!(
            "; monitored policies that apply: {} and {more} more",
            ids.join(", ")
        ),
    }
}
