//! `clampd audit` and `clampd auto-kill`: what was judged, and what follows from it.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::scene::{Scene, event};

#[test]
fn the_audit_trail_answers_sql_in_a_table() {
    let scene = Scene::new();
    scene.audit(&[
        event("1", "demo-exec", "database.query", Some("destructive SQL")),
        event("2", "demo-scout", "database.query", None),
    ]);
    let clampd = scene.role("auditor");
    let sql = "SELECT tool_name, blocked, assessed_risk, denial_reason FROM audit_logs LIMIT 8";
    assert_eq!(
        clampd.ok(&["audit", "query", sql]),
        "┌────────────────┬─────────┬───────────────┬─────────────────┐\n\
         │ tool_name      │ blocked │ assessed_risk │ denial_reason   │\n\
         ├────────────────┼─────────┼───────────────┼─────────────────┤\n\
         │ database.query │ true    │ critical      │ destructive SQL │\n\
         │ database.query │ false   │ low           │                 │\n\
         └────────────────┴─────────┴───────────────┴─────────────────┘\n"
    );
    let answer = clampd.json(&["audit", "query", sql]);
    assert_eq!(
        answer["rows"][0],
        json!(["database.query", true, "critical", "destructive SQL"])
    );
    let said = clampd
        .run(&["audit", "query", "DELETE FROM audit_logs"])
        .refused(1);
    assert!(said.contains("invalid_query"), "{said}");
    assert_eq!(
        clampd.ok(&["audit", "tail", "-n", "1"]),
        "14:01:02 demo-scout       access_scoped  database.query scope=db:read\n"
    );
    let events: Vec<Value> = clampd.run(&["audit", "tail", "--json"]).json_lines();
    assert_eq!(events.len(), 2);
}

#[test]
fn repeated_violations_can_kill_without_an_order() {
    let scene = Scene::new();
    let clampd = scene.admin();
    let nobody = "No agent is killed without an order\n";
    assert_eq!(clampd.ok(&["auto-kill", "show"]), nobody);
    let set = [
        "auto-kill",
        "set",
        "--blocked-calls",
        "2",
        "--within-seconds",
        "60",
        "--cascade",
    ];
    assert_eq!(
        clampd.ok(&set),
        "2 blocked calls within 60 s kill the agent and those it delegated to\n"
    );
    clampd.ok(&["agent", "register", "--id", "bot"]);
    let blocked = |id| event(id, "bot", "shell.exec", Some("dangerous command"));
    scene.audit(&[blocked("1"), blocked("2")]);
    assert_eq!(clampd.json(&["agent", "show", "bot"])["state"], "killed");
    assert!(clampd.ok(&["audit", "tail"]).contains("KILL_SWITCH"));
    assert_eq!(clampd.ok(&["auto-kill", "off"]), nobody);
    assert_eq!(clampd.json(&["auto-kill", "show"]), Value::Null);
}

#[test]
fn an_altered_trail_is_found() {
    let scene = Scene::new();
    scene.audit(&[event("1", "a", "t", None), event("2", "a", "t", None)]);
    let clampd = scene.role("auditor");
    let said = clampd.ok(&["audit", "verify"]);
    assert!(
        said.starts_with("✓ 2 events, each as it was written\n  head "),
        "{said}"
    );
    scene.alter("UPDATE cp_audit_events SET tool_name = 'x' WHERE seq = 2");
    let ran = clampd.run(&["audit", "verify"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (1, "✗ event 2 is missing or altered\n")
    );
}

#[test]
fn a_name_from_elsewhere_cannot_steer_the_terminal() {
    let scene = Scene::new();
    let mut evil = event(
        "1",
        "bot",
        "database.query",
        Some("\u{1b}[2Jgone\r\nforged line"),
    );
    evil.agent_name = "\u{1b}]0;title\u{7}bot\u{202e}".to_owned();
    scene.audit(&[evil]);
    let clampd = scene.admin();
    for command in [
        &["audit", "tail"][..],
        &[
            "audit",
            "query",
            "SELECT agent_name, denial_reason FROM audit_logs",
        ],
    ] {
        let shown = clampd.ok(command);
        assert!(
            !shown.contains(['\u{1b}', '\u{7}', '\r', '\u{202e}']),
            "{shown:?}"
        );
        assert!(
            !shown.lines().any(|line| line.starts_with("forged")),
            "{shown:?}"
        );
    }
}

#[test]
fn the_trail_is_followed_as_it_grows() {
    let scene = Scene::new();
    scene.audit(&[event("1", "bot", "web.search", None)]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_clampd"))
        .args(["audit", "tail", "-n", "1", "-f"])
        .env("CLAMPD_DASHBOARD_URL", &scene.url)
        .env("CLAMPD_API_TOKEN", &scene.keys.admin_key)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("web.search scope=db:read"), "{first}");
    let denied = event("2", "bot", "shell.exec", Some("dangerous command"));
    scene.audit(&[denied]);
    let second = lines.next().unwrap().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(
        second.contains("RULE_DENY      shell.exec dangerous command"),
        "{second}"
    );
}
