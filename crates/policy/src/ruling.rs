//! What follows from an outcome, once annotations are heeded.

use clampd_model::{Effect, Policy, PolicyMode, scope_covers};

use crate::Outcome;

/// What policies make of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Ruling<'p> {
    /// It may go on.
    Allow(Allowance<'p>),
    /// It may not.
    Deny(Denial<'p>),
}

/// What is allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Allowance<'p> {
    /// The policies that permit it.
    pub by: Vec<&'p Policy>,
    /// The scope that is granted.
    pub scope: &'p str,
    /// The policy that marks it, where one does.
    pub flagged_by: Option<&'p Policy>,
}

/// Why it is denied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Denial<'p> {
    /// This policy forbids it.
    Forbidden(&'p Policy),
    /// No policy permits it.
    NotPermitted,
    /// This policy forbids something and could not be evaluated: whoever can bring a forbid to fail
    /// must gain nothing by it.
    NotEvaluated(&'p Policy),
    /// The scope that this policy grants is not covered by what the tool or another policy grants.
    ScopeNotCovered(&'p Policy),
}

impl<'p> Outcome<'p> {
    /// What follows for a tool of that scope.
    pub fn ruling(&self, tool_scope: &'p str) -> Ruling<'p> {
        if !self.is_allowed {
            let denial = self.determining.first();
            return Ruling::Deny(denial.map_or(Denial::NotPermitted, |p| Denial::Forbidden(p)));
        }
        let failed = |mode: PolicyMode| {
            let mut failed = self.errors.iter().map(|(policy, _)| *policy);
            failed.find(|policy| policy.effect == Effect::Forbid && policy.mode == mode)
        };
        if let Some(policy) = failed(PolicyMode::Enforce) {
            return Ruling::Deny(Denial::NotEvaluated(policy));
        }
        let mut scope = tool_scope;
        for policy in &self.determining {
            match policy.scope.as_deref() {
                Some(own) if scope_covers(scope, own) => scope = own,
                Some(own) if !scope_covers(own, scope) => {
                    return Ruling::Deny(Denial::ScopeNotCovered(policy));
                }
                _ => {}
            }
        }
        let permit = self.determining.iter().find(|p| p.mode == PolicyMode::Flag);
        let flagged_by = self.flagging.first().or(permit).copied();
        Ruling::Allow(Allowance {
            by: self.determining.clone(),
            scope,
            flagged_by: flagged_by.or_else(|| failed(PolicyMode::Flag)),
        })
    }
}

impl Denial<'_> {
    /// The policy that it comes from, where one does.
    pub fn policy(&self) -> Option<&Policy> {
        match self {
            Self::NotPermitted => None,
            Self::Forbidden(policy)
            | Self::NotEvaluated(policy)
            | Self::ScopeNotCovered(policy) => Some(policy),
        }
    }

    /// Why, in a sentence without a full stop.
    pub fn sentence(&self) -> String {
        match self {
            Self::NotPermitted => "no policy permits it".to_owned(),
            Self::Forbidden(policy) if policy.reason.is_empty() => {
                format!("policy {} forbids it", policy.id)
            }
            Self::Forbidden(policy) => format!("policy {}: {}", policy.id, policy.reason),
            Self::NotEvaluated(policy) => format!("policy {} could not be evaluated", policy.id),
            Self::ScopeNotCovered(policy) => {
                format!(
                    "policy {} grants a scope that the tool does not have",
                    policy.id
                )
            }
        }
    }
}
