//! Random requests.

use clampd_model::{Action, AgentId, AgentState, RiskScore, ToolCategory};
use clampd_policy_compiler::{
    AskedAgent, AskedContext, AskedDelegation, AskedSession, AskedTool, Confidence, Question,
};
use serde_json::{Value, json};

use super::{
    policies::{AGENTS, GROUPS, TEXTS, TOOLS},
    random::Random,
};

pub(crate) fn question(random: &mut Random) -> Question {
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let actions = Action::ALL;
    let categories = [
        ToolCategory::Database,
        ToolCategory::Payment,
        ToolCategory::Message,
        ToolCategory::Other,
    ];
    let states = [AgentState::Active, AgentState::Suspended];
    let chain = random.some(AGENTS).into_iter().map(agent).collect();
    Question {
        action: *random.pick(&actions.each_ref()),
        agent: AskedAgent {
            id: agent(random.pick(AGENTS)),
            groups: owned(random.some(GROUPS)),
            scopes: owned(random.some(TEXTS)),
            state: *random.pick(&states.each_ref()),
            purpose: maybe(random),
        },
        tool: AskedTool {
            name: random.pick(TOOLS).to_owned(),
            scope: random.pick(TEXTS).to_owned(),
            category: *random.pick(&categories.each_ref()),
            upstream: maybe(random),
        },
        context: AskedContext {
            risk: RiskScore::new(f64::from(u32::try_from(random.below(1001)).unwrap()) / 1000.0),
            labels: owned(random.some(TEXTS)),
            rules: owned(random.some(TEXTS)),
            at: Some(random.below(4_000_000_000)),
            target_host: maybe(random),
            delegation: AskedDelegation {
                chain,
                confidence: *random.pick(&[
                    &None,
                    &Some(Confidence::Declared),
                    &Some(Confidence::Verified),
                ]),
            },
            calls_last_minute: random
                .once_in(2)
                .then(|| u32::try_from(random.below(30)).unwrap()),
            session: random.once_in(2).then(|| AskedSession {
                labels: owned(random.some(TEXTS)),
            }),
            params: params(random),
        },
    }
}

fn agent(id: &str) -> AgentId {
    AgentId::parse(id).unwrap()
}

fn maybe(random: &mut Random) -> Option<String> {
    random.once_in(2).then(|| random.pick(TEXTS).to_owned())
}

fn params(random: &mut Random) -> Value {
    if random.once_in(10) {
        return leaf(random);
    }
    let mut params = json!({});
    for name in ["to", "amount", "dry", "a.b"] {
        if random.once_in(2) {
            params[name] = leaf(random);
        }
    }
    if random.once_in(2) {
        params["items"] = json!([{ "price": leaf(random) }, leaf(random)]);
    }
    params
}

fn leaf(random: &mut Random) -> Value {
    match random.below(9) {
        0 => json!(true),
        1 => json!(false),
        2 => json!(random.pick(TEXTS)),
        3 => json!(12.5),
        4 => json!(-5.25),
        5 => json!(500.0001),
        6 => json!("499.99"),
        7 => json!(random.below(3)),
        _ => Value::Null,
    }
}
