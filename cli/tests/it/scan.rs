//! `clampd scan --jsonl`.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::clampd::Clampd;

#[test]
fn each_line_is_judged_in_order_and_its_id_comes_back() {
    let ids = [
        json!("a"),
        json!(7),
        json!(null),
        json!({"n": [1.5, "x"]}),
        json!("é\u{0}"),
    ];
    let lines: String = ids
        .iter()
        .enumerate()
        .map(|(at, id)| {
            let text = if at % 2 == 0 {
                "DROP TABLE users"
            } else {
                "good morning"
            };
            format!("{}\n", json!({"id": id, "surface": "input", "text": text}))
        })
        .collect();
    let ran = Clampd::new().run_with(&["scan", "--jsonl"], lines.as_bytes());
    assert_eq!(ran.code, 0, "{ran:?}");
    let got = ran.json_lines();
    assert_eq!(got.len(), ids.len());
    for (at, (verdict, id)) in got.iter().zip(&ids).enumerate() {
        assert_eq!(&verdict["id"], id);
        assert_eq!(verdict["blocked"], json!(at % 2 == 0), "{verdict}");
    }
}

#[test]
fn a_verdict_has_the_rules_their_categories_and_the_risk() {
    let line = json!({"id": 1, "surface": "call", "tool": "database.query", "params": {"sql": "DROP TABLE users"}});
    let ran = Clampd::new().run_with(&["scan", "--jsonl", "-"], line.to_string().as_bytes());
    let [verdict] = <[Value; 1]>::try_from(ran.json_lines()).unwrap();
    assert_eq!(verdict["blocked"], json!(true));
    assert!(verdict["risk_score"].as_f64().unwrap() >= 0.7);
    assert!(!verdict["matched_rules"].as_array().unwrap().is_empty());
    assert_eq!(verdict["labels"], json!(["destructive-sql"]));
    let mut fields: Vec<&String> = verdict.as_object().unwrap().keys().collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        ["blocked", "id", "labels", "matched_rules", "risk_score"]
    );
}

#[test]
fn where_a_text_stands_counts() {
    let honest = "SELECT name FROM users WHERE id = 4 UNION SELECT name FROM clients";
    let lines = [
        json!({"id": "own", "surface": "call", "tool": "database.query", "params": {"sql": honest}}),
        json!({"id": "other", "surface": "call", "tool": "user.lookup", "params": {"name": format!("x' {honest} --")}}),
        json!({"id": "answer", "surface": "output", "text": "Her SSN: 123-45-6789"}),
    ];
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    let ran = Clampd::new().run_with(&["scan", "--jsonl"], lines.join("\n").as_bytes());
    let blocked: Vec<bool> = ran
        .json_lines()
        .iter()
        .map(|verdict| verdict["blocked"].as_bool().unwrap())
        .collect();
    assert_eq!(blocked, [false, true, true]);
}

#[test]
fn a_bad_line_is_told_in_its_place_and_the_exit_code_says_so() {
    let too_deep = format!(
        r#"{{"id":9,"surface":"call","tool":"t","params":{}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let lines: &[(&[u8], Value, &str)] = &[
        (
            br#"{"id":0,"surface":"input","text":"hello"}"#,
            json!(0),
            "",
        ),
        (b"not json", json!(null), "not JSON"),
        (
            br#"{"id":2,"surface":"input"}"#,
            json!(2),
            "`text` is required",
        ),
        (
            br#"{"id":3,"surface":"elsewhere","text":"x"}"#,
            json!(3),
            "call, input or output",
        ),
        (br#"{"id":4,"text":"x"}"#, json!(4), "`surface` is required"),
        (
            br#"{"id":5,"surface":"call"}"#,
            json!(5),
            "`tool` and `params`",
        ),
        (
            br#"{"id":6,"surface":"call","params":{"a":1}}"#,
            json!(6),
            "`tool` is required",
        ),
        (
            br#"{"id":7,"surface":"input","text":7}"#,
            json!(7),
            "strings",
        ),
        (
            br#"{"id":8,"surface":"call","tool":"t","params":{"a":1,"a":2}}"#,
            json!(8),
            "same key twice",
        ),
        (too_deep.as_bytes(), json!(9), "not JSON"),
        (
            b"{\"id\":10,\"surface\":\"input\",\"text\":\"\xff\"}",
            json!(10),
            "not JSON",
        ),
        (
            br#"{"id":11,"surface":"input","text":"a","text":"b"}"#,
            json!(11),
            "twice",
        ),
        (
            br#"{"id":12,"surface":"input","text":"cut o"#,
            json!(null),
            "ends too early",
        ),
        (b"[1,2]", json!(null), "object"),
        (br#"{"surface":"input","text":"no id"}"#, json!(null), ""),
    ];
    let input: Vec<&[u8]> = lines.iter().map(|(line, ..)| *line).collect();
    let ran = Clampd::new().run_with(&["scan", "--jsonl"], &input.join(&b"\n"[..]));
    assert_eq!(ran.code, 1, "{ran:?}");
    let got = ran.json_lines();
    assert_eq!(got.len(), lines.len(), "{}", ran.stdout);
    for (verdict, (line, id, error)) in got.iter().zip(lines) {
        let line = String::from_utf8_lossy(line);
        assert_eq!(&verdict["id"], id, "{line}");
        match verdict["error"].as_str() {
            Some(said) => assert!(!error.is_empty() && said.contains(error), "{line}: {said}"),
            None => assert!(
                error.is_empty() && verdict["blocked"].is_boolean(),
                "{line}"
            ),
        }
    }
}

#[test]
fn an_id_comes_back_as_it_was_spelled() {
    let id = r#"123456789012345678901234567890.000"#;
    let line = format!(r#"{{"id":{id},"surface":"input","text":"hello"}}"#);
    let ran = Clampd::new().run_with(&["scan", "--jsonl"], line.as_bytes());
    assert!(ran.stdout.contains(id), "{}", ran.stdout);
}

#[test]
fn a_file_is_read_and_a_missing_one_is_named() {
    let clampd = Clampd::new();
    let file = clampd.file(
        "rows.jsonl",
        "\r\n{\"id\":1,\"surface\":\"input\",\"text\":\"hi\"}\r\n\n",
    );
    let ran = clampd.run(&["scan".as_ref(), "--jsonl".as_ref(), file.as_os_str()]);
    assert_eq!(ran.json_lines().len(), 1, "{ran:?}");
    let said = clampd.run(&["scan", "--jsonl", "absent.jsonl"]).refused(1);
    assert!(said.contains("`absent.jsonl`"), "{said}");
    clampd.run(&["scan", "rows.jsonl"]).refused(2);
}

#[test]
fn a_line_is_answered_while_the_next_is_awaited() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_clampd"))
        .args(["scan", "--jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for id in 0..3 {
        writeln!(stdin, r#"{{"id":{id},"surface":"input","text":"hello"}}"#).unwrap();
        let mut answer = String::new();
        stdout.read_line(&mut answer).unwrap();
        let verdict: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(verdict["id"], json!(id));
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_line_over_eight_mebibytes_is_an_error_and_the_next_is_judged() {
    let mut input = format!(
        r#"{{"id":1,"surface":"input","text":"{}"}}"#,
        "x".repeat(8 * 1024 * 1024)
    );
    input.push_str("\n{\"id\":2,\"surface\":\"input\",\"text\":\"DROP TABLE users\"}\n");
    let ran = Clampd::new().run_with(&["scan", "--jsonl"], input.as_bytes());
    assert_eq!(ran.code, 1);
    let got = ran.json_lines();
    assert!(got[0]["error"].as_str().unwrap().contains("8388608 bytes"));
    assert_eq!(
        (&got[1]["id"], &got[1]["blocked"]),
        (&json!(2), &json!(true))
    );
}

#[test]
fn other_rules_can_judge() {
    let clampd = Clampd::new();
    clampd.file(
        "own/marmalade.toml",
        r#"
        category = "breakfast"
        [[rule]]
        id = "breakfast-marmalade"
        name = "Marmalade"
        severity = "critical"
        why = "It sticks."
        literals = ["marmalade"]
        applies_to = ["prompt"]
        should_match = ["some marmalade"]
        should_not_match = ["some jam"]
        "#,
    );
    let lines = "{\"id\":1,\"surface\":\"input\",\"text\":\"Marmalade, please\"}\n\
                 {\"id\":2,\"surface\":\"input\",\"text\":\"DROP TABLE users\"}\n";
    let ran = clampd.run_with(&["scan", "--jsonl", "--rules", "own"], lines.as_bytes());
    let got = ran.json_lines();
    assert_eq!(got[0]["matched_rules"], json!(["breakfast-marmalade"]));
    assert_eq!(got[1]["blocked"], json!(false));
    let said = clampd
        .run(&["scan", "--jsonl", "--rules", "nowhere"])
        .refused(1);
    assert!(said.contains("nowhere"), "{said}");
}
