//! `clampd audit verify --file`: an exported trail, believed by its signatures alone.

use serde_json::json;

use crate::{
    clampd::Clampd,
    scene::{Scene, event},
};

/// An export of that many events, and the keys and the statement that were kept of it.
struct Kept {
    export: String,
    clampd: Clampd,
}

impl Kept {
    fn new(scene: &Scene, after: u64) -> Self {
        let clampd = Clampd::new();
        clampd.file("jwks.json", scene.get("/v1/jwks"));
        let export = scene.get(&format!("/v1/audit/export?after={after}"));
        Self { export, clampd }
    }

    /// Checks a file of these lines; the exit code and what was said.
    fn check(&self, lines: &[&str], more: &[&str]) -> (i32, String) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        self.clampd.file("export.jsonl", text);
        let verb = [
            "audit",
            "verify",
            "--file",
            "export.jsonl",
            "--jwks",
            "jwks.json",
        ];
        let ran = self.clampd.run(&[&verb[..], more].concat());
        (ran.code, ran.stdout)
    }
}

fn scene(events: u32) -> Scene {
    let scene = Scene::new();
    let events: Vec<_> = (1..=events)
        .map(|number| event(&number.to_string(), "a", "t", None))
        .collect();
    scene.audit(&events);
    scene
}

#[test]
fn an_export_is_believed_without_asking_anybody() {
    let scene = scene(5);
    let kept = Kept::new(&scene, 0);
    let lines: Vec<&str> = kept.export.lines().collect();
    let said = (0, "✓ 5 events, 1 to 5, each as it was written\n".to_owned());
    assert_eq!(kept.check(&lines, &[]), said);
    let rest = Kept::new(&scene, 3);
    let lines: Vec<&str> = rest.export.lines().collect();
    let (code, said) = rest.check(&lines, &[]);
    assert_eq!(code, 0);
    assert!(said.starts_with("✓ 2 events, 4 to 5"), "{said}");
    assert!(
        said.contains("what was before event 4 is not in the file"),
        "{said}"
    );
}

#[test]
fn every_edit_gap_reorder_and_cut_of_an_export_is_found() {
    let kept = Kept::new(&scene(5), 0);
    let lines: Vec<&str> = kept.export.lines().collect();
    let with = |index: usize, from: &str, to: &str| {
        let edited = lines[index].replace(from, to);
        assert_ne!(edited, lines[index]);
        let mut all: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        all[index] = edited;
        all
    };
    let of = |indexes: &[usize]| -> Vec<String> {
        indexes
            .iter()
            .map(|index| lines[*index].to_owned())
            .collect()
    };
    let another_name = "\"agent_id\":\"a\"";
    for (what, edited, said) in [
        (
            "an edit",
            with(3, another_name, "\"agent_id\":\"b\""),
            "✗ event 3 is missing or altered",
        ),
        (
            "a name twice",
            with(3, another_name, "\"agent_id\":\"b\",\"agent_id\":\"a\""),
            "✗ event 3 is",
        ),
        ("a name more", with(3, "{", "{\"a\":1,"), "✗ event 3 is"),
        (
            "a gap",
            of(&[0, 1, 2, 4, 5, 6]),
            "✗ event 3 is missing or altered",
        ),
        (
            "another order",
            of(&[0, 1, 3, 2, 4, 5, 6]),
            "✗ event 2 is missing or altered",
        ),
        (
            "an event twice",
            of(&[0, 1, 1, 2, 3, 4, 5, 6]),
            "✗ event 2 is missing or altered",
        ),
        (
            "the end",
            of(&[0, 1, 2, 3, 4, 6]),
            "✗ the file ends with event 4, and signed as the last is event 5",
        ),
        (
            "no last line",
            of(&[0, 1, 2, 3, 4, 5]),
            "✗ the file is cut off after event 5",
        ),
        (
            "the beginning",
            of(&[0, 2, 3, 4, 5, 6]),
            "✗ event 1 is missing or altered",
        ),
        (
            "more after the end",
            of(&[0, 1, 2, 3, 4, 5, 6, 6]),
            "✗ there are lines after the last one",
        ),
        (
            "another's name",
            with(0, "org_a", "org_b"),
            "✗ event 1 is missing or altered",
        ),
        (
            "another signature",
            with(6, "\"eyJ", "\"eyK"),
            "✗ the last line is not signed",
        ),
        ("nothing", Vec::new(), "✗ the file is empty"),
    ] {
        let edited: Vec<&str> = edited.iter().map(String::as_str).collect();
        let (code, told) = kept.check(&edited, &[]);
        assert_eq!(code, 1, "{what}: {told}");
        assert!(told.starts_with(said), "{what}: {told}");
    }
}

#[test]
fn a_statement_that_was_kept_finds_a_trail_that_was_rolled_back() {
    let scene = scene(2);
    let early = Kept::new(&scene, 0);
    scene.audit(&[event("3", "a", "t", None)]);
    let late = Kept::new(&scene, 0);
    let statement = |kept: &Kept| {
        let last: serde_json::Value =
            serde_json::from_str(kept.export.lines().last().unwrap()).unwrap();
        last["statement"].as_str().unwrap().to_owned()
    };
    let (first, last) = (statement(&early), statement(&late));
    for kept in [&early, &late] {
        kept.clampd.file("first.jws", &first);
        kept.clampd.file("last.jws", &last);
    }
    let lines: Vec<&str> = late.export.lines().collect();
    let both = ["--statement", "first.jws", "--statement", "last.jws"];
    assert_eq!(late.check(&lines, &both).0, 0);
    // The earlier export is whole by itself; what was kept says that there was more.
    let lines: Vec<&str> = early.export.lines().collect();
    assert_eq!(early.check(&lines, &[]).0, 0);
    let (code, said) = early.check(&lines, &both);
    assert_eq!(code, 1);
    assert!(
        said.starts_with("✗ event 3, of which a statement was kept"),
        "{said}"
    );
}

#[test]
fn an_export_is_not_believed_by_keys_of_another() {
    let kept = Kept::new(&scene(1), 0);
    let lines: Vec<&str> = kept.export.lines().collect();
    kept.clampd.file("jwks.json", Scene::new().get("/v1/jwks"));
    assert_eq!(kept.check(&lines, &[]).0, 1);
    kept.clampd
        .file("jwks.json", json!({ "keys": [] }).to_string());
    assert_eq!(kept.check(&lines, &[]).0, 2);
}
