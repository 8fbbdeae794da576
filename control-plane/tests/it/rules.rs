//! Rules of an organisation's own.

use serde_json::json;

use crate::{client::Answer, scene::Scene};

const HOUSE: &str = r#"category = "project-names"

[[keywords]]
id = "own-project-names"
name = "Name of a project that is not announced"
severity = "high"
why = "Nobody outside may know them."
words = ["Blue Heron", "Bluefin"]
should_not_match = ["the bluefinance report"]
"#;

fn put(scene: &Scene, name: &str, text: &str) -> Answer {
    scene.admin().put_toml(&format!("/v1/rules/{name}"), text)
}

/// The ids of the rules in the bundle.
fn in_bundle(scene: &Scene) -> Vec<String> {
    let rules = scene.bundle(0, 0).sections.rules.unwrap().entries.0;
    rules.into_iter().map(|rule| rule.id).collect()
}

#[test]
fn a_file_of_rules_is_compiled_kept_and_sent_in_the_bundle() {
    let scene = Scene::new();
    let before = scene.bundle(0, 0);
    assert!(before.sections.rules.unwrap().entries.0.is_empty());
    let kept = put(&scene, "house", HOUSE).expect(201);
    assert_eq!(kept["rules"], json!(["own-project-names"]));
    assert_eq!(
        scene.admin().get("/v1/rules/house").expect(200)["source"],
        HOUSE
    );

    let delta = scene.bundle(before.revision, 0).sections;
    assert!(delta.agents.is_none() && delta.settings.is_none());
    let row = delta.rules.unwrap().entries.0.remove(0);
    assert_eq!(row.literals, ["blue heron", "bluefin"]);
    let carried = serde_json::to_string(&row).unwrap();
    assert!(!carried.contains("Nobody outside") && !carried.contains("bluefinance"));

    let listed = scene.admin().get("/v1/rules").expect(200);
    let rules = listed["rules"].as_array().unwrap();
    let of = |id: &str| rules.iter().find(|rule| rule["id"] == id).unwrap();
    assert_eq!(of("own-project-names")["file"], "house");
    assert_eq!(of("sql-drop-table")["file"], json!(null));
    assert_eq!(of("sql-drop-table")["mode"], "enforce");

    put(
        &scene,
        "house",
        &HOUSE.replace("own-project-names", "own-names"),
    )
    .expect(200);
    assert_eq!(in_bundle(&scene), ["own-names"]);
    assert_eq!(scene.admin().delete("/v1/rules/house").status, 204);
    assert!(in_bundle(&scene).is_empty());
    let gone = scene.admin().delete("/v1/rules/house");
    gone.expect_error(404, "rule_file_not_found");
    let gone = scene.admin().get("/v1/rules/house");
    gone.expect_error(404, "rule_file_not_found");
}

#[test]
fn rules_that_do_not_hold_are_refused_with_file_line_rule_and_text() {
    let scene = Scene::new();
    put(
        &scene,
        "other",
        &HOUSE.replace("own-project-names", "own-other"),
    )
    .expect(201);
    let before = scene.bundle(0, 0).revision;
    for (what, with, reason) in [
        (
            "words =",
            "wrds =",
            "house.toml: TOML parse error at line 8, column 1",
        ),
        (
            "bluefinance",
            "bluefin",
            "house.toml:3: rule `own-project-names`: matches `the bluefin report`",
        ),
        (
            "own-project-names",
            "sql-drop-table",
            "rule `sql-drop-table`: the id is taken by a built-in rule",
        ),
        (
            "own-project-names",
            "own-other",
            "rule `own-other`: the id is taken by the file `other`",
        ),
        ("own-project-names", "Own Names", "must be lower-case words"),
        (
            "severity = \"high\"",
            "severity = \"fatal\"",
            "unknown variant `fatal`",
        ),
    ] {
        assert!(HOUSE.contains(what), "{what}");
        let answer = put(&scene, "house", &HOUSE.replace(what, with));
        let said = answer.body["error"].as_str().unwrap_or_default().to_owned();
        assert!(said.contains(reason), "{said}");
        answer.expect_error(422, "invalid_rules");
    }
    for (name, kind, body, status, code) in [
        (
            "house",
            "application/json",
            HOUSE.as_bytes(),
            415,
            "unsupported_media_type",
        ),
        (
            "house",
            "application/toml",
            b"\xff".as_slice(),
            400,
            "invalid_body",
        ),
        (
            "house",
            "application/toml",
            &[b'#'; 140_000],
            413,
            "payload_too_large",
        ),
        (
            "House",
            "application/toml",
            HOUSE.as_bytes(),
            422,
            "invalid_value",
        ),
        (
            "a%2Fb",
            "application/toml",
            HOUSE.as_bytes(),
            422,
            "invalid_value",
        ),
    ] {
        let answer = scene
            .admin()
            .send("PUT", &format!("/v1/rules/{name}"), Some(kind), body);
        answer.expect_error(status, code);
    }
    assert_eq!(scene.bundle(0, 0).revision, before);
    assert_eq!(in_bundle(&scene), ["own-other"]);
}

#[test]
fn an_organisation_s_files_share_one_limit() {
    let scene = Scene::new();
    let file = |name: &str| {
        let words: Vec<String> = (0..2_000)
            .map(|n| format!("\"{name} word number {n:05}\""))
            .collect();
        HOUSE
            .replace("\"Blue Heron\", \"Bluefin\"", &words.join(","))
            .replace("own-project-names", &format!("own-{name}"))
            .replace("applies", "x")
    };
    put(&scene, "first", &file("first")).expect(201);
    let answer = put(&scene, "second", &file("second"));
    let said = answer.body["error"].as_str().unwrap().to_owned();
    assert!(said.contains("bytes of words, 65536 are allowed"), "{said}");
    answer.expect_error(422, "invalid_rules");
    // Its own place it may take again.
    put(&scene, "first", &file("first")).expect(200);
}

#[test]
fn one_organisation_knows_nothing_of_another_s_rules() {
    let scene = Scene::new();
    let other = scene.client(&scene.other_organisation().admin_key);
    put(&scene, "house", HOUSE).expect(201);
    other
        .get("/v1/rules/house")
        .expect_error(404, "rule_file_not_found");
    other
        .delete("/v1/rules/house")
        .expect_error(404, "rule_file_not_found");
    let settings = json!({"block_at": 0.7, "flag_at": 0.4,
        "modes": [{"rule": "own-project-names", "mode": "off"}]});
    other
        .put("/v1/settings", &settings)
        .expect_error(422, "invalid_value");
    other.put_toml("/v1/rules/house", HOUSE).expect(201);
}
