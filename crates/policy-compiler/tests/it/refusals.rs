//! What cannot be put in force is refused, with its place.

use clampd_model::{Effect, PolicyMode};
use clampd_policy_compiler::TEXT_BYTES_MAX;

use crate::COMPILER;

/// Checks that the text is refused at that line and column for a reason that holds these words.
#[track_caller]
fn refused(text: &str, place: (usize, usize), words: &str) {
    let refusal = COMPILER.compile("d", text).unwrap_err();
    let remark = &refusal.0[0];
    assert_eq!((remark.line, remark.column), place, "{refusal}");
    assert!(remark.message.contains(words), "{refusal}");
}

/// Checks that the condition, on the second line of a forbid, is refused from that column.
#[track_caller]
fn condition_refused(condition: &str, column: usize, words: &str) {
    let text = format!("forbid (principal, action, resource) when {{\n{condition}\n}};");
    refused(&text, (2, column), words);
}

#[test]
fn what_does_not_parse_is_refused_where_it_stops() {
    refused(
        "permit (principal, action, resource)",
        (1, 37),
        "unexpected end",
    );
    refused(
        "permit (principal, action, resource);\n  what;",
        (2, 7),
        "`;`",
    );
    refused(
        "permit (principal, action, resource)\nwhen { é };",
        (2, 8),
        "",
    );
    refused("", (1, 1), "holds no policy");
    refused("// nothing\n", (2, 1), "holds no policy");
}

#[test]
fn what_the_schema_does_not_have_is_refused_where_it_is_asked_for() {
    condition_refused("context.rsik == decimal(\"0.5\")", 1, "rsik");
    condition_refused("true && principal.mail == \"x\"", 9, "mail");
    condition_refused("context.hour == \"ten\"", 1, "not compatible");
    condition_refused("context.target_host == \"a\"", 1, "target_host");
    condition_refused("resource in Category::\"rocket\"", 13, "rocket");
    condition_refused("principal in Team::\"a\"", 14, "Team");
    condition_refused("action == Action::\"fly\"", 11, "fly");
    condition_refused(
        "context.parameters.number.getTag(\"n\").lessThan(decimal(\"1.0\"))",
        1,
        "tag",
    );
    condition_refused("1 + 1", 1, "expected");
    refused(
        "permit (principal is Robot, action, resource);",
        (1, 22),
        "Robot",
    );
}

#[test]
fn what_has_no_compact_form_is_refused_by_name_and_place() {
    for (condition, column, words) in [
        ("{a: 1} == {a: 1}", 1, "record"),
        (
            "context.delegation == context.delegation",
            1,
            "`context.delegation` as a whole",
        ),
        ("[context.hour].contains(1)", 2, "literal into a set"),
        ("[[1]].contains([1])", 2, "literal into a set"),
        ("Agent::\"a\".id == \"a\"", 1, "attribute of something else"),
        (
            "context.parameters.text.hasTag(principal.id)",
            32,
            "something else than a literal",
        ),
        (
            "context.parameters.text.hasTag(\"a\\\\b\")",
            32,
            "backslash",
        ),
        ("ip(\"10.0.0.1\").isLoopback()", 1, "`isLoopback`"),
        (
            "context.parameters.text is Texts",
            1,
            "type of something else",
        ),
        ("Texts::\"x\" == context.parameters.text", 1, "Texts"),
    ] {
        condition_refused(condition, column, words);
    }
    let deep = "if context.hour == 1 then true else ".repeat(30) + "false";
    let text = format!("forbid (principal, action, resource) when {{ {deep} }};");
    let refusal = COMPILER.compile("d", &text).unwrap_err();
    assert!(
        refusal.to_string().contains("nested too deeply"),
        "{refusal}"
    );
    let long = format!("{}true", "context.hour > 1 && ".repeat(258));
    condition_refused(&long, 1, "too many operands");
    refused(
        "permit (principal == ?principal, action, resource);",
        (1, 1),
        "templates",
    );
}

#[test]
fn annotations_that_would_not_do_what_they_seem_to_are_refused() {
    for (annotation, effect, words) in [
        ("@montior", "forbid", "`@montior` is not known"),
        ("@reason", "forbid", "`@reason` must be"),
        ("@reason(\"a\\nb\")", "forbid", "`@reason` must be"),
        ("@flag(\"no\")", "forbid", "`@flag` takes no value"),
        ("@flag @monitor", "forbid", "another mode"),
        ("@scope(\"db:read\")", "forbid", "`@scope` is for a permit"),
        (
            "@scope(\"db:read db:write\")",
            "permit",
            "`@scope` must be one scope",
        ),
        ("@id(\"a/b\")", "permit", "`@id` must be"),
    ] {
        let text = format!("\n{annotation}\n{effect} (principal, action, resource);");
        let refusal = COMPILER.compile("d", &text).unwrap_err();
        assert!(refusal.to_string().contains(words), "{refusal}");
        assert_eq!(refusal.0[0].line, 2, "{refusal}");
    }
}

#[test]
fn policies_are_named_by_their_document_and_themselves() {
    let names = |text: &str| -> Vec<String> {
        let compiled = COMPILER.compile("d", text).unwrap();
        compiled.policies.into_iter().map(|p| p.id).collect()
    };
    let plain = "permit (principal, action, resource);";
    assert_eq!(names(plain), ["d"]);
    assert_eq!(names(&format!("{plain}{plain}")), ["d/1", "d/2"]);
    assert_eq!(names(&format!("@id(\"a\"){plain}")), ["d/a"]);
    assert_eq!(names(&format!("{plain}@id(\"a\"){plain}")), ["d/1", "d/a"]);
    refused(
        &format!("@id(\"a\"){plain}\n@id(\"a\"){plain}"),
        (2, 1),
        "two policies are named `d/a`",
    );
}

#[test]
fn annotations_reach_the_compact_form() {
    let text = "@id(\"a\") @reason(\"why\") @flag @scope(\"db:read\")
        permit (principal, action == Action::\"call\", resource);
        @monitor forbid (principal, action, resource);";
    let policies = COMPILER.compile("d", text).unwrap().policies;
    let [first, second] = policies.as_slice() else {
        panic!("two policies are wanted");
    };
    assert_eq!(
        (first.effect, first.mode, first.reason.as_str()),
        (Effect::Permit, PolicyMode::Flag, "why")
    );
    assert_eq!(first.scope.as_deref(), Some("db:read"));
    assert_eq!(second.mode, PolicyMode::Monitor);
    let json = serde_json::to_string(&policies).unwrap();
    let again: Vec<clampd_model::Policy> = serde_json::from_str(&json).unwrap();
    assert_eq!(again, policies);
}

#[test]
fn a_policy_that_never_applies_is_told() {
    let text = "permit (principal, action, resource) when { false };";
    let warnings = COMPILER.compile("d", text).unwrap().warnings;
    assert!(
        warnings[0]
            .to_string()
            .starts_with("line 1, column 1: policy d:")
    );
}

#[test]
fn a_text_made_to_exhaust_the_compiler_is_refused_or_compiled() {
    let within =
        |condition: String| format!("permit (principal, action, resource) when {{ {condition} }};");
    let parens = |n| format!("{}true{}", "(".repeat(n), ")".repeat(n));
    for text in [
        "x".repeat(TEXT_BYTES_MAX + 1),
        within(parens(30_000)),
        within(format!("{}true", "true && ".repeat(8_000))),
        within(format!("{}1 == 1", "1 + ".repeat(15_000))),
        within(format!("{}true", "if true then true else ".repeat(2_500))),
        within(format!(
            "{}1{}.isEmpty()",
            "[".repeat(30_000),
            "]".repeat(30_000)
        )),
        within(format!("context{}", ".a".repeat(30_000))),
        within("!".repeat(60_000)),
        "@reason(\"x\") ".repeat(5_000),
        "permit (principal, action, resource);".repeat(1_700),
    ] {
        let compiled = std::thread::Builder::new()
            .stack_size(64 * 1024 * 1024)
            .spawn(move || COMPILER.compile("d", &text).map(|_| ()))
            .unwrap()
            .join();
        assert!(compiled.unwrap().is_err());
    }
}
