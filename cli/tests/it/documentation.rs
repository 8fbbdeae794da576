//! What `docs/risk.md` says is so: its examples run as they stand.

use std::process::Command;

use clampd_model::{RiskScore, Settings, Severity};

use crate::scene::Scene;

const TEXT: &str = include_str!("../../../docs/risk.md");

/// The blocks of code in that language.
fn blocks(language: &str) -> impl Iterator<Item = &str> {
    let fence = format!("```{language}\n");
    let blocks: Vec<&str> = TEXT.split(fence.as_str()).skip(1).collect();
    blocks
        .into_iter()
        .map(|block| block.split("```").next().unwrap())
}

#[test]
fn the_examples_about_risk_run_as_they_stand() {
    let scene = Scene::new();
    let clampd = scene.admin();
    clampd.ok(&[
        "agent", "register", "--id", "migrator", "--name", "migrator",
    ]);
    clampd.ok(&["tool", "put", "database.execute", "--scope", "db:write"]);
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_clampd"));
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let mut printed = String::new();
    for script in blocks("sh") {
        let run = Command::new("sh")
            .args(["-euc", script])
            .env_clear()
            .env("PATH", &path)
            .env("HOME", clampd.path(""))
            .env("CLAMPD_DASHBOARD_URL", &scene.url)
            .env("CLAMPD_API_TOKEN", &scene.keys.admin_key)
            .current_dir(clampd.path(""))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{script}\n{said}");
        printed.push_str(&String::from_utf8_lossy(&run.stdout));
    }
    for part in [
        "house: 2 rules are in force",
        "│ migrator │ database.execute │",
        "internal:*",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    let settings = blocks("json").next().unwrap();
    let file = clampd.file("settings.json", settings);
    let put = clampd.json(&["settings", "set", "--file", file.to_str().unwrap()]);
    let wanted: Settings = serde_json::from_str(settings).unwrap();
    assert_eq!(serde_json::from_value::<Settings>(put).unwrap(), wanted);
}

#[test]
fn the_scores_and_their_words_are_those_of_the_engine() {
    for severity in [
        Severity::Low,
        Severity::Medium,
        Severity::High,
        Severity::Critical,
    ] {
        let row = format!("| {} | {} |", severity.as_str(), severity.score().value());
        assert!(TEXT.contains(&row), "{row}");
    }
    for (score, from) in [
        (0.399, "below 0.4"),
        (0.4, "from 0.4"),
        (0.7, "from 0.7"),
        (0.9, "from 0.9"),
    ] {
        let row = format!("| {from} | {} |", RiskScore::new(score).level().as_str());
        assert!(TEXT.contains(&row), "{row}");
    }
}
