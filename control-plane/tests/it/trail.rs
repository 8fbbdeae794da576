//! The trail as evidence: exported, followed, cut by age, and never broken.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
};

use axum::body::Bytes;
use clampd_model::AuditEvent;
use clampd_token::{AuditStatementKind, AuditWalk, VerifyingKey, verify_audit_statement};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use serde_json::{Value, json};

use crate::{
    audit::{blocked, event},
    client::Answer,
    scene::Scene,
};

fn hand_in(scene: &Scene, ids: std::ops::Range<u32>) {
    let events: Vec<_> = ids.map(|id| event(&id.to_string())).collect();
    let batch = json!({ "events": events });
    scene.proxy().post("/v1/audit/events", &batch).expect(200);
}

fn key(scene: &Scene) -> VerifyingKey {
    let jwks = scene.admin().get("/v1/jwks").expect(200);
    let keys = jwks["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["kid"] == "clampd-audit-1");
    VerifyingKey::parse(key.unwrap()["x"].as_str().unwrap()).unwrap()
}

#[test]
fn an_export_holds_every_event_and_what_proves_it() {
    let scene = Scene::new();
    hand_in(&scene, 0..450);
    let export = scene.role("auditor").get("/v1/audit/export");
    assert_eq!(export.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> = export
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 452);
    assert_eq!(
        (&lines[0]["org_id"], &lines[0]["after"]),
        (&json!("org_a"), &json!(0))
    );
    let mut walk = AuditWalk::default();
    for row in &lines[1..451] {
        let columns = clampd_token::AUDIT_CHAIN_COLUMNS.map(|column| row[column].clone());
        walk.step(columns.to_vec(), row["chain_hash"].as_str().unwrap())
            .unwrap();
    }
    let statement = lines[451]["statement"].as_str().unwrap();
    let statement = verify_audit_statement(statement, &key(&scene)).unwrap();
    assert_eq!(statement.audit, AuditStatementKind::Head);
    assert!(walk.stands_at(&statement) && walk.seq == 450);
    let rest = scene.admin().get("/v1/audit/export?after=448").text;
    assert_eq!(rest.lines().count(), 4);
    for path in ["?after=451", "?format=xml", "?after=-1", "?x=1"] {
        let path = format!("/v1/audit/export{path}");
        scene.admin().get(&path).expect_error(422, "invalid_value");
    }
}

#[test]
fn an_export_is_a_table_for_spreadsheets_too() {
    let scene = Scene::new();
    let mut told = blocked("1");
    told.tool_name = "=cmd|' /C calc'!A0".to_owned();
    let batch = json!({ "events": [told] });
    scene.proxy().post("/v1/audit/events", &batch).expect(200);
    let text = scene.admin().get("/v1/audit/export?format=csv").text;
    let mut lines = text.split("\r\n");
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("seq,event_id,request_id,")
    );
    let row = lines.next().unwrap();
    assert!(
        row.starts_with("1,1,request-1,,org_a,a,,,'=cmd|' /C calc'!A0,proxy,"),
        "{row}"
    );
    assert!(row.contains(",destructive SQL,"), "{row}");
    assert_eq!(lines.next(), Some(""));
}

#[test]
fn an_export_is_a_parquet_file_for_warehouses_too() {
    let scene = Scene::new();
    // More text than one row group takes.
    let events = (1..=150).map(|id| AuditEvent {
        policy_reason: format!("{id} {}", "x".repeat(60_000)),
        ..if id == 2 {
            blocked("2")
        } else {
            event(&id.to_string())
        }
    });
    let events: Vec<AuditEvent> = events.collect();
    for batch in events.chunks(10) {
        let batch = json!({ "events": batch });
        scene.proxy().post("/v1/audit/events", &batch).expect(200);
    }
    let auditor = scene.role("auditor");
    let export = auditor.get("/v1/audit/export?format=parquet");
    let kind = "application/vnd.apache.parquet";
    assert_eq!(export.header("content-type"), Some(kind));
    let file = SerializedFileReader::new(bytes(export)).unwrap();
    let metadata = file.metadata();
    assert_eq!(metadata.num_row_groups(), 2);
    let known: HashMap<&str, &str> = (metadata.file_metadata().key_value_metadata())
        .unwrap()
        .iter()
        .map(|known| (known.key.as_str(), known.value.as_deref().unwrap()))
        .collect();
    assert_eq!(
        [known["clampd.org_id"], known["clampd.after"]],
        ["org_a", "0"]
    );
    let statement = verify_audit_statement(known["clampd.statement"], &key(&scene)).unwrap();
    assert_eq!(statement.seq, 150);

    let rows = file.get_row_iter(None).unwrap();
    let rows: Vec<Value> = rows.map(|row| row.unwrap().to_json_value()).collect();
    assert_eq!(rows.len(), 150);
    let sql = "SELECT seq, agent_id, session_id, labels, blocked, chain_hash
        FROM audit_logs WHERE seq IN (1, 2, 150) ORDER BY seq";
    let answer = auditor
        .post("/v1/audit/query", &json!({ "sql": sql }))
        .expect(200);
    for (asked, seq) in answer["rows"].as_array().unwrap().iter().zip([1, 2, 150]) {
        let row = &rows[seq - 1];
        let columns = answer["columns"].as_array().unwrap().iter();
        let exported: Vec<&Value> = columns.map(|name| &row[name.as_str().unwrap()]).collect();
        assert_eq!(json!(exported), *asked);
        let reason = row["policy_reason"].as_str().unwrap();
        assert!(reason.starts_with(&format!("{seq} x")) && reason.len() > 60_000);
        assert_eq!(row["timestamp"], "2023-11-14 22:13:20.000000 +00:00");
    }

    assert_eq!(rows[1]["risk_score"], 0.95);
    let none = auditor.get("/v1/audit/export?format=parquet&after=150");
    let none = SerializedFileReader::new(bytes(none)).unwrap();
    assert_eq!(none.get_row_iter(None).unwrap().count(), 0);
}

fn bytes(answer: Answer) -> Bytes {
    assert_eq!(answer.status, 200);
    Bytes::from(answer.bytes)
}

#[test]
fn a_stream_tells_each_event_once_and_goes_on_where_it_was_left() {
    let scene = Scene::new();
    hand_in(&scene, 0..3);
    let mut stream = Stream::open(&scene, "after=1");
    assert_eq!([stream.next(), stream.next()], [2, 3]);
    // What is handed in while the stream waits.
    hand_in(&scene, 3..5);
    assert_eq!([stream.next(), stream.next()], [4, 5]);
    drop(stream);
    hand_in(&scene, 5..6);
    let mut stream = Stream::open(&scene, "after=5");
    assert_eq!(stream.next(), 6);
}

/// A stream as a client reads it.
struct Stream(std::io::Lines<BufReader<TcpStream>>);

impl Stream {
    fn open(scene: &Scene, query: &str) -> Self {
        let host = scene.url.strip_prefix("http://").unwrap();
        let mut connection = TcpStream::connect(host).unwrap();
        write!(
            connection,
            "GET /v1/audit/stream?{query} HTTP/1.1\r\nHost: {host}\r\n\
             Authorization: Bearer {}\r\n\r\n",
            scene.keys.admin_key
        )
        .unwrap();
        Self(BufReader::new(connection).lines())
    }

    /// The number of the next event, which its data repeats.
    fn next(&mut self) -> u64 {
        let mut id = None;
        loop {
            let line = self.0.next().unwrap().unwrap();
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.parse().ok();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let row: Value = serde_json::from_str(data).unwrap();
                assert_eq!(row["seq"].as_u64(), id);
                return id.unwrap();
            }
        }
    }
}

#[test]
fn how_long_events_are_kept_is_an_admins_to_say_and_is_noted() {
    let scene = Scene::new();
    let put = |days: Value| {
        scene
            .admin()
            .put("/v1/audit/retention", &json!({ "days": days }))
    };
    put(json!(0)).expect_error(422, "invalid_value");
    put(json!(30)).expect(200);
    let shown = scene.role("auditor").get("/v1/audit/retention").expect(200);
    assert_eq!(shown, json!({ "days": 30 }));
    put(json!(null)).expect(200);
    let sql = json!({ "sql": "SELECT tool_action, policy_reason FROM audit_logs ORDER BY seq" });
    let noted = scene.admin().post("/v1/audit/query", &sql).expect(200);
    assert_eq!(noted["rows"][0][0], "set_audit_retention");
    let reasons: Vec<&str> = [0, 1]
        .map(|row| noted["rows"][row][1].as_str().unwrap())
        .to_vec();
    assert!(reasons[0].starts_with("events are kept 30 days, by key "));
    assert!(reasons[1].starts_with("events are kept for ever, by key "));
}

#[test]
fn a_trail_that_was_edited_is_never_signed_again() {
    let scene = Scene::new();
    hand_in(&scene, 0..3);
    // As someone does who knows the chain but has not the key: the last event goes, and with it all
    // that tells of it.
    scene.alter(
        "UPDATE cp_organisations SET audit_seq = 2, audit_head =
             (SELECT chain_hash FROM cp_audit_events WHERE org_id = 'org_a' AND seq = 2)
         WHERE id = 'org_a'",
    );
    scene.alter("DELETE FROM cp_audit_events WHERE org_id = 'org_a' AND seq = 3");
    let check = scene.admin().get("/v1/audit/verify").expect(200);
    assert_eq!(
        (&check["valid"], &check["signed"]),
        (&json!(false), &json!(false))
    );
    hand_in(&scene, 3..5);
    let check = scene.admin().get("/v1/audit/verify").expect(200);
    assert_eq!(
        (&check["valid"], &check["signed"], &check["events"]),
        (&json!(false), &json!(false), &json!(4)),
        "what comes after is kept, and does not vouch for what was before"
    );
}
