//! Decides what an organisation's policies say of one call, in microseconds.
//!
//! It leaves the risk to `detect` and the thresholds to `guard`: here only policies speak.

use clampd_model::{AgentId, Condition, Effect, Policy, RiskScore, Tool, scope_covers};

/// What policies may ask about a call.
#[derive(Debug)]
pub struct Request<'a> {
    /// The caller.
    pub agent: &'a AgentId,
    /// The tool.
    pub tool: &'a Tool,
    /// The risk that was found, 0 to 1.
    pub risk: RiskScore,
    /// The rule categories that were found.
    pub categories: &'a [&'a str],
    /// How many agents stand in the delegation chain, the caller included; 1 without one.
    pub delegation_depth: u8,
}

/// What the policies say together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome<'p> {
    /// No policy applies.
    Silent,
    /// The strongest policy that applies: a `forbid` over a `flag` over a `permit`.
    Decided(&'p Policy),
}

/// Evaluates `policies` on `request`. The order of policies does not matter, save that of two
/// equally strong ones the first is named.
pub fn evaluate<'p>(policies: &'p [Policy], request: &Request<'_>) -> Outcome<'p> {
    let mut strongest: Option<&Policy> = None;
    for policy in policies
        .iter()
        .filter(|p| p.when.iter().all(|c| holds(c, request)))
    {
        if strongest.is_none_or(|s| strength(policy.effect) > strength(s.effect)) {
            strongest = Some(policy);
        }
    }
    strongest.map_or(Outcome::Silent, Outcome::Decided)
}

fn strength(effect: Effect) -> u8 {
    match effect {
        Effect::Permit => 0,
        Effect::Flag => 1,
        Effect::Forbid => 2,
    }
}

fn holds(condition: &Condition, request: &Request<'_>) -> bool {
    match condition {
        Condition::AgentIn(agents) => agents.contains(request.agent),
        Condition::ToolIn(names) => names.iter().any(|n| name_covers(n, &request.tool.name)),
        Condition::CategoryIn(categories) => categories.contains(&request.tool.category),
        Condition::ScopeIn(scopes) => scopes.iter().any(|s| scope_covers(s, &request.tool.scope)),
        Condition::RiskAtLeast(risk) => request.risk >= *risk,
        Condition::FoundIn(found) => found
            .iter()
            .any(|f| request.categories.contains(&f.as_str())),
        Condition::DelegationDepthAtLeast(depth) => request.delegation_depth >= *depth,
    }
}

fn name_covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use clampd_model::{AgentId, Condition, Effect, Policy, RiskScore, Tool, ToolCategory};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{Outcome, Request, evaluate};

    fn policy(id: &str, effect: Effect, when: Vec<Condition>) -> Policy {
        Policy {
            id: id.into(),
            effect,
            reason: String::new(),
            when,
        }
    }

    #[track_caller]
    fn check(policies: &[Policy], wanted: Option<&str>) {
        let agent = AgentId::parse("scout").unwrap();
        let tool = Tool {
            name: "database.query".into(),
            scope: "db:read".into(),
            category: ToolCategory::Database,
            audience: String::new(),
            upstream: None,
            binding: String::new(),
        };
        let request = Request {
            agent: &agent,
            tool: &tool,
            risk: RiskScore::new(0.5),
            categories: &["destructive-sql"],
            delegation_depth: 1,
        };
        let got = match evaluate(policies, &request) {
            Outcome::Silent => None,
            Outcome::Decided(policy) => Some(policy.id.as_str()),
        };
        assert_eq!(got, wanted);
    }

    #[test]
    fn a_forbid_wins_wherever_it_stands() {
        let permit = policy("p", Effect::Permit, vec![]);
        let flag = policy("f", Effect::Flag, vec![]);
        let forbid = policy("x", Effect::Forbid, vec![]);
        check(&[forbid.clone(), permit.clone(), flag.clone()], Some("x"));
        check(&[permit.clone(), flag.clone(), forbid], Some("x"));
        check(&[permit.clone(), flag], Some("f"));
        check(&[permit], Some("p"));
        check(&[], None);
    }

    #[test]
    fn a_policy_applies_when_all_its_conditions_hold() {
        let scout = || Condition::AgentIn(vec![AgentId::parse("scout").unwrap()]);
        for (condition, applies) in [
            (
                Condition::AgentIn(vec![AgentId::parse("other").unwrap()]),
                false,
            ),
            (Condition::ToolIn(vec!["database.*".into()]), true),
            (Condition::ToolIn(vec!["database".into()]), false),
            (Condition::CategoryIn(vec![ToolCategory::Shell]), false),
            (Condition::ScopeIn(vec!["db:*".into()]), true),
            (Condition::RiskAtLeast(RiskScore::new(0.5)), true),
            (Condition::RiskAtLeast(RiskScore::new(0.6)), false),
            (Condition::FoundIn(vec!["destructive-sql".into()]), true),
            (Condition::DelegationDepthAtLeast(2), false),
        ] {
            let policies = [policy("x", Effect::Forbid, vec![scout(), condition])];
            check(&policies, applies.then_some("x"));
        }
    }
}
