//! `clampd policy`, `tool`, `key` and `cluster`.

use serde_json::{Value, json};

use crate::scene::Scene;

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
    let deleted = clampd.json(&["policy", "delete", "watch"]);
    assert_eq!(deleted, json!({"deleted": "watch"}));
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
