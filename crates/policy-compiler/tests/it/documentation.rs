//! The policies of the guide can be put in force and do what stands beside them.

use clampd_model::{Action, Policy};
use clampd_policy_compiler::{AskedAgent, AskedContext, AskedTool, BASE_ID, BASE_TEXT, Question};
use serde::Deserialize;

use crate::COMPILER;

const GUIDE: &str = include_str!("../../../../docs/policies.md");

/// A request to the policies above it, beside the base or in its place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    #[serde(rename = "as")]
    document: Option<String>,
    action: Option<Action>,
    agent: AskedAgent,
    tool: AskedTool,
    #[serde(default)]
    context: AskedContext,
    verdict: String,
    scope: Option<String>,
}

#[test]
fn the_policies_of_the_guide_do_what_stands_beside_them() {
    let compile =
        |id: &str, text: &str| -> Vec<Policy> { COMPILER.compile(id, text).unwrap().policies };
    let base = compile(BASE_ID, BASE_TEXT);
    let (mut texts, mut asked) = (0, 0);
    for part in GUIDE.split("```cedar\n").skip(1) {
        let (text, after) = part.split_once("```").unwrap();
        let own = compile("guide", text);
        texts += 1;
        let examples = after.split_once("```json\n").unwrap().1;
        let examples = examples.split("```").next().unwrap();
        for example in serde_json::from_str::<Vec<Example>>(examples).unwrap() {
            let stands_alone = example.document.as_deref() == Some(BASE_ID);
            let policies = if stands_alone {
                own.clone()
            } else {
                [base.clone(), own.clone()].concat()
            };
            let question = Question {
                action: example.action.unwrap_or(Action::Call),
                agent: example.agent,
                tool: example.tool,
                context: example.context,
            };
            let explained = question.ask(&policies, 0);
            assert_eq!(explained.verdict, example.verdict, "{text}\n{explained:#?}");
            if let Some(scope) = example.scope {
                assert_eq!(explained.scope_granted, Some(scope), "{text}");
            }
            asked += 1;
        }
    }
    assert!(texts >= 3 && asked >= 10, "{texts} texts, {asked} examples");
}
