//! `clampd policy`, `tool`, `key` and `cluster`.

use serde_json::{Value, json};

use crate::scene::Scene;

const NO_WRITES: &str = "// Writes are closed.
@reason(\"not at night\")
forbid (principal, action == Action::\"call\", resource)
when { resource.name like \"database.*\" && context.risk.greaterThan(decimal(\"0.4\")) };
";

#[test]
fn policies_are_pushed_listed_shown_and_deleted() {
    let scene = Scene::new();
    let clampd = scene.admin();
    let file = clampd.file("no-writes.cedar", NO_WRITES);
    let said = clampd.ok(&["policy", "push", file.to_str().unwrap()]);
    assert!(said.contains("no-writes is in force, 1 policies"), "{said}");
    let listed = clampd.ok(&["policy", "list"]);
    assert!(
        listed.contains("base/scope") && listed.contains("not at night"),
        "{listed}"
    );
    assert_eq!(clampd.ok(&["policy", "show", "no-writes"]), NO_WRITES);
    clampd.ok(&["policy", "delete", "no-writes"]);
    let said = clampd.run(&["policy", "delete", "no-writes"]).refused(1);
    assert!(said.contains("policy_not_found"), "{said}");
    let file = clampd.file("broken.cedar", "permit (principal, action);");
    let said = clampd
        .run(&["policy", "push", file.to_str().unwrap()])
        .refused(1);
    assert!(
        said.contains("invalid_policy") && said.contains("line 1"),
        "{said}"
    );
}

#[test]
fn a_file_of_policies_is_checked_and_tried_without_a_control_plane() {
    let scene = Scene::new();
    let clampd = scene
        .admin()
        .with("CLAMPD_DASHBOARD_URL", "http://127.0.0.1:9");
    let good = clampd.file("no-writes.cedar", NO_WRITES);
    let bad = clampd.file("bad.cedar", NO_WRITES.replace("risk", "rsik"));
    let said = clampd.ok(&["policy", "check", good.to_str().unwrap()]);
    assert!(said.contains("1 policies, all well"), "{said}");
    let ran = clampd.run(&[
        "policy",
        "check",
        good.to_str().unwrap(),
        bad.to_str().unwrap(),
    ]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stdout.contains("bad.cedar:4:") && ran.stdout.contains("rsik"),
        "{ran:?}"
    );

    let request = |risk: &str| {
        json!({
            "agent": {"id": "a", "scopes": ["db:*"]},
            "tool": {"name": "database.query", "scope": "db:read", "category": "database"},
            "context": {"risk": risk.parse::<f64>().unwrap()},
        })
        .to_string()
    };
    let test = |risk: &str, expect: &str| {
        let (file, request) = (good.to_str().unwrap(), request(risk));
        let arguments = [
            "policy",
            "test",
            file,
            "--request",
            &request,
            "--expect",
            expect,
        ];
        clampd.run(&arguments)
    };
    let ran = test("0.5", "block");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("block: policy no-writes: not at night"),
        "{ran:?}"
    );
    assert_eq!(test("0.1", "pass").code, 0);
    assert_eq!(test("0.1", "block").code, 1);
    let ran = clampd.run(&["policy", "test", good.to_str().unwrap(), "--request", "{}"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn the_policies_in_force_explain_themselves() {
    let scene = Scene::new();
    let clampd = scene.admin();
    clampd.ok(&["agent", "register", "--id", "scout", "--scope", "db:read"]);
    clampd.ok(&["tool", "put", "database.query", "--scope", "db:read"]);
    let explain = [
        "policy",
        "explain",
        "--agent",
        "scout",
        "--tool",
        "database.query",
    ];
    let said = clampd.ok(&explain);
    assert!(said.contains("pass: permitted by base/scope"), "{said}");
    let file = clampd.file("night.cedar", NO_WRITES.replace("when {", "when { true ||"));
    let with = [&explain[..], &["--draft", file.to_str().unwrap()]].concat();
    let said = clampd.ok(&with);
    assert!(said.contains("decided by night"), "{said}");
    assert!(clampd.ok(&["policy", "template"]).contains("payments-cap"));
    let text = clampd.ok(&["policy", "template", "office-hours"]);
    assert!(text.contains("context.weekday <= 5"), "{text}");
    assert!(
        clampd
            .ok(&["policy", "schema"])
            .contains("entity Tool in [Category]")
    );
    clampd.run(&["policy", "template", "nothing"]).refused(1);
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

#[test]
fn tools_wait_for_approval_and_descriptors_are_approved_by_their_beginning() {
    let scene = Scene::new();
    let clampd = scene.admin();
    clampd.ok(&["tool", "put", "t", "--scope", "s", "--pending"]);
    let listed = clampd.ok(&["tool", "list"]);
    assert!(listed.contains("pending"), "{listed}");
    let said = clampd.ok(&["tool", "approve", "t"]);
    assert!(said.contains("state        approved\n"), "{said}");
    let (one, two) = ("a1".repeat(32), "b2".repeat(32));
    for hash in [&one, &two] {
        clampd.ok(&["tool", "approve", "t", "--descriptor", hash]);
    }
    let said = clampd.ok(&["tool", "reject", "t", "--descriptor", "b2b2"]);
    assert!(said.contains("state        rejected\n"), "{said}");
    for line in [
        format!("descriptor   {one} approved\n"),
        format!("descriptor   {two} rejected\n"),
    ] {
        assert!(said.contains(&line), "{said}");
    }
    assert_eq!(clampd.json(&["tool", "show", "t"])["binding"], one);
    let none = ["tool", "approve", "t", "--descriptor", "c3"];
    assert!(clampd.run(&none).refused(1).contains("no descriptor"));
    let both = ["tool", "approve", "t", "--descriptor", ""];
    assert!(clampd.run(&both).refused(1).contains("several"));
}
