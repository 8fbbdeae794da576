//! What the compiler takes and what it refuses, each refusal naming the file, the rule and the text.

#![expect(clippy::unwrap_used, reason = "a panic in a test is a failed promise")]

use std::{fs, path::Path};

use clampd_rule_compiler::{Table, compile_dir, emit};

const GOOD: &str = r#"
category = "destructive-sql"

[[rule]]
id = "sql-drop"
name = "Table dropped"
severity = "critical"
why = "It cannot be undone."
literals = ["drop"]
pattern = '\bdrop\s+table\s+\w+'
applies_to = ["params"]
references = ["CWE-89"]
should_match = ["DROP TABLE users", "dRoP\ttable a"]
should_not_match = ["drop me a line at the table"]
known_misses = ["dr op table users"]
"#;

fn compile(files: &[(&str, &str)]) -> Result<Table, Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    compile_dir(dir.path())
        .map(|rules| emit(&rules))
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// Compiles [`GOOD`] with one text replaced and wants a refusal that holds `reason`.
fn refuses(what: &str, with: &str, reason: &str) {
    assert!(GOOD.contains(what), "`{what}` is not in the example");
    let errors = compile(&[("sql.toml", &GOOD.replace(what, with))]).unwrap_err();
    assert!(
        errors
            .iter()
            .any(|error| error.starts_with("sql.toml:") && error.contains(reason)),
        "wanted `{reason}`, got {errors:?}"
    );
}

#[test]
fn a_sound_rule_becomes_a_row_without_its_prose() {
    let table = compile(&[("sql.toml", GOOD)]).unwrap();
    assert!(table.texts.contains("sql-drop") && table.rows.contains("Severity::Critical"));
    for prose in [
        "cannot be undone",
        "DROP TABLE users",
        "CWE-89",
        "line at the table",
    ] {
        assert!(!table.rows.contains(prose), "{prose}");
        assert!(!table.texts.contains(prose), "{prose}");
    }
}

#[test]
fn rules_are_sorted_by_id() {
    let other = GOOD.replace("sql-drop", "a-drop");
    let table = compile(&[("b.toml", GOOD), ("z.toml", &other)]).unwrap();
    assert!(table.texts.find("a-drop") < table.texts.find("sql-drop"));
}

#[test]
fn what_is_wrong_with_a_rule_is_said() {
    refuses(
        "Table dropped",
        "Table\\u001edropped",
        "ends texts and cannot be in one",
    );
    refuses("why =", "wy =", "unknown field `wy`");
    refuses(
        "severity = \"critical\"",
        "severity = \"fatal\"",
        "unknown variant `fatal`",
    );
    refuses(
        "id = \"sql-drop\"",
        "id = \"SQL drop\"",
        "rule `SQL drop`: `SQL drop` must be",
    );
    refuses(
        "id = \"sql-drop\"",
        "id = \"scan-limit\"",
        "`scan-limit` is the scan's own",
    );
    refuses(
        "why = \"It cannot be undone.\"",
        "why = \" \"",
        "rule `sql-drop`: it must say why",
    );
    refuses(
        "should_not_match = [\"drop me a line at the table\"]",
        "",
        "an example of each kind",
    );
    refuses(
        "literals = [\"drop\"]",
        "literals = [\"Drop\"]",
        "`Drop` is not folded, `drop` is wanted",
    );
    refuses(
        "literals = [\"drop\"]",
        "literals = [\"dr\"]",
        "`dr` is shorter than 3 bytes",
    );
    refuses(
        "\\bdrop\\s+table\\s+\\w+",
        "drop(",
        "`drop(` cannot be read",
    );
    refuses(
        "\\bdrop\\s+table\\s+\\w+",
        "(?:drop)?",
        "matches the empty text",
    );
    refuses(
        "DROP TABLE users",
        "DELETE users",
        "does not match `DELETE users` in params",
    );
    refuses(
        "drop me a line at the table",
        "drop table x",
        "matches `drop table x` in params",
    );
    refuses(
        "dr op table users",
        "drop table users",
        "which is listed as a known miss",
    );
    refuses(
        "applies_to = [\"params\"]",
        "applies_to = []",
        "`applies_to` must name a surface",
    );
    refuses(
        "references",
        "signal = \"no-such\"\nreferences",
        "no recogniser gives the signal `no-such`",
    );
    refuses(
        "literals = [\"drop\"]",
        "literals_from = \"../x.txt\"",
        "must be a path below",
    );
    refuses(
        "literals = [\"drop\"]",
        "literals_from = \"words/none.txt\"",
        "word list `words/none.txt`",
    );
}

#[test]
fn an_id_stands_once_in_all_files() {
    let errors = compile(&[("a.toml", GOOD), ("b.toml", GOOD)]).unwrap_err();
    assert!(
        errors
            .iter()
            .any(|error| error.contains("the id stands twice")),
        "{errors:?}"
    );
}

#[test]
fn a_counter_example_must_not_trip_another_rule() {
    let other = GOOD
        .replace("sql-drop", "line-drop")
        .replace("\\bdrop\\s+table\\s+\\w+", "\\bdrop me a line")
        .replace(
            "[\"DROP TABLE users\", \"dRoP\\ttable a\"]",
            "[\"drop me a line\"]",
        )
        .replace("drop me a line at the table\"]\nknown", "drop it\"]\nknown");
    let errors = compile(&[("a.toml", GOOD), ("b.toml", &other)]).unwrap_err();
    assert!(
        errors
            .iter()
            .any(|e| e.contains("rule `line-drop` matches its counter-example")),
        "{errors:?}"
    );
}

#[test]
fn word_lists_stand_beside_the_rules_with_their_language() {
    let listed = GOOD.replace(
        "literals = [\"drop\"]",
        "literals_from = \"words/verbs.txt\"",
    );
    assert!(
        compile(&[
            ("sql.toml", &listed),
            ("words/verbs.txt", "# verbs\nen\tDrop\n")
        ])
        .is_ok()
    );
    let errors = compile(&[("sql.toml", &listed), ("words/verbs.txt", "en drop\n")]).unwrap_err();
    assert!(
        errors
            .iter()
            .any(|e| e.contains("line 1: a language, a tab and a word")),
        "{errors:?}"
    );
}

#[test]
fn examples_may_be_calls_of_a_tool() {
    let called = GOOD.replace(
        "[\"drop me a line at the table\"]",
        "[{ tool = \"chat.send\", param = \"text\", text = \"drop it\" }]",
    );
    assert!(compile(&[("sql.toml", &called)]).is_ok());
}

#[test]
fn the_rules_of_this_repository_are_taken() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    if let Err(errors) = compile_dir(&rules) {
        panic!("{errors:?}");
    }
}
