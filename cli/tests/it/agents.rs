//! `clampd agent` and `clampd kill`.

use serde_json::json;

use crate::{clampd::Clampd, scene::Scene};

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
        "sessions",
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
fn boundaries_are_set_one_by_one_and_taken_away() {
    let scene = Scene::new();
    let clampd = scene.admin();
    clampd.ok(&["agent", "register", "--id", "scout"]);
    let boundaries = |verb: &str, flags: &[&str]| {
        let words = [&["agent", "boundaries", verb, "scout"], flags].concat();
        clampd.json(&words)["boundaries"].clone()
    };
    assert_eq!(boundaries("show", &[]), json!({}));
    boundaries("set", &["--calls-per-minute", "60", "--days", "mon,fri"]);
    let set = boundaries("set", &["--hours", "8-18", "--calls-per-minute", "90"]);
    let wanted = json!({ "calls_per_minute": 90, "hours": "8-18", "days": ["mon", "fri"] });
    assert_eq!(set, wanted);
    let said = clampd.ok(&["agent", "boundaries", "show", "sco.."]);
    assert!(said.contains("calls_per_minute      90\n"), "{said}");
    assert!(
        said.contains("domains               the proxies' default\n"),
        "{said}"
    );
    let left = boundaries(
        "set",
        &["--unset", "hours,days", "--records-per-answer", "9"],
    );
    let set = boundaries("set", &["--answer-bytes-per-hour", "5000000000"]);
    let wanted = json!({ "calls_per_minute": 90, "records_per_answer": 9 });
    assert_eq!(left, wanted);
    assert_eq!(set["answer_bytes_per_hour"], 5_000_000_000_u64);
    let left = boundaries("set", &["--unset", "answer-bytes-per-hour"]);
    assert_eq!(left, wanted);
    let set = ["agent", "boundaries", "set", "scout"];
    clampd.run(&set).refused(2);
    clampd
        .run(&[&set[..], &["--hours", "9"]].concat())
        .refused(1);
    assert_eq!(boundaries("show", &[]), left, "a refusal changes nothing");
    assert_eq!(boundaries("clear", &[]), json!({}));
}
