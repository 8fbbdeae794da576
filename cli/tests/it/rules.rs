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
    let shown = clampd.ok(&["rules", "show", "pii-iban", "--rules", &rules()]);
    assert!(
        shown.contains("recogniser  iban, after ISO 13616-1"),
        "{shown}"
    );
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

/// A Sigma rule of ours, with what it looks for.
fn sigma(detection: &str) -> String {
    format!(
        "title: Notes sent out\nlevel: high\nlogsource:\n  category: process_creation\ndetection:\n{detection}"
    )
}

#[test]
fn sigma_rules_become_a_rule_file_that_judges() {
    let clampd = Clampd::new();
    let whole = sigma("  sel:\n    CommandLine|contains: 'notes.zip'\n  condition: sel\n");
    clampd.file("in.yml", &whole);
    clampd.file("own/readme.txt", "");
    let import = ["rules", "import", "--format", "sigma", "in.yml"];
    let told = clampd.json(&[&import[..], &["--out", "own/sigma.toml"]].concat());
    assert_eq!(told["rules"][0]["outcome"], "whole", "{told}");
    assert_eq!(told["rules"][0]["ids"], json!(["sigma-notes-sent-out"]));
    assert!(clampd.ok(&["rules", "check", "own"]).contains("1 rules"));
    let judge = [
        "rules",
        "test",
        "scp mynotes.zip x",
        "--rules",
        "own",
        "--tool",
        "shell.exec",
    ];
    let tried = clampd.json(&[&judge[..], &["--param", "command"]].concat());
    assert_eq!(
        tried["findings"][0]["rule"], "sigma-notes-sent-out",
        "{tried}"
    );
    // What is there is not written over; without a name it goes to standard output.
    let again = clampd.run(&[&import[..], &["--out", "own/sigma.toml"]].concat());
    assert!(again.refused(1).contains("there already"));
    let printed = clampd.run(&import);
    assert_eq!(printed.code, 0, "{printed:?}");
    assert!(
        printed
            .stdout
            .contains("[[rule]]\nid = \"sigma-notes-sent-out\""),
        "{printed:?}"
    );
    assert!(printed.stderr.contains("1 imported whole"), "{printed:?}");
}

#[test]
fn a_sigma_rule_that_would_be_another_is_refused_unless_broader_is_asked_for() {
    let clampd = Clampd::new();
    let partly = sigma(
        "  sel:\n    CommandLine|contains: 'notes.zip'\n  not_me:\n    User: me\n  condition: sel and not not_me\n",
    );
    clampd.file("in.yml", &partly);
    let import = [
        "rules", "import", "--format", "sigma", "in.yml", "--out", "out.toml",
    ];
    let told = clampd.run(&import).refused(1);
    assert!(
        told.contains("refused") && told.contains("must not be there"),
        "{told}"
    );
    assert!(!clampd.path("out.toml").exists());
    let told = clampd
        .run(&[&import[..], &["--broader"]].concat())
        .refused(1);
    assert!(
        told.contains("finds more") && told.contains("1 broader"),
        "{told}"
    );
    assert!(clampd.path("out.toml").exists());
}
