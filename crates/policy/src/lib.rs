//! Decides what an organisation's policies say of one request, in microseconds.
//!
//! The semantics are Cedar's: what no policy permits is denied, a forbid wins over every permit, a
//! policy that cannot be evaluated is passed over and reported. The policies come lowered from
//! `policy-compiler`; what risk means beside them is `guard`'s.

mod expression;
mod parameter;
mod request;
mod ruling;
mod value;

use clampd_model::{Effect, Policy, PolicyMode};

use crate::{expression::Evaluation, value::Value};
pub use crate::{
    expression::EvaluationError,
    request::{Context, Delegation, Principal, Request, held_scopes},
    ruling::{Allowance, Denial, Ruling},
};

/// What the policies say together.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome<'p> {
    /// Whether a permit applies and no forbid does.
    pub is_allowed: bool,
    /// The policies that decided: the forbids that apply, or else the permits; none where nothing
    /// applies. In the order of the policies, as all lists here.
    pub determining: Vec<&'p Policy>,
    /// The policies that could not be evaluated.
    pub errors: Vec<(&'p Policy, EvaluationError)>,
    /// The forbids that apply and only flag.
    pub flagging: Vec<&'p Policy>,
    /// The policies that apply and are only monitored.
    pub monitored: Vec<&'p Policy>,
}

/// Evaluates `policies` on `request`. Their order does not matter for what is decided.
///
/// Source: Cedar's authorization algorithm (Cedar reference, "How Cedar authorization works").
pub fn evaluate<'p>(policies: &'p [Policy], request: &Request<'_>) -> Outcome<'p> {
    let (mut permits, mut forbids) = (Vec::new(), Vec::new());
    let (mut errors, mut flagging, mut monitored) = (Vec::new(), Vec::new(), Vec::new());
    for policy in policies {
        match applies(policy, request) {
            Ok(false) => {}
            Err(error) => errors.push((policy, error)),
            Ok(true) => match (policy.mode, policy.effect) {
                (PolicyMode::Monitor, _) => monitored.push(policy),
                (PolicyMode::Flag, Effect::Forbid) => flagging.push(policy),
                (_, Effect::Permit) => permits.push(policy),
                (_, Effect::Forbid) => forbids.push(policy),
            },
        }
    }
    let is_allowed = forbids.is_empty() && !permits.is_empty();
    Outcome {
        is_allowed,
        determining: if forbids.is_empty() { permits } else { forbids },
        errors,
        flagging,
        monitored,
    }
}

fn applies(policy: &Policy, request: &Request<'_>) -> Result<bool, EvaluationError> {
    if !policy.actions.contains(request.action) {
        return Ok(false);
    }
    match &policy.when {
        None => Ok(true),
        Some(when) => match Evaluation::of(request).value(when)? {
            Value::Bool(applies) => Ok(applies),
            _ => Err(EvaluationError::Kind),
        },
    }
}
