//! What a decision costs is bounded by what policies and requests are, not by what is sent.

use clampd_policy_compiler::Question;

use crate::COMPILER;

/// An organisation with many policies and a call with many parameters: evaluated once, it ends.
#[test]
fn many_policies_over_a_large_call_are_evaluated() {
    let policy = "forbid (principal, action, resource) when {
        context.parameters.text.hasTag(\"k99999\") &&
        context.parameters.text.getTag(\"k99999\") like \"*a*a*a*a*b\" };";
    let policies = COMPILER.compile("d", &policy.repeat(100)).unwrap().policies;
    let mut asked: Question =
        serde_json::from_str(r#"{"agent": {"id": "a"}, "tool": {"name": "t", "scope": "s"}}"#)
            .unwrap();
    let params: serde_json::Map<String, serde_json::Value> = (0..100_000)
        .map(|at| (format!("k{at}"), "a".repeat(10).into()))
        .collect();
    asked.context.params = params.into();
    let explained = asked.ask(&policies, 0);
    assert_eq!(explained.errors, []);
    assert!(!explained.allowed);
}
