//! What one evaluation costs: `cargo run --release -p clampd-policy-compiler --example cost`.

#![expect(clippy::print_stdout, reason = "a measurement is for reading")]

use std::{hint::black_box, time::Instant};

use clampd_policy::evaluate;
use clampd_policy_compiler::{BASE_ID, BASE_TEXT, Compiler, Question, TEMPLATES};

/// How often each measurement is taken; the median is told.
const ROUNDS: usize = 51;
/// How many evaluations one measurement is made of.
const EVALUATIONS: u32 = 1_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let compiler = Compiler::new()?;
    let base = compiler.compile(BASE_ID, BASE_TEXT)?.policies;
    let mut all = base.clone();
    for template in TEMPLATES {
        all.extend(compiler.compile(template.id, template.text)?.policies);
    }
    let many: Vec<_> = all.iter().cycle().take(100).cloned().collect();
    let question: Question = serde_json::from_str(
        r#"{"agent": {"id": "payer", "scopes": ["pay:*", "db:read"], "groups": ["finance"]},
            "tool": {"name": "pay.send", "scope": "pay:send", "category": "payment"},
            "context": {"at": 1795687200, "risk": 0.2, "params": {"amount": 20, "to": "DE00"}}}"#,
    )?;
    for (name, policies) in [
        ("base", &base),
        ("base and templates", &all),
        ("a hundred", &many),
    ] {
        let mut rounds: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                question.with_request(0, |request| {
                    let begun = Instant::now();
                    for _ in 0..EVALUATIONS {
                        black_box(evaluate(black_box(policies), black_box(request)));
                    }
                    begun.elapsed().as_secs_f64() / f64::from(EVALUATIONS)
                })
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        let median = rounds.get(ROUNDS / 2).copied().unwrap_or_default();
        println!(
            "{name}: {} policies, {:.2} µs",
            policies.len(),
            median * 1e6
        );
    }
    Ok(())
}
