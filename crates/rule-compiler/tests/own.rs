//! Rules of an organisation's own: what is taken, what is refused and where it stands.

#![expect(clippy::unwrap_used, reason = "a panic in a test is a failed promise")]

use clampd_detect::{Detector, Leaf, Place, Rule};
use clampd_model::{RuleRow, RuleRows, Surface, ToolCategory};
use clampd_rule_compiler::{Cost, FILE_BYTES_MAX, RuleSource, compile_own};

const OWN: &str = r#"# What must not leave the house.
category = "project-names"

[[keywords]]
id = "own-project-names"
name = "Name of a project that is not announced"
severity = "high"
why = "Nobody outside may know them."
words = ["Blue Heron", "Bluefin", "青鰭計画", "Проект Белуга"]
should_not_match = ["the bluefinance report", "a heron that is blue"]

[[rule]]
id = "own-ticket-export"
name = "Tickets exported"
severity = "medium"
why = "Tickets hold customers' words."
literals = ["export"]
pattern = '\bexport\s+ticket-\d+'
applies_to = ["params"]
should_match = ["export TICKET-12"]
should_not_match = ["export the ticket"]
"#;

fn compile(text: &str) -> Result<Vec<RuleSource>, Vec<String>> {
    let taken = |id: &str| (id == "sql-drop-table").then(|| "a built-in rule".to_owned());
    compile_own("house.toml", text, &taken)
        .map(|(rules, _)| rules)
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// What the rules find in `text` once they have travelled as rows of JSON.
fn found(rules: &[RuleSource], text: &str) -> Vec<String> {
    let rows = rules.iter().map(|source| (&source.rule).into()).collect();
    let json = serde_json::to_string(&RuleRows(rows)).unwrap();
    let rows: RuleRows = serde_json::from_str(&json).unwrap();
    let rules: Result<Vec<Rule>, _> = rows.0.iter().map(Rule::try_from).collect();
    let place = Place {
        surface: Surface::Params,
        tool: "",
        category: ToolCategory::Other,
    };
    let detector = Detector::new(rules.unwrap()).unwrap();
    detector.scan(&place, [Leaf { name: "", text }]).rule_ids()
}

#[test]
fn a_keyword_is_found_as_a_whole_word_however_it_is_written() {
    let rules = compile(OWN).unwrap();
    for text in [
        "BLUEFIN",
        "when does Bluefin ship?",
        "blue heron",
        "ｂｌｕｅｆｉｎ",
        "blue%66in",
        "Qmx1ZWZpbiBzaGlwcyBpbiBNYXk=",
        "今日は青鰭計画書を読む",
        "Проект Белуга, пожалуйста",
    ] {
        assert_eq!(found(&rules, text), ["own-project-names"], "{text}");
    }
    for text in ["bluefinance", "unbluefin", "blue", "проект белугами"] {
        assert!(found(&rules, text).is_empty(), "{text}");
    }
    assert_eq!(found(&rules, "export ticket-7"), ["own-ticket-export"]);
}

#[test]
fn every_field_of_a_rule_survives_its_journey() {
    let text = OWN.replace(
        "applies_to = [\"params\"]",
        "applies_to = [\"params\"]\nnear = [[\"ticket\"]]\nreach = \"after\"\nwithin = 9\nbefore = 3\n\
         form = \"bare\"\nnot_in = [\"code\"]\nsignal = \"word-end\"",
    );
    for source in compile(&text).unwrap() {
        let row = RuleRow::from(&source.rule);
        let again = Rule::try_from(&row).unwrap();
        assert_eq!(format!("{again:?}"), format!("{:?}", source.rule));
    }
}

#[test]
fn what_is_wrong_is_named_with_its_file_line_rule_and_text() {
    let check = |what: &str, with: &str, place: &str, reason: &str| {
        assert!(OWN.contains(what), "`{what}` is not in the example");
        let errors = compile(&OWN.replace(what, with)).unwrap_err();
        let held = |error: &String| error.starts_with(place) && error.contains(reason);
        assert!(errors.iter().any(held), "wanted `{reason}`, got {errors:?}");
    };
    let (keywords, rule) = (
        "house.toml:4: rule `own-project-names`: ",
        "house.toml:12: rule `own-ticket-export`: ",
    );
    check("words =", "wrds =", "house.toml: ", "line 9, column 1");
    check("[[rule]]", "[[rule", "house.toml: ", "line 12");
    check(
        "bluefinance",
        "bluefin",
        keywords,
        "matches `the bluefin report`",
    );
    check(
        "\"Bluefin\"",
        "\"b\"",
        keywords,
        "`b` is shorter than 3 bytes",
    );
    check(
        "export TICKET-12",
        "import",
        rule,
        "does not match `import` in params",
    );
    check("\\bexport", "(export", rule, "cannot be read");
    check(
        "Tickets hold customers' words.",
        "",
        rule,
        "it must say why",
    );
    check(
        "own-ticket-export",
        "sql-drop-table",
        "house.toml:12: rule `sql-drop-table`: ",
        "the id is taken by a built-in rule",
    );
    check(
        "own-ticket-export",
        "own-project-names",
        "house.toml:",
        "stands twice",
    );
    check(
        "literals = [\"export\"]",
        "literals_from = \"words/x.txt\"",
        rule,
        "there is no word list `words/x.txt`",
    );
    // What is past a limit cannot be switched off by the name of a rule or a category.
    check(
        "own-ticket-export",
        "scan-limit",
        "house.toml:",
        "is the scan's own",
    );
    check(
        "project-names",
        "evasion",
        "house.toml:",
        "is the scan's own",
    );
    assert!(compile("category = \"c\"\n").unwrap_err()[0].contains("1 to 200 rules, not 0"));
}

#[test]
fn rules_that_would_cost_much_are_refused() {
    let check = |what: &str, with: &str, reason: &str| {
        assert!(OWN.contains(what), "`{what}` is not in the example");
        let errors = compile(&OWN.replace(what, with)).unwrap_err();
        assert!(errors.iter().any(|e| e.contains(reason)), "{errors:?}");
    };
    check(
        "\\s+ticket-\\d+",
        "(?:[a-z]{60}){60}",
        "shorten its repetitions",
    );
    let long = "x".repeat(1_025);
    check(
        "\\s+ticket-\\d+",
        &long,
        "bytes of pattern, 1024 are allowed",
    );
    check(
        "applies_to = [\"params\"]",
        "before = 300\napplies_to = [\"params\"]",
        "300 bytes `before`, 256 are allowed",
    );
    check(
        "applies_to = [\"params\"]",
        "within = 300\napplies_to = [\"params\"]",
        "300 bytes `within`, 256 are allowed",
    );
    check(
        "Bluefin",
        &"y".repeat(257),
        "bytes in a word, 256 are allowed",
    );
    let many: Vec<String> = (0..5_001).map(|n| format!("\"word{n}\"")).collect();
    check("\"Bluefin\"", &many.join(","), "words, 5000 are allowed");
    let large = format!("{OWN}#{}", " ".repeat(FILE_BYTES_MAX));
    assert!(compile(&large).unwrap_err()[0].contains("more than 131072 bytes"));
    let twenty = OWN.replace("Bluefin", "Bluefin\", \"zzz");
    let (_, small) = compile_own("a", OWN, &|_| None).unwrap();
    let (_, larger) = compile_own("a", &twenty, &|_| None).unwrap();
    assert_eq!(larger.word_bytes, small.word_bytes + 3);
    assert_eq!((small.rules, small.pattern_bytes > 0), (2, true));
    let both = small.and(larger);
    assert_eq!(both.over(Cost::MAX), None);
    let limit = Cost {
        rules: 3,
        ..Cost::MAX
    };
    assert_eq!(both.over(limit).unwrap(), "4 rules, 3 are allowed");
}
