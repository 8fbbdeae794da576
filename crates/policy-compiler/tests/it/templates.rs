//! The base and the documents to begin with do what their examples say.

use std::collections::BTreeMap;

use clampd_model::{Action, Policy};
use clampd_policy_compiler::{
    AskedAgent, AskedContext, AskedTool, BASE_ID, BASE_TEXT, Question, TEMPLATES,
};
use serde::Deserialize;

use crate::COMPILER;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    what: String,
    action: Option<Action>,
    agent: AskedAgent,
    tool: AskedTool,
    #[serde(default)]
    context: AskedContext,
    verdict: String,
    by: Option<String>,
}

fn policies(id: &str, text: &str) -> Vec<Policy> {
    let compiled = COMPILER.compile(id, text).unwrap();
    assert_eq!(compiled.warnings, [], "{id}");
    compiled.policies
}

#[test]
fn every_template_does_what_its_examples_say() {
    let examples = include_str!("../../src/templates/examples.json");
    let mut examples: BTreeMap<String, Vec<Example>> = serde_json::from_str(examples).unwrap();
    let base = policies(BASE_ID, BASE_TEXT);
    let mut documents = vec![(BASE_ID, vec![])];
    documents.extend(TEMPLATES.iter().map(|t| (t.id, policies(t.id, t.text))));
    for (id, own) in documents {
        let in_force = match id {
            "least-privilege" => own,
            _ => [base.clone(), own].concat(),
        };
        for example in examples.remove(id).unwrap() {
            let question = Question {
                action: example.action.unwrap_or(Action::Call),
                agent: example.agent,
                tool: example.tool,
                context: example.context,
            };
            let explained = question.ask(&in_force, 0);
            let what = format!("{id}, {}: {explained:?}", example.what);
            assert_eq!(explained.verdict, example.verdict, "{what}");
            let told = explained.determining.iter().chain(&explained.flagging);
            let told: Vec<&str> = told.map(|policy| policy.id.as_str()).collect();
            match example.by {
                Some(by) => assert!(told.contains(&by.as_str()), "{what}"),
                None => assert!(told.is_empty(), "{what}"),
            }
            assert_eq!(explained.errors, [], "{what}");
        }
    }
    assert!(examples.is_empty(), "examples of no template");
}

#[test]
fn the_base_lets_pass_what_is_within_scopes_and_nothing_when_it_is_gone() {
    let question = |scopes: &str| -> Question {
        let asked = format!(
            r#"{{"agent": {{"id": "a", "scopes": {scopes}}}, "tool": {{"name": "t", "scope": "db:read"}}}}"#
        );
        serde_json::from_str(&asked).unwrap()
    };
    let base = policies(BASE_ID, BASE_TEXT);
    for (scopes, allowed) in [
        (r#"["db:read"]"#, true),
        (r#"["db:*"]"#, true),
        (r#"["*"]"#, true),
        (r#"["db:write", "dbx:*"]"#, false),
        ("[]", false),
    ] {
        assert_eq!(question(scopes).ask(&base, 0).allowed, allowed, "{scopes}");
        let without = question(scopes).ask(&[], 0);
        assert_eq!(
            (without.allowed, without.reason.as_str()),
            (false, "no policy permits it")
        );
    }
}
