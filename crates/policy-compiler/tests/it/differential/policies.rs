//! Random documents of policies, of the whole language that can be lowered.

use super::random::Random;

pub(crate) const AGENTS: &[&str] = &["a", "b", "c"];
pub(crate) const GROUPS: &[&str] = &["red", "blue"];
pub(crate) const TOOLS: &[&str] = &["db.query", "pay.send", "mail.send"];
pub(crate) const CATEGORIES: &[&str] = &["database", "payment", "message", "other"];
/// Texts that requests and policies share, so that comparisons hold now and then.
pub(crate) const TEXTS: &[&str] = &[
    "db:read", "db:*", "pay", "x", "", "é*", "a@b.c", "active", "a",
];
pub(crate) const PARAMETERS: &[&str] =
    &["to", "amount", "dry", "items.0.price", "items.1", "a\\.b"];
pub(crate) const NUMBERS: &[&str] = &["0.0", "1.0", "-5.25", "12.5", "499.99", "500.0001"];

/// How deep expressions go.
const DEPTH: u32 = 4;

/// A document of two to six policies.
pub(crate) fn document(random: &mut Random) -> String {
    let policies: Vec<String> = (0..2 + random.below(5)).map(|_| policy(random)).collect();
    policies.join("\n")
}

fn policy(random: &mut Random) -> String {
    let annotation = random.pick(&["", "", "", "", "", "@monitor ", "@flag "]);
    // A permit that flags decides as any other; Cedar's side knows.
    let effect = random.pick(&["permit", "forbid"]);
    let agent = random.pick(AGENTS);
    let group = random.pick(GROUPS);
    let principal = match random.below(8) {
        0 => format!("principal == Agent::\"{agent}\""),
        1 => format!("principal in Group::\"{group}\""),
        2 => "principal is Agent".to_owned(),
        3 => format!("principal is Agent in Group::\"{group}\""),
        _ => "principal".to_owned(),
    };
    let action = match random.below(4) {
        0 => "action == Action::\"call\"",
        1 => "action in [Action::\"call\", Action::\"list\", Action::\"delegate\"]",
        _ => "action",
    };
    let tool = random.pick(TOOLS);
    let category = random.pick(CATEGORIES);
    let resource = match random.below(8) {
        0 => format!("resource == Tool::\"{tool}\""),
        1 | 2 => format!("resource in Category::\"{category}\""),
        3 => "resource is Tool".to_owned(),
        _ => "resource".to_owned(),
    };
    let mut text = format!("{annotation}{effect} ({principal}, {action}, {resource})");
    for _ in 0..random.below(3) {
        let word = random.pick(&["when", "unless"]);
        text += &format!(" {word} {{ {} }}", truth(random, DEPTH));
    }
    text + ";"
}

fn truth(random: &mut Random, depth: u32) -> String {
    if depth == 0 {
        return leaf_truth(random);
    }
    let inner = |random: &mut Random| truth(random, depth - 1);
    match random.below(16) {
        0 | 1 => format!("({} && {})", inner(random), inner(random)),
        2 | 3 => format!("({} || {})", inner(random), inner(random)),
        4 => format!("!({})", inner(random)),
        5 => format!(
            "(if {} then {} else {})",
            inner(random),
            inner(random),
            inner(random)
        ),
        6 => format!("({} == {})", inner(random), inner(random)),
        7 | 8 => {
            let operator = random.pick(&["<", "<=", ">", ">=", "==", "!="]);
            format!(
                "({} {operator} {})",
                long(random, depth),
                long(random, depth)
            )
        }
        9 => {
            let method = random.pick(&[
                "lessThan",
                "lessThanOrEqual",
                "greaterThan",
                "greaterThanOrEqual",
            ]);
            format!("{}.{method}({})", decimal(random), decimal(random))
        }
        10 => format!("({} == {})", text(random), text(random)),
        11 => {
            let pattern = random.pick(&[
                "*",
                "db:*",
                "*:read",
                "a*c",
                "*@b.*",
                "\\**",
                "pay",
                "",
                "*e\u{301}*",
            ]);
            format!("({} like \"{pattern}\")", text(random))
        }
        12 => {
            let method = random.pick(&["containsAll", "containsAny"]);
            format!("{}.{method}({})", texts(random), texts(random))
        }
        13 => format!("({} == {})", texts(random), texts(random)),
        _ => leaf_truth(random),
    }
}

fn leaf_truth(random: &mut Random) -> String {
    let agent = random.pick(AGENTS);
    let tool = random.pick(TOOLS);
    let group = random.pick(GROUPS);
    let category = random.pick(CATEGORIES);
    let parameter = random.pick(PARAMETERS).replace('\\', "\\\\");
    match random.below(16) {
        0 => random.pick(&["true", "false"]).to_owned(),
        1 => format!("principal == Agent::\"{agent}\""),
        2 => format!("resource != Tool::\"{tool}\""),
        3 => format!("principal in Group::\"{group}\""),
        4 => format!("resource in [Category::\"{category}\", Category::\"file\"]"),
        5 => format!("principal in [Agent::\"{agent}\", Agent::\"z\"]"),
        6 => "action == Action::\"call\"".to_owned(),
        7 => "action in [Action::\"call\", Action::\"respond\"]".to_owned(),
        8 => format!("{}.contains({})", texts(random), text(random)),
        9 => format!("context.delegation.members.contains(Agent::\"{agent}\")"),
        10 => format!("{}.isEmpty()", texts(random)),
        11 => random
            .pick(&[
                "context has target_host",
                "context has session",
                "context has session.labels",
                "context has calls_last_minute",
                "principal has purpose",
                "resource has upstream",
                "context has nothing",
                "context has parameters.text",
                "context has delegation.depth",
            ])
            .to_owned(),
        12 => {
            let kind = random.pick(&["text", "number", "flag"]);
            format!("context.parameters.{kind}.hasTag(\"{parameter}\")")
        }
        13 => format!(
            "(context.parameters.flag.hasTag(\"{parameter}\") && context.parameters.flag.getTag(\"{parameter}\"))"
        ),
        14 => format!("Agent::\"{agent}\" in Group::\"{group}\""),
        _ => "context.delegation.members.contains(principal)".to_owned(),
    }
}

fn long(random: &mut Random, depth: u32) -> String {
    if depth > 0 && random.once_in(2) {
        let operator = random.pick(&["+", "-", "*"]);
        return format!(
            "({} {operator} {})",
            long(random, depth - 1),
            long(random, depth - 1)
        );
    }
    match random.below(9) {
        0 => random.below(25).to_string(),
        1 => format!("-{}", random.below(9)),
        2 => random
            .pick(&[
                "9223372036854775807",
                "-9223372036854775808",
                "4611686018427387904",
            ])
            .to_owned(),
        3 => "context.hour".to_owned(),
        4 => "context.weekday".to_owned(),
        5 => "context.delegation.depth".to_owned(),
        6 => "(-(context.hour))".to_owned(),
        7 => "(if context has calls_last_minute then context.calls_last_minute else 0)".to_owned(),
        _ => "(-(-9223372036854775807 - context.weekday))".to_owned(),
    }
}

fn decimal(random: &mut Random) -> String {
    let number = random.pick(NUMBERS);
    let parameter = random.pick(PARAMETERS).replace('\\', "\\\\");
    match random.below(4) {
        0 => "context.risk".to_owned(),
        1 => format!("decimal(\"{number}\")"),
        2 => format!("decimal(\"0.{}\")", random.below(10)),
        _ => {
            let of = "context.parameters.number";
            format!(
                "(if {of}.hasTag(\"{parameter}\") then {of}.getTag(\"{parameter}\") else decimal(\"{number}\"))"
            )
        }
    }
}

fn text(random: &mut Random) -> String {
    let literal = random.pick(TEXTS);
    let parameter = random.pick(PARAMETERS).replace('\\', "\\\\");
    let or_else = |has: &str, value: &str| format!("(if {has} then {value} else \"x\")");
    match random.below(11) {
        0 | 1 => format!("\"{literal}\""),
        2 => "principal.id".to_owned(),
        3 => "principal.state".to_owned(),
        4 => random
            .pick(&["resource.name", "resource.category"])
            .to_owned(),
        5 => "resource.scope".to_owned(),
        6 => "context.delegation.confidence".to_owned(),
        7 => or_else("context has target_host", "context.target_host"),
        8 => or_else("principal has purpose", "principal.purpose"),
        9 => or_else("resource has upstream", "resource.upstream"),
        _ => {
            let of = "context.parameters.text";
            or_else(
                &format!("{of}.hasTag(\"{parameter}\")"),
                &format!("{of}.getTag(\"{parameter}\")"),
            )
        }
    }
}

fn texts(random: &mut Random) -> String {
    let (a, b) = (random.pick(TEXTS), random.pick(TEXTS));
    match random.below(6) {
        0 => "context.labels".to_owned(),
        1 => "context.rules".to_owned(),
        2 => "principal.scopes".to_owned(),
        3 => format!("[\"{a}\"]"),
        4 => format!("[\"{a}\", \"{b}\", \"{a}\"]"),
        _ => format!("(if context has session then context.session.labels else [\"{a}\"])"),
    }
}
