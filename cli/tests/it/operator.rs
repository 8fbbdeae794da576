//! The operator's verbs, against a real control plane.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    clampd::Clampd,
    scene::{Scene, event},
};

#[test]
fn agents_are_registered_listed_and_shown() {
    let scene = Scene::new();
    let clampd = scene.admin();
    let made = clampd.json(&[
        "agent",
        "register",
        "--id",
        "demo-scout",
        "--framework",
        "langchain",
        "--scope",
        "db:read,file:read",
    ]);
    assert!(made["secret"].as_str().unwrap().starts_with("ags_"));
    let said = clampd.ok(&[
        "agent",
        "register",
        "--name",
        "demo-exec",
        "--framework",
        "openai",
    ]);
    assert!(said.contains("Secret: ags_"), "{said}");
    let listed = clampd.ok(&["agent", "list"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert!(
        lines[0].starts_with("┌─") && lines[0].ends_with("─┐"),
        "{listed}"
    );
    assert!(lines[1].starts_with("│ ID "), "{listed}");
    let cells: Vec<&str> = lines[1].split('│').map(str::trim).collect();
    assert_eq!(cells, ["", "ID", "Name", "State", "Risk", "Framework", ""]);
    assert!(
        lines[2].starts_with("├─") && lines[5].starts_with("└─"),
        "{listed}"
    );
    let scout = lines
        .iter()
        .find(|line| line.contains("demo-scout"))
        .unwrap();
    let cells: Vec<&str> = scout.split('│').map(str::trim).collect();
    assert_eq!(
        cells,
        [
            "",
            "demo-scout",
            "demo-scout",
            "active",
            "low",
            "langchain",
            ""
        ]
    );
    let exec = lines
        .iter()
        .find(|line| line.contains("demo-exec"))
        .unwrap();
    let short = exec.split('│').nth(1).unwrap().trim();
    assert!(short.len() == 8 && short.ends_with(".."), "{short}");
    let shown = clampd.ok(&["agent", "show", short]);
    assert!(
        shown.contains("demo-exec") && !shown.contains("ags_"),
        "{shown}"
    );
    assert!(
        clampd
            .ok(&["agent", "list", "--wide"])
            .contains(shown_field(&shown, "id"))
    );
}

fn shown_field<'a>(shown: &'a str, field: &str) -> &'a str {
    let line = shown
        .lines()
        .find(|line| line.split_whitespace().next() == Some(field));
    line.unwrap().split_whitespace().nth(1).unwrap()
}

#[test]
fn a_kill_tells_of_every_layer_and_reaches_delegates() {
    let scene = Scene::new();
    let clampd = scene.admin();
    clampd.ok(&["agent", "register", "--id", "attacker-bot"]);
    clampd.ok(&[
        "agent",
        "register",
        "--id",
        "helper-bot",
        "--delegated-by",
        "attacker-bot",
    ]);
    let said = clampd.ok(&[
        "kill",
        "attacker-b..",
        "--reason",
        "Breach pattern detected",
        "--cascade",
    ]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "Kill cascade initiated for agent attacker-bot");
    for layer in [
        "registry_state",
        "deny_list",
        "audit",
        "tokens",
        "bundle_push",
    ] {
        let line = lines.iter().find(|line| line.contains(layer));
        assert!(
            line.is_some_and(|line| line.starts_with("  ✓ ") && line.ends_with(" ms")),
            "{said}"
        );
    }
    assert!(
        lines.contains(&"✓ Agent terminated across all layers"),
        "{said}"
    );
    assert!(lines.contains(&"✓ Agent state → killed"), "{said}");
    assert!(lines.contains(&"✓ Delegate helper-bot → killed"), "{said}");
    let agents = clampd.json(&["agent", "list"]);
    let states = agents["agents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|agent| &agent["state"]);
    assert!(
        states.into_iter().all(|state| state == "killed"),
        "{agents}"
    );
    let trail = clampd.ok(&["audit", "tail"]);
    assert!(
        trail.contains("KILL_SWITCH") && trail.contains("Breach pattern detected"),
        "{trail}"
    );
    let said = clampd.ok(&["agent", "revive", "attacker-bot"]);
    assert!(said.contains("✓ Agent state → active"), "{said}");
    let killed = clampd.json(&["kill", "attacker-bot"]);
    assert_eq!(
        (&killed["id"], &killed["state"]),
        (&json!("attacker-bot"), &json!("killed"))
    );
}

#[test]
fn an_agent_is_suspended_and_gets_a_new_secret() {
    let scene = Scene::new();
    let clampd = scene.admin();
    clampd.ok(&["agent", "register", "--id", "a"]);
    let said = clampd.ok(&["agent", "suspend", "a", "--reason", "maintenance"]);
    assert!(said.contains("✓ Agent state → suspended"), "{said}");
    let made = clampd.ok(&["agent", "rotate", "a"]);
    assert!(made.contains("Secret: ags_"), "{made}");
    let own = clampd.file("secret", "a-secret-of-our-own-and-long-enough\n");
    let own = own.to_str().unwrap();
    let rotated = clampd.json(&["agent", "rotate", "a", "--secret-file", own]);
    assert_eq!(rotated["secret"], "a-secret-of-our-own-and-long-enough");
}

#[test]
fn who_is_not_there_or_may_not_is_told() {
    let scene = Scene::new();
    let clampd = scene.admin();
    clampd.ok(&["agent", "register", "--id", "bot-1"]);
    clampd.ok(&["agent", "register", "--id", "bot-2"]);
    let said = clampd.run(&["kill", "nobody"]).refused(1);
    assert!(said.contains("no agent `nobody`"), "{said}");
    let said = clampd.run(&["kill", "bot"]).refused(1);
    assert!(said.contains("bot-1, bot-2"), "{said}");
    assert!(clampd.run(&["kill"]).refused(2).contains("<ID>"));
    let auditor = scene.role("auditor");
    let said = auditor.run(&["kill", "bot-1"]).refused(1);
    assert!(
        said.contains("403 forbidden_role") && said.contains("operator"),
        "{said}"
    );
    assert!(auditor.ok(&["agent", "list"]).contains("bot-1"));
    let said = scene
        .clampd("ag_live_wrong")
        .run(&["agent", "list"])
        .refused(1);
    assert!(
        said.contains("401 invalid_api_key") && said.contains("CLAMPD_API_TOKEN"),
        "{said}"
    );
    let said = Clampd::new().run(&["agent", "list"]).refused(1);
    assert!(said.contains("`local` has no `api_token`"), "{said}");
    let nobody = Clampd::new()
        .with("CLAMPD_API_TOKEN", "ag_live_x")
        .with("CLAMPD_DASHBOARD_URL", "http://127.0.0.1:9");
    let said = nobody.run(&["agent", "list"]).refused(1);
    assert!(
        said.contains("no answer from the control plane at http://127.0.0.1:9"),
        "{said}"
    );
}

#[test]
fn policies_are_put_listed_and_deleted() {
    let scene = Scene::new();
    let clampd = scene.admin();
    let put = [
        "policy",
        "put",
        "no-writes",
        "--effect",
        "forbid",
        "--reason",
        "not at night",
        "--tool",
        "database.*,file.write",
        "--risk-at-least",
        "0.4",
    ];
    let policy = clampd.json(&put);
    assert_eq!(
        policy["when"],
        json!([{"tool_in": ["database.*", "file.write"]}, {"risk_at_least": 0.4}])
    );
    let body = json!({"effect": "flag", "reason": "watched", "when": []});
    let file = clampd.file("policy.json", body.to_string());
    clampd.ok(&["policy", "put", "watch", "--file", file.to_str().unwrap()]);
    let listed = clampd.ok(&["policy", "list"]);
    assert!(
        listed.contains("tool in database.*,file.write and risk at least 0.4"),
        "{listed}"
    );
    assert!(listed.contains("always"), "{listed}");
    clampd.ok(&["policy", "delete", "no-writes"]);
    let left = clampd.json(&["policy", "list"]);
    assert_eq!(left["policies"].as_array().unwrap().len(), 1);
    let said = clampd.run(&["policy", "delete", "no-writes"]).refused(1);
    assert!(said.contains("policy_not_found"), "{said}");
    clampd
        .run(&["policy", "put", "x", "--effect", "maybe", "--reason", "r"])
        .refused(2);
    clampd.run(&["policy", "put", "x"]).refused(2);
    let file = clampd.file("broken.json", "{");
    clampd
        .run(&["policy", "put", "x", "--file", file.to_str().unwrap()])
        .refused(2);
}

#[test]
fn tools_are_put_listed_and_deleted() {
    let scene = Scene::new();
    let clampd = scene.admin();
    let said = clampd.ok(&[
        "tool",
        "put",
        "mcp/files.read",
        "--scope",
        "file:read",
        "--category",
        "file",
        "--upstream",
        "http://127.0.0.1:9001/read",
    ]);
    assert!(
        said.contains("mcp/files.read") && said.contains("Binding: "),
        "{said}"
    );
    let listed = clampd.ok(&["tool", "list"]);
    assert!(listed.contains("http://127.0.0.1:9001/read"), "{listed}");
    let said = clampd
        .run(&["tool", "put", "x", "--scope", "s", "--category", "boat"])
        .refused(2);
    assert!(said.contains("database, shell"), "{said}");
    clampd.ok(&["tool", "delete", "mcp/files.read"]);
    assert_eq!(clampd.json(&["tool", "list"])["tools"], json!([]));
}

#[test]
fn keys_are_made_shown_once_and_forgotten() {
    let scene = Scene::new();
    let clampd = scene.admin();
    let made = clampd.json(&[
        "key",
        "create",
        "--role",
        "tool",
        "--name",
        "sql",
        "--audience",
        "http://t",
    ]);
    let key = made["key"].as_str().unwrap();
    let listed = clampd.ok(&["key", "list"]);
    assert!(
        listed.contains("sql") && listed.contains("http://t") && !listed.contains(key),
        "{listed}"
    );
    clampd.ok(&["key", "delete", made["id"].as_str().unwrap()]);
    let operator = scene.role("operator");
    assert!(
        operator
            .run(&["key", "list"])
            .refused(1)
            .contains("forbidden_role")
    );
}

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

#[test]
fn a_cluster_with_a_service_down_is_not_well() {
    let scene = Scene::new();
    let clampd = scene
        .admin()
        .with("CLAMPD_GATEWAY_URL", "http://127.0.0.1:9");
    let ran = clampd.run(&["cluster", "status"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let row = |name: &str| {
        ran.stdout
            .lines()
            .find(|line| line.contains(name))
            .unwrap()
            .to_owned()
    };
    assert!(row("│ gateway  ").contains("[DOWN]"), "{}", ran.stdout);
    for name in ["control plane", "database", "control metrics"] {
        assert!(row(name).contains("[OK]"), "{}", ran.stdout);
    }
    assert!(row("database").contains("ready"), "{}", ran.stdout);
    let ran = clampd.run(&["cluster", "status", "--json"]);
    let services: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(services["services"][0]["ok"], false);
}
