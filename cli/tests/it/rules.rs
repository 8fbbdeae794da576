//! `clampd rules`.

use std::fs;

use serde_json::json;

use crate::clampd::{Clampd, repository};

fn rules() -> String {
    repository().join("rules").to_str().unwrap().to_owned()
}

#[test]
fn the_reference_is_what_the_rules_say() {
    let printed = Clampd::new().ok(&["rules", "doc", &rules()]);
    let committed = fs::read_to_string(repository().join("docs/rules.md")).unwrap();
    assert!(
        printed == committed,
        "docs/rules.md is stale: run `make rules-doc`"
    );
}

#[test]
fn rules_are_listed_with_and_without_files() {
    let clampd = Clampd::new();
    let built_in = clampd.json(&["rules", "list"]);
    let of_files = clampd.json(&["rules", "list", "--rules", &rules()]);
    let ids = |listed: &serde_json::Value| -> Vec<String> {
        let rules = listed["rules"].as_array().unwrap().iter();
        rules
            .map(|rule| rule["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(!ids(&built_in).is_empty());
    assert_eq!(ids(&built_in), ids(&of_files));
    let listed = clampd.ok(&["rules", "list", "--category", "destructive-sql"]);
    assert!(
        listed.contains("sql-drop-table") && !listed.contains("xss"),
        "{listed}"
    );
}

#[test]
fn a_rule_is_shown_with_its_reason_and_examples() {
    let clampd = Clampd::new();
    let shown = clampd.ok(&["rules", "show", "sql-drop-table", "--rules", &rules()]);
    for part in [
        "severity    critical",
        "why         ",
        "CWE-89",
        "DROP TABLE",
        "matches:",
        "leaves alone:",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let shown = clampd.ok(&["rules", "show", "sql-drop-table"]);
    assert!(shown.contains("--rules DIR"), "{shown}");
    assert!(
        clampd
            .run(&["rules", "show", "no-such"])
            .refused(1)
            .contains("`no-such`")
    );
}

#[test]
fn rules_are_checked_and_what_is_wrong_is_named() {
    let clampd = Clampd::new();
    assert!(
        clampd
            .ok(&["rules", "check", &rules()])
            .contains("all well")
    );
    let tested = clampd.json(&["rules", "test", "--rules", &rules()]);
    assert!(tested["examples"].as_u64().unwrap() > 20, "{tested}");
    clampd.file(
        "own/bad.toml",
        "category = \"c\"\n[[rule]]\nid = \"a-b\"\nname = \"n\"\nseverity = \"high\"\nwhy = \"w\"\n\
         literals = [\"marmalade\"]\napplies_to = [\"prompt\"]\nshould_match = [\"jam\"]\nshould_not_match = [\"tea\"]\n",
    );
    let said = clampd.run(&["rules", "check", "own"]).refused(1);
    assert!(
        said.contains("bad.toml:2: rule `a-b`: does not match `jam`"),
        "{said}"
    );
    clampd.file("empty/readme.txt", "");
    assert!(
        clampd
            .run(&["rules", "check", "empty"])
            .refused(1)
            .contains("no rule")
    );
}

#[test]
fn a_text_is_tried_where_it_stands() {
    let clampd = Clampd::new();
    let said = clampd.ok(&[
        "rules",
        "test",
        "DROP TABLE users",
        "--tool",
        "database.query",
        "--param",
        "sql",
    ]);
    assert!(said.starts_with("block, risk 0.9"), "{said}");
    assert!(said.contains("sql-drop-table"), "{said}");
    assert_eq!(
        clampd.ok(&["rules", "test", "good morning"]),
        "pass, risk 0\n"
    );
    let tried = clampd.json(&["rules", "test", "%3Cscript%3Ealert(1)%3C/script%3E"]);
    assert_eq!(tried["action"], "block");
    assert!(
        tried["findings"][0]["decodings"]
            .as_array()
            .unwrap()
            .contains(&json!("percent")),
        "{tried}"
    );
}
