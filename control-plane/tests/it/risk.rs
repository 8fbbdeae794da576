//! Settings: thresholds, modes and exemptions.

use serde_json::{Value, json};

use crate::scene::Scene;

const HOUSE: &str = r#"category = "project-names"
[[keywords]]
id = "own-project-names"
name = "Project"
severity = "high"
why = "Secret."
words = ["Bluefin"]
"#;

/// A scene with an agent `a`, the tool `database.query` and rules of its own.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.agent("a", &["db:read"]);
    scene.tool();
    scene.admin().put_toml("/v1/rules/house", HOUSE).expect(201);
    scene
}

fn settings(list: &str, entries: Value) -> Value {
    json!({"block_at": 0.7, "flag_at": 0.4, list: entries})
}

#[test]
fn settings_reach_the_bundle_as_they_were_put() {
    let scene = scene();
    for set in [
        json!({ "block_at": 0.9, "flag_at": 0.5 }),
        json!({
            "block_at": 0.9, "flag_at": 0.5,
            "thresholds": [
                {"agent": "a", "tool": "database.query", "category": "pii", "block_at": 0.95},
                {"category": "project-names", "flag_at": 0.1},
            ],
            "modes": [
                {"category": "pii", "mode": "monitor"}, {"rule": "pii-us-ssn", "mode": "enforce"},
                {"rule": "own-project-names", "mode": "off"},
            ],
            "exemptions": [
                {"rule": "sql-drop-table", "agent": "a", "scope": "db:*", "reason": "migrates"},
            ],
        }),
    ] {
        assert_eq!(scene.admin().put("/v1/settings", &set).expect(200), set);
        assert_eq!(scene.admin().get("/v1/settings").expect(200), set);
        let entries = scene.bundle(0, 0).sections.settings.unwrap().entries;
        assert_eq!(serde_json::to_value(entries).unwrap(), set);
    }
    let listed = scene.admin().get("/v1/rules").expect(200);
    let rules = listed["rules"].as_array().unwrap();
    let mode = |id: &str| rules.iter().find(|r| r["id"] == id).unwrap()["mode"].clone();
    assert_eq!(mode("pii-us-ssn"), "enforce");
    assert_eq!(mode("pii-iban"), "monitor");
    assert_eq!(mode("own-project-names"), "off");
}

#[test]
fn what_settings_name_must_be_there() {
    let scene = scene();
    let before = scene.bundle(0, 0).revision;
    let exempt = |name: &str, value: &str, whom: &str, who: &str| json!([{name: value, whom: who, "reason": "r"}]);
    for (list, entries, field, name) in [
        (
            "thresholds",
            json!([{"agent": "b", "block_at": 0.9}]),
            "thresholds[0].agent",
            "b",
        ),
        (
            "thresholds",
            json!([{"tool": "x.y", "block_at": 0.9}]),
            "thresholds[0].tool",
            "x.y",
        ),
        (
            "thresholds",
            json!([{"category": "pii", "block_at": 0.9}, {"category": "piii", "block_at": 0.9}]),
            "thresholds[1].category",
            "piii",
        ),
        (
            "modes",
            json!([{"rule": "no-such", "mode": "off"}]),
            "modes[0].rule",
            "no-such",
        ),
        (
            "modes",
            json!([{"category": "none", "mode": "off"}]),
            "modes[0].category",
            "none",
        ),
        (
            "exemptions",
            exempt("rule", "no-such", "agent", "a"),
            "exemptions[0].rule",
            "no-such",
        ),
        (
            "exemptions",
            exempt("category", "none", "agent", "a"),
            "exemptions[0].category",
            "none",
        ),
        (
            "exemptions",
            exempt("category", "pii", "agent", "A"),
            "exemptions[0].agent",
            "A",
        ),
        (
            "exemptions",
            exempt("category", "pii", "tool", "shell"),
            "exemptions[0].tool",
            "shell",
        ),
    ] {
        let answer = scene.admin().put("/v1/settings", &settings(list, entries));
        let said = answer.body["error"].as_str().unwrap_or_default().to_owned();
        assert!(
            said.contains(&format!("`{field}` names `{name}`")),
            "{said}"
        );
        answer.expect_error(422, "invalid_value");
    }
    assert_eq!(scene.bundle(0, 0).revision, before);
}

#[test]
fn settings_that_say_nothing_or_too_much_are_refused() {
    let scene = scene();
    let before = scene.bundle(0, 0).revision;
    let twice = |entry: Value| json!([entry, entry]);
    let exemption = |more: Value| {
        let mut entry = json!({"reason": "r"});
        entry
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!([entry])
    };
    for (list, entries, word) in [
        (
            "thresholds",
            json!([{"block_at": 0.9}]),
            "must name an agent",
        ),
        ("thresholds", json!([{"agent": "a"}]), "must set"),
        (
            "thresholds",
            json!([{"agent": "a", "block_at": 0.1, "flag_at": 0.2}]),
            "above",
        ),
        (
            "thresholds",
            twice(json!({"agent": "a", "block_at": 0.9})),
            "thresholds[1]",
        ),
        (
            "modes",
            json!([{"mode": "off"}]),
            "either a rule or a category",
        ),
        (
            "modes",
            json!([{"rule": "pii-iban", "category": "pii", "mode": "off"}]),
            "either",
        ),
        (
            "modes",
            twice(json!({"rule": "pii-iban", "mode": "off"})),
            "modes[1]",
        ),
        (
            "exemptions",
            exemption(json!({"agent": "a"})),
            "either a rule or a category",
        ),
        (
            "exemptions",
            exemption(json!({"rule": "pii-iban"})),
            "must name an agent",
        ),
        (
            "exemptions",
            exemption(json!({"rule": "pii-iban", "scope": "*"})),
            "narrower",
        ),
        (
            "exemptions",
            json!([{"rule": "pii-iban", "agent": "a", "reason": ""}]),
            "reason",
        ),
    ] {
        let answer = scene
            .admin()
            .put("/v1/settings", &settings(list, entries.clone()));
        let said = answer.body["error"].as_str().unwrap_or_default().to_owned();
        assert!(said.contains(word), "{entries}: {said}");
        answer.expect_error(422, "invalid_value");
    }
    let many: Vec<Value> = (0..257)
        .map(|n| json!({"rule": format!("r-{n}"), "mode": "off"}))
        .collect();
    let answer = scene
        .admin()
        .put("/v1/settings", &settings("modes", json!(many)));
    answer.expect_error(422, "invalid_value");
    for (list, entries) in [
        ("modes", json!([{"rule": "pii-iban", "mode": "maybe"}])),
        ("modes", json!([{"rul": "x", "mode": "off"}])),
        ("thresholds", json!([{"agent": "a", "block_at": 7}])),
        (
            "exemptions",
            json!([{"rule": "pii-iban", "agent": "a b", "reason": "r"}]),
        ),
    ] {
        let answer = scene.admin().put("/v1/settings", &settings(list, entries));
        answer.expect_error(400, "invalid_body");
    }
    assert_eq!(scene.bundle(0, 0).revision, before);
}

#[test]
fn what_the_settings_name_stays_while_they_name_it() {
    let scene = scene();
    let set = json!({
        "block_at": 0.7, "flag_at": 0.4,
        "modes": [{"rule": "own-project-names", "mode": "monitor"}],
        "exemptions": [{"category": "pii", "tool": "database.query", "reason": "r"}],
    });
    scene.admin().put("/v1/settings", &set).expect(200);
    let admin = scene.admin();
    admin
        .delete("/v1/rules/house")
        .expect_error(409, "named_in_settings");
    let renamed = HOUSE.replace("own-project-names", "own-names");
    let answer = admin.put_toml("/v1/rules/house", &renamed);
    answer.expect_error(409, "named_in_settings");
    admin
        .delete("/v1/tools/database.query")
        .expect_error(409, "named_in_settings");
    admin
        .put_toml("/v1/rules/house", &HOUSE.replace("Secret.", "So."))
        .expect(200);
    admin
        .put("/v1/settings", &settings("modes", json!([])))
        .expect(200);
    assert_eq!(admin.delete("/v1/rules/house").status, 204);
    assert_eq!(admin.delete("/v1/tools/database.query").status, 204);
}

#[test]
fn of_two_who_change_the_settings_at_once_the_second_is_told() {
    let scene = scene();
    let admin = scene.admin();
    let read = admin.get("/v1/settings");
    let tag = read.header("etag").unwrap().to_owned();
    let (mine, yours) = (
        json!({"block_at": 0.8, "flag_at": 0.4}),
        json!({"block_at": 0.6, "flag_at": 0.4}),
    );
    let answer = admin.put_if("/v1/settings", &tag, &mine);
    let newer = answer.header("etag").unwrap().to_owned();
    answer.expect(200);
    admin
        .put_if("/v1/settings", &tag, &yours)
        .expect_error(412, "settings_changed");
    assert_eq!(admin.get("/v1/settings").expect(200), mine);
    // Something else changes, and the settings are still the same.
    scene.agent("c", &[]);
    admin.put_if("/v1/settings", &newer, &yours).expect(200);
    admin
        .put_if("/v1/settings", "\"x\"", &yours)
        .expect_error(422, "invalid_value");
}
