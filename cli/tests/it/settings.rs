//! `clampd settings`, and rules of one's own.

use serde_json::json;

use crate::scene::Scene;

const HOUSE: &str = r#"category = "project-names"

[[keywords]]
id = "own-project-names"
name = "Name of a project"
severity = "high"
why = "Nobody outside may know them."
words = ["Bluefin"]
"#;

#[test]
fn thresholds_modes_and_exemptions_are_set_shown_and_taken_back() {
    let scene = Scene::new();
    let clampd = scene.admin();
    clampd.ok(&["agent", "register", "--id", "scout", "--name", "scout"]);
    clampd.ok(&["tool", "put", "db.run", "--scope", "db:write"]);
    let said = clampd.ok(&["settings", "show"]);
    assert_eq!(said, "Blocked from 0.7 on, flagged from 0.4 on\n");

    clampd.ok(&["settings", "set", "--block-at", "0.9"]);
    let scout = [
        "settings",
        "threshold",
        "--agent",
        "scout",
        "--category",
        "pii",
    ];
    clampd.ok(&[&scout[..], &["--block-at", "0.95"]].concat());
    clampd.ok(&[&scout[..], &["--flag-at", "0.6"]].concat());
    clampd.ok(&["settings", "mode", "--category", "pii", "monitor"]);
    clampd.ok(&["settings", "mode", "--rule", "pii-iban", "off"]);
    let exempt = [
        "settings",
        "exempt",
        "--rule",
        "sql-drop-table",
        "--tool",
        "db.run",
    ];
    clampd.ok(&[&exempt[..], &["--reason", "migrates"]].concat());
    let shown = clampd.ok(&[&exempt[..], &["--reason", "migrates at night"]].concat());
    for part in [
        "Blocked from 0.9 on",
        "│ scout │ any  │ pii      │ 0.95     │ 0.6     │",
        "│ pii-iban │ any      │ off     │",
        "│ sql-drop-table │ any      │ any   │ db.run │ any   │ migrates at night │",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let set = clampd.json(&["settings", "show"]);
    assert_eq!(
        set,
        json!({
            "block_at": 0.9, "flag_at": 0.4,
            "thresholds": [{"agent": "scout", "category": "pii", "block_at": 0.95, "flag_at": 0.6}],
            "modes": [
                {"category": "pii", "mode": "monitor"}, {"rule": "pii-iban", "mode": "off"},
            ],
            "exemptions": [
                {"rule": "sql-drop-table", "tool": "db.run", "reason": "migrates at night"},
            ],
        })
    );
    let file = clampd.file("settings.json", set.to_string());
    for remove in [
        &[&scout[..], &["--remove"]].concat()[..],
        &["settings", "mode", "--category", "pii", "--remove"],
        &["settings", "mode", "--rule", "pii-iban", "--remove"],
        &[&exempt[..], &["--remove"]].concat()[..],
    ] {
        clampd.ok(remove);
        let said = clampd.run(remove).refused(1);
        assert!(said.contains("nothing is set for that"), "{said}");
    }
    assert_eq!(
        clampd.json(&["settings", "show"]),
        json!({"block_at": 0.9, "flag_at": 0.4})
    );
    clampd.ok(&["settings", "set", "--file", file.to_str().unwrap()]);
    assert_eq!(clampd.json(&["settings", "show"]), set);
}

#[test]
fn settings_that_name_what_is_not_there_are_refused_with_the_name() {
    let scene = Scene::new();
    let clampd = scene.admin();
    for (arguments, code, word) in [
        (&["mode", "--rule", "no-such", "off"][..], 1, "`no-such`"),
        (&["mode", "--category", "no-such", "off"], 1, "`no-such`"),
        (
            &["threshold", "--tool", "no.such", "--block-at", "0.9"],
            1,
            "`no.such`",
        ),
        (
            &[
                "exempt", "--rule", "pii-iban", "--agent", "no-such", "--reason", "r",
            ],
            1,
            "`no-such`",
        ),
        (
            &["exempt", "--rule", "pii-iban", "--agent", "a"],
            2,
            "--reason",
        ),
        (
            &["exempt", "--rule", "pii-iban", "--reason", "r"],
            2,
            "--agent",
        ),
        (&["mode", "off"], 2, "--rule"),
        (
            &["mode", "--rule", "a", "--category", "b", "off"],
            2,
            "--category",
        ),
        (&["threshold", "--block-at", "0.9"], 2, "--agent"),
        (&["threshold", "--tool", "a"], 2, "--block-at"),
        (&["set"], 2, "--block-at"),
        (&["set", "--block-at", "7"], 2, "`7` is no risk"),
    ] {
        let arguments = [&["settings"], arguments].concat();
        let said = clampd.run(&arguments).refused(code);
        assert!(said.contains(word), "{arguments:?}: {said}");
    }
    let said = scene
        .role("auditor")
        .run(&["settings", "set", "--block-at", "1"]);
    assert!(said.refused(1).contains("forbidden_role"));
}

#[test]
fn rules_of_ones_own_are_pushed_pulled_listed_and_deleted() {
    let scene = Scene::new();
    let clampd = scene.admin();
    let file = clampd.file("house.toml", HOUSE);
    let path = file.to_str().unwrap();
    assert!(clampd.ok(&["rules", "check", path]).contains("1 rules"));
    assert_eq!(
        clampd.ok(&["rules", "push", path]),
        "house: 1 rules are in force\n"
    );
    assert_eq!(clampd.ok(&["rules", "pull", "house"]), HOUSE);
    clampd.ok(&["settings", "mode", "--rule", "own-project-names", "monitor"]);
    let listed = clampd.ok(&["rules", "list", "--custom"]);
    let row = "own-project-names  project-names  high      monitor  house  Name of a project";
    assert!(listed.contains(row), "{listed}");
    assert_eq!(
        clampd.json(&["rules", "list", "--custom", "--category", "pii"])["rules"],
        json!([])
    );

    let said = clampd.run(&["rules", "delete", "house"]).refused(1);
    assert!(
        said.contains("the settings name `own-project-names`"),
        "{said}"
    );
    clampd.ok(&[
        "settings",
        "mode",
        "--rule",
        "own-project-names",
        "--remove",
    ]);
    clampd.ok(&["rules", "delete", "house"]);
    assert!(
        clampd
            .run(&["rules", "pull", "house"])
            .refused(1)
            .contains("rule_file_not_found")
    );

    let bad = HOUSE.replace("own-project-names", "sql-drop-table");
    let bad = clampd.file("bad.toml", bad);
    for verb in ["check", "push"] {
        let said = clampd
            .run(&["rules", verb, bad.to_str().unwrap()])
            .refused(1);
        let wanted = "bad.toml:3: rule `sql-drop-table`: the id is taken by a built-in rule";
        assert!(said.contains(wanted), "{said}");
    }
    let pushed = clampd.run_with(&["rules", "push", "-", "--name", "piped"], HOUSE.as_bytes());
    assert_eq!(pushed.ok(), "piped: 1 rules are in force\n");
    clampd
        .run_with(&["rules", "push", "-"], HOUSE.as_bytes())
        .refused(2);
}
