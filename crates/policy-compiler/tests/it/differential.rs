//! Our evaluator decides as Cedar's own authorizer does: the same decision, the same policies that
//! determined it, the same that could not be evaluated, over random policies and random requests.
//!
//! `POLICY_DIFF_CASES` says how many requests; `make policy-diff` asks for a million.

mod cedar;
mod policies;
mod random;
mod requests;

use std::collections::BTreeSet;

use clampd_model::Policy;
use clampd_policy::evaluate;

use self::{cedar::Reference, policies::document, random::Random, requests::question};
use crate::COMPILER;

/// How many requests when nothing else is said.
const CASES: usize = 20_000;
/// How many requests are tried on each document.
const CASES_PER_DOCUMENT: usize = 100;

/// What was seen, so that a generator which stopped generating is noticed.
#[derive(Debug, Default)]
struct Tally {
    cases: usize,
    documents: usize,
    refused: usize,
    allowed: usize,
    forbidden: usize,
    with_errors: usize,
    advisory: usize,
}

#[test]
#[expect(clippy::print_stdout, reason = "the tally is what a long run is for")]
fn decisions_and_reasons_are_cedars() {
    let cases = std::env::var("POLICY_DIFF_CASES").ok();
    let cases = cases.map_or(CASES, |text| text.parse().unwrap());
    let mut random = Random::new(0x00c1_a3bd_2026);
    let mut tally = Tally::default();
    while tally.cases < cases {
        let text = document(&mut random);
        let compiled = match COMPILER.compile("d", &text) {
            Ok(compiled) => compiled,
            Err(_) => {
                tally.refused += 1;
                assert!(
                    tally.refused < 100 + tally.documents,
                    "most documents are refused"
                );
                continue;
            }
        };
        tally.documents += 1;
        let reference = Reference::new(&text, &compiled.policies);
        for _ in 0..CASES_PER_DOCUMENT {
            compare(
                &text,
                &compiled.policies,
                &reference,
                &mut random,
                &mut tally,
            );
        }
    }
    println!("{tally:?}");
    let enough = |count: usize| count * 200 > tally.cases;
    assert!(
        [
            tally.allowed,
            tally.forbidden,
            tally.with_errors,
            tally.advisory
        ]
        .into_iter()
        .all(enough),
        "{tally:?}"
    );
}

fn compare(
    text: &str,
    policies: &[Policy],
    reference: &Reference,
    random: &mut Random,
    tally: &mut Tally,
) {
    let question = question(random);
    // The schema is asked now and then, to see that requests are as it says.
    let is_checked = tally.cases.is_multiple_of(50);
    question.with_request(0, |request| {
        let outcome = evaluate(policies, request);
        let ids = |policies: &mut dyn Iterator<Item = &&Policy>| -> BTreeSet<String> {
            policies.map(|policy| policy.id.clone()).collect()
        };
        let ours = cedar::Answer {
            is_allowed: outcome.is_allowed,
            determining: ids(&mut outcome.determining.iter()),
            errors: ids(&mut outcome.errors.iter().map(|(policy, _)| policy)),
            advisory: ids(&mut outcome.flagging.iter().chain(&outcome.monitored)),
        };
        let theirs = reference.answer(request, is_checked);
        assert_eq!(ours, theirs, "{question:#?}\n{text}\n{policies:#?}");
        tally.cases += 1;
        tally.allowed += usize::from(ours.is_allowed);
        tally.forbidden += usize::from(!ours.is_allowed && !ours.determining.is_empty());
        tally.with_errors += usize::from(!ours.errors.is_empty());
        tally.advisory += usize::from(!ours.advisory.is_empty());
    });
}
