//! The audit trail: nothing acknowledged is lost, and only one's own is read.

use clampd_control_plane::config::Settings;
use clampd_model::{AuditEvent, Classification, PolicyAction, RiskLevel, RiskScore};
use serde_json::{Value, json};

use crate::{
    client::{Answer, Client},
    scene::Scene,
};

pub(crate) fn event(id: &str) -> AuditEvent {
    AuditEvent {
        event_id: id.to_owned(),
        request_id: format!("request-{id}"),
        agent_id: "a".to_owned(),
        tool_name: "database.query".to_owned(),
        tool_action: "proxy".to_owned(),
        timestamp: 1_700_000_000_000_000,
        ..AuditEvent::default()
    }
}

pub(crate) fn blocked(id: &str) -> AuditEvent {
    AuditEvent {
        risk_score: RiskScore::new(0.95),
        assessed_risk: RiskLevel::Critical,
        classification: Classification::Malicious,
        policy_action: PolicyAction::Deny,
        blocked: true,
        denial_reason: Some("destructive SQL".to_owned()),
        labels: vec!["destructive-sql".to_owned()],
        params_masked: Some(json!({ "sql": "…" })),
        ..event(id)
    }
}

fn hand_in(proxy: &Client, events: &[AuditEvent]) -> Value {
    proxy
        .post("/v1/audit/events", &json!({ "events": events }))
        .expect(200)
}

fn query(client: &Client, sql: &str) -> Answer {
    client.post("/v1/audit/query", &json!({ "sql": sql }))
}

#[test]
fn the_query_of_the_documentation_works_word_for_word() {
    let scene = Scene::new();
    hand_in(&scene.proxy(), &[blocked("1"), event("2")]);
    let sql = "SELECT tool_name, blocked, assessed_risk, denial_reason\nFROM audit_logs LIMIT 8";
    let answer = query(&scene.role("auditor"), sql).expect(200);
    let wanted = json!({
        "columns": ["tool_name", "blocked", "assessed_risk", "denial_reason"],
        "rows": [
            ["database.query", true, "critical", "destructive SQL"],
            ["database.query", false, "low", null],
        ],
        "truncated": false,
    });
    assert_eq!(answer, wanted);
}

#[test]
fn an_event_handed_in_again_is_counted_once() {
    let scene = Scene::new();
    let proxy = scene.proxy();
    let first = hand_in(&proxy, &[event("1"), event("2"), event("1")]);
    assert_eq!(first, json!({ "accepted": 2, "duplicates": 1 }));
    let again = hand_in(&proxy, &[event("2"), event("3")]);
    assert_eq!(again, json!({ "accepted": 1, "duplicates": 1 }));
    let answer = query(
        &scene.admin(),
        "SELECT seq, event_id, org_id FROM audit_logs ORDER BY seq",
    );
    let rows = json!([[1, "1", "org_a"], [2, "2", "org_a"], [3, "3", "org_a"]]);
    assert_eq!(answer.expect(200)["rows"], rows);
}

#[test]
fn no_text_that_an_agent_chooses_keeps_a_batch_out_of_the_trail() {
    let scene = Scene::new();
    let odd = AuditEvent {
        agent_id: "a\0b".to_owned(),
        tool_name: "\0".to_owned(),
        request_id: "\0\u{10ffff}".to_owned(),
        labels: vec!["\0".to_owned()],
        params_masked: Some(json!({ "\0": "\u{fffe}" })),
        ..blocked("1")
    };
    let rule = json!({ "blocked_calls": 1, "within_seconds": 60 });
    scene.admin().put("/v1/automatic-kill", &rule).expect(200);
    let taken = hand_in(&scene.proxy(), &[odd, event("2")]);
    assert_eq!(taken["accepted"], 2);
    let sql = "SELECT agent_id, tool_name FROM audit_logs WHERE seq = 1";
    let rows = query(&scene.admin(), sql).expect(200)["rows"].clone();
    assert_eq!(rows, json!([["a\u{fffd}b", "\u{fffd}"]]));
    let check = scene.admin().get("/v1/audit/verify").expect(200);
    assert_eq!(check["valid"], true);
    scene
        .admin()
        .get("/v1/agents/%00")
        .expect_error(404, "agent_not_found");
}

#[test]
fn a_batch_with_one_bad_event_changes_nothing() {
    let scene = Scene::new();
    let proxy = scene.proxy();
    let foreign = AuditEvent {
        org_id: "org_b".to_owned(),
        ..event("2")
    };
    let answer = proxy.post(
        "/v1/audit/events",
        &json!({ "events": [event("1"), foreign] }),
    );
    answer.expect_error(422, "invalid_value");
    let unnamed = event("");
    let answer = proxy.post(
        "/v1/audit/events",
        &json!({ "events": [event("1"), unnamed] }),
    );
    answer.expect_error(422, "invalid_value");
    proxy
        .post("/v1/audit/events", &json!({ "events": [{}] }))
        .expect_error(400, "invalid_body");
    let many: Vec<_> = (0..1_001)
        .map(|number| event(&number.to_string()))
        .collect();
    let answer = proxy.post("/v1/audit/events", &json!({ "events": many }));
    answer.expect_error(422, "invalid_value");
    let large = AuditEvent {
        policy_reason: "x".repeat(64 * 1024),
        ..event("1")
    };
    let answer = proxy.post("/v1/audit/events", &json!({ "events": [large] }));
    answer.expect_error(422, "invalid_value");
    let count = query(&scene.admin(), "SELECT count(*) FROM audit_logs").expect(200);
    assert_eq!(count["rows"], json!([[0]]));
}

#[test]
fn one_organisation_never_sees_anothers_rows() {
    let scene = Scene::new();
    let other = scene.other_organisation();
    hand_in(&scene.proxy(), &[event("ours")]);
    hand_in(&scene.client(&other.proxy_key), &[event("theirs")]);
    for (key, id) in [
        (&scene.keys.admin_key, "ours"),
        (&other.admin_key, "theirs"),
    ] {
        let answer = query(&scene.client(key), "SELECT event_id FROM audit_logs").expect(200);
        assert_eq!(answer["rows"], json!([[id]]));
    }
}

#[test]
fn a_query_reads_the_trail_and_nothing_else() {
    let scene = Scene::new();
    let other = scene.other_organisation();
    hand_in(&scene.proxy(), &[event("ours")]);
    hand_in(&scene.client(&other.proxy_key), &[event("theirs")]);
    for sql in [
        "SELECT * FROM cp_audit_events",
        "SELECT count(*) FROM cp_audit_events",
        "SELECT * FROM main.cp_audit_events",
        "SELECT event_id FROM main.audit_logs",
        "WITH audit_logs AS (SELECT * FROM cp_audit_events) SELECT * FROM audit_logs",
        "WITH audit_logs AS (SELECT * FROM main.cp_audit_events) SELECT * FROM audit_logs",
        "WITH x AS (SELECT * FROM cp_audit_events) SELECT count(*) FROM x",
        "SELECT (SELECT max(event_id) FROM cp_audit_events) FROM audit_logs",
        "SELECT event_id FROM audit_logs UNION SELECT event_id FROM cp_audit_events",
        "SELECT event_id FROM audit_logs NATURAL JOIN cp_audit_events",
        "SELECT event_id FROM audit_logs JOIN cp_audit_events USING (event_id)",
        "WITH g (event_id) AS (VALUES ('x')) SELECT event_id FROM g FULL JOIN cp_audit_events USING (event_id)",
        "WITH g (sha256) AS (VALUES ('x')) SELECT sha256 FROM g FULL JOIN cp_api_keys USING (sha256)",
        "WITH g (sha256) AS (VALUES ('x')) SELECT sha256 FROM g FULL JOIN \"CP_API_KEYS\" USING (sha256)",
        "WITH g (sha256) AS (VALUES ('x')) SELECT sha256 FROM g FULL JOIN [cp_Api_keys] USING (sha256)",
        "WITH g (sha256) AS (VALUES ('x')) SELECT sha256 FROM g FULL JOIN 'cp_api_keys' USING (sha256)",
        "WITH g (name) AS (VALUES ('x')) SELECT name FROM g FULL JOIN sqlite_schema USING (name)",
        "WITH g (name) AS (VALUES ('x')) SELECT name FROM g FULL JOIN pragma_table_list USING (name)",
        "WITH g (name) AS (VALUES ('x')) SELECT name FROM g FULL JOIN dbstat USING (name)",
        "SELECT e.event_id FROM audit_logs, cp_audit_events e",
        "SELECT 'theirs' IN (SELECT event_id FROM cp_audit_events)",
        "SELECT * FROM (SELECT * FROM (SELECT event_id FROM cp_audit_events)) AS audit_logs",
        "SELECT 1 FROM audit_logs LIMIT (SELECT count(*) FROM cp_audit_events)",
        "SELECT 1 FROM audit_logs ORDER BY (SELECT event_id FROM cp_audit_events)",
        "WITH a AS (SELECT * FROM audit_logs), audit_logs AS (SELECT * FROM cp_audit_events) SELECT * FROM a",
        "SELECT * FROM audit_logs WHERE EXISTS (SELECT 1 FROM cp_api_keys)",
        "SELECT count(*) FROM cp_api_keys",
        "SELECT sha256 FROM cp_api_keys",
        "SELECT name FROM sqlite_master",
        "SELECT name FROM sqlite_schema",
        "SELECT count(*) FROM sqlite_temp_master",
        "SELECT sql FROM temp.sqlite_master",
        "SELECT * FROM pragma_table_info('agents')",
        "SELECT count(*) FROM pragma_database_list",
        "SELECT * FROM dbstat",
        "PRAGMA table_info(agents)",
        "ATTACH DATABASE '/tmp/x' AS x",
        "DELETE FROM audit_logs",
        "INSERT INTO audit_logs (event_id) VALUES ('x')",
        "UPDATE cp_audit_events SET blocked = 1",
        "DROP VIEW audit_logs",
        "CREATE TEMP TABLE x AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT load_extension('x')",
        "SELECT randomblob(10)",
        "SELECT readfile('/etc/passwd')",
        "SELECT sqlite_version()",
        "EXPLAIN SELECT * FROM audit_logs",
        "EXPLAIN QUERY PLAN SELECT * FROM audit_logs",
        "BEGIN",
        "VACUUM INTO '/tmp/x'",
        "SELECT ?1",
        "SELEKT",
        "",
        "\u{0}",
        "SELECT nothing FROM audit_logs",
        "--",
    ] {
        let answer = query(&scene.admin(), sql);
        assert!(matches!(answer.status, 400 | 422), "{sql}: {answer:?}");
        assert!(
            !answer.text.contains("theirs") && !answer.text.contains("rows_"),
            "{sql}: {answer:?}"
        );
    }
    let count = query(&scene.admin(), "SELECT count(*) FROM audit_logs").expect(200);
    assert_eq!(count["rows"], json!([[1]]));
}

#[test]
fn a_query_may_be_as_rich_as_sqlites_sql_is() {
    let scene = Scene::on_sqlite(Settings::default());
    hand_in(&scene.proxy(), &[blocked("1"), blocked("2"), event("3")]);
    for (sql, rows) in [
        (
            "SELECT tool_name, count(*) AS calls, sum(blocked) FROM audit_logs \
             GROUP BY tool_name HAVING calls > 1 ORDER BY calls DESC",
            json!([["database.query", 3, 2]]),
        ),
        (
            "WITH bad AS (SELECT * FROM audit_logs WHERE blocked) SELECT count(*) FROM bad",
            json!([[2]]),
        ),
        (
            "SELECT json_each.value, count(*) FROM audit_logs, json_each(labels) GROUP BY 1",
            json!([["destructive-sql", 2]]),
        ),
        (
            "SELECT json_extract(params_masked, '$.sql') FROM audit_logs WHERE seq = 1",
            json!([["…"]]),
        ),
        (
            "SELECT a.seq FROM audit_logs a JOIN audit_logs b ON a.seq = b.seq + 2",
            json!([[3]]),
        ),
        (
            "SELECT row_number() OVER (ORDER BY seq DESC) FROM audit_logs LIMIT 1",
            json!([[1]]),
        ),
        (
            "SELECT blocked FROM (SELECT blocked FROM audit_logs) ORDER BY 1 LIMIT 1",
            json!([[false]]),
        ),
        (
            "SELECT datetime(timestamp / 1000000, 'unixepoch') FROM audit_logs LIMIT 1",
            json!([["2023-11-14 22:13:20"]]),
        ),
        (
            "SELECT risk_score FROM audit_logs WHERE seq = 1;",
            json!([[0.95]]),
        ),
    ] {
        assert_eq!(
            query(&scene.admin(), sql).expect(200)["rows"],
            rows,
            "{sql}"
        );
    }
}

#[test]
fn a_query_that_takes_too_long_is_stopped() {
    let scene = Scene::on_sqlite(Settings {
        query_timeout: std::time::Duration::from_millis(200),
        ..Default::default()
    });
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                   SELECT count(*) FROM n";
    query(&scene.admin(), endless).expect_error(400, "query_timeout");
    hand_in(&scene.proxy(), &[event("1")]);
    let begun = std::time::Instant::now();
    let laborious = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
         SELECT sum(instr(printf('%.200000c', 'a'), printf('%.100000c', 'a') || 'b')) FROM n";
    query(&scene.admin(), laborious).expect_error(400, "query_timeout");
    assert!(begun.elapsed() < std::time::Duration::from_secs(60));
}

#[test]
fn an_answer_of_too_many_rows_is_cut_and_says_so() {
    let scene = Scene::on_sqlite(Settings::default());
    let numbers = |count: u32| {
        format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {count}) \
             SELECT i FROM n"
        )
    };
    for (count, rows, truncated) in [(10_000, 10_000, false), (10_001, 10_000, true)] {
        let answer = query(&scene.admin(), &numbers(count)).expect(200);
        assert_eq!(answer["rows"].as_array().unwrap().len(), rows);
        assert_eq!(answer["truncated"], truncated);
    }
}

#[test]
fn a_kill_is_in_the_trail_with_its_reason() {
    let scene = Scene::new();
    scene.agent("a", &[]);
    let order = json!({ "reason": "Breach pattern detected" });
    scene.admin().post("/v1/agents/a/kill", &order).expect(200);
    let sql = "SELECT agent_id, tool_action, policy_reason FROM audit_logs";
    let rows = query(&scene.admin(), sql).expect(200)["rows"].clone();
    assert_eq!((&rows[0][0], &rows[0][1]), (&json!("a"), &json!("kill")));
    assert!(
        rows[0][2]
            .as_str()
            .unwrap()
            .ends_with("Breach pattern detected"),
        "{rows}"
    );
}

#[test]
fn an_agents_risk_follows_its_events() {
    let scene = Scene::new();
    scene.agent("a", &[]);
    let risk = || scene.admin().get("/v1/agents/a").expect(200)["risk"].clone();
    assert_eq!(risk(), "low");
    let events: Vec<_> = (0..12).map(|number| blocked(&number.to_string())).collect();
    hand_in(&scene.proxy(), &events);
    assert_eq!(risk(), "high");
}
