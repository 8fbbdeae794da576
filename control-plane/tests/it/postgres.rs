//! What only PostgreSQL is asked: its own SQL, its own fences, its certificate.

use clampd_control_plane::{config::StorageArguments, service};
use postgres::{Client, NoTls};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    audit::{blocked, event},
    scene::Scene,
    server::Server,
};

#[test]
fn a_query_may_be_as_rich_as_postgres_sql_is() {
    let scene = Scene::on_postgres();
    let events = json!({ "events": [blocked("1"), blocked("2"), event("3")] });
    scene.proxy().post("/v1/audit/events", &events).expect(200);
    for (sql, rows) in [
        (
            "SELECT tool_name, blocked, assessed_risk, denial_reason\nFROM audit_logs LIMIT 1",
            json!([["database.query", true, "critical", "destructive SQL"]]),
        ),
        (
            "SELECT tool_name, count(*) FILTER (WHERE blocked) FROM audit_logs GROUP BY tool_name",
            json!([["database.query", 2]]),
        ),
        (
            "SELECT value, count(*) FROM audit_logs, \
             json_array_elements_text(labels::json) GROUP BY value",
            json!([["destructive-sql", 2]]),
        ),
        (
            "SELECT params_masked::json->>'sql', risk_score FROM audit_logs WHERE seq = 1;",
            json!([["…", 0.95]]),
        ),
        (
            "SELECT to_timestamp(timestamp / 1000000) AT TIME ZONE 'UTC', 1, 1 \
             FROM audit_logs LIMIT 1",
            json!([["2023-11-14T22:13:20", 1, 1]]),
        ),
        (
            "WITH b AS (SELECT * FROM audit_logs) SELECT avg(latency_us), session_id \
             FROM b GROUP BY session_id",
            json!([[0.0, null]]),
        ),
    ] {
        let answer = scene
            .admin()
            .post("/v1/audit/query", &json!({ "sql": sql }))
            .expect(200);
        assert_eq!(answer["rows"], rows, "{sql}");
    }
}

#[test]
fn a_query_over_postgres_is_stopped_in_time_and_cut_at_its_rows() {
    let scene = Scene::on_postgres();
    let events: Vec<_> = (0..101).map(|id| event(&id.to_string())).collect();
    let events = json!({ "events": events });
    scene.proxy().post("/v1/audit/events", &events).expect(200);
    let query = |sql: &str| {
        scene
            .admin()
            .post("/v1/audit/query", &json!({ "sql": sql }))
    };
    let many = "SELECT a.seq FROM audit_logs a, audit_logs b";
    let answer = query(many).expect(200);
    assert_eq!(answer["rows"].as_array().unwrap().len(), 10_000);
    assert_eq!(answer["truncated"], true);
    let laborious = "SELECT count(*) FROM audit_logs a, audit_logs b, audit_logs c, \
                     audit_logs d, audit_logs e";
    query(laborious).expect_error(400, "query_timeout");
}

#[test]
fn the_role_that_queries_run_as_reads_one_organisation_and_nothing_else() {
    let scene = Scene::on_postgres();
    let other = scene.other_organisation();
    let events = json!({ "events": [event("theirs")] });
    scene
        .client(&other.proxy_key)
        .post("/v1/audit/events", &events)
        .expect(200);
    // Without the service's own look at what a query says.
    let mut client = scene.database.as_ref().unwrap().client();
    for sql in [
        "SELECT * FROM cp_audit_events",
        "SELECT * FROM cp_agents",
        "SELECT * FROM cp_query_scope",
        "INSERT INTO cp_query_scope VALUES ('org_b')",
        "UPDATE clampd_query.audit_logs SET blocked = false",
        "DELETE FROM clampd_query.audit_logs",
        "CREATE TABLE clampd_query.t (a int)",
        "SELECT pg_read_file('/etc/passwd')",
    ] {
        let mut transaction = client.transaction().unwrap();
        transaction
            .batch_execute("SET LOCAL ROLE clampd_query")
            .unwrap();
        let error = transaction.batch_execute(sql).unwrap_err();
        let code = error.as_db_error().unwrap().code().code().to_owned();
        assert!(
            matches!(code.as_str(), "42501" | "55000"),
            "{sql}: {error:?}"
        );
    }
    let mut transaction = client.transaction().unwrap();
    transaction
        .batch_execute("INSERT INTO cp_query_scope VALUES ('org_a'); SET LOCAL ROLE clampd_query")
        .unwrap();
    // An expression that fails on a row must not tell of another organisation's.
    let sql = "SELECT 1 FROM clampd_query.audit_logs WHERE event_id::int = 1";
    assert_eq!(transaction.query(sql, &[]).unwrap().len(), 0);
}

#[test]
fn the_role_for_queries_is_made_where_that_is_allowed_and_asked_for_elsewhere() {
    let server = Server::start();
    server.admin("CREATE ROLE plain LOGIN; CREATE ROLE maker LOGIN CREATEROLE");
    for (user, is_allowed) in [("plain", false), ("maker", true)] {
        server.admin(&format!("CREATE DATABASE {user} OWNER {user}"));
        let directory = TempDir::new().unwrap();
        let storage = StorageArguments {
            data: Some(directory.path().join("data")),
            database_url: Some(server.url(user, user)),
            ..StorageArguments::default()
        };
        match service::initialise(&storage, None, "o") {
            Ok(_) => {
                assert!(is_allowed);
                let error = service::initialise(&storage, None, "o").unwrap_err();
                assert!(error.to_string().contains("initialised already"), "{error}");
            }
            Err(error) => {
                assert!(!is_allowed, "{error:#}");
                let told = format!("{error:#}");
                assert!(told.contains("CREATE ROLE clampd_query NOLOGIN"), "{told}");
            }
        }
    }
    let mut client = Client::connect(&server.url("postgres", "maker"), NoTls).unwrap();
    let sql = "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'clampd_query'";
    assert!(!client.query_one(sql, &[]).unwrap().get::<_, bool>(0));
}

#[test]
fn another_master_key_is_refused_at_the_start() {
    let mut scene = Scene::on_postgres();
    scene.stop();
    let directory = TempDir::new().unwrap();
    std::fs::write(
        directory.path().join("master.key"),
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    )
    .unwrap();
    let storage = StorageArguments {
        data: Some(directory.path().to_owned()),
        ..scene.storage.clone()
    };
    let error = service::add_organisation(&storage, None, "o").unwrap_err();
    assert!(format!("{error:#}").contains("master key"), "{error:#}");
}

#[test]
fn a_server_elsewhere_is_spoken_to_by_tls_and_its_certificate_is_verified() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let directory = TempDir::new().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    let server = Server::start_tls(port, &made.cert.pem(), &made.signing_key.serialize_pem());
    server.admin("CREATE ROLE clampd LOGIN CREATEROLE; CREATE DATABASE clampd OWNER clampd");
    let storage = |query: &str, ca: Option<&std::path::Path>| StorageArguments {
        data: Some(directory.path().join("data")),
        database_url: Some(format!("postgres://clampd@localhost:{port}/clampd?{query}")),
        database_ca: ca.map(std::path::Path::to_owned),
        ..StorageArguments::default()
    };
    // By the public roots its certificate is nobody's.
    assert!(service::initialise(&storage("sslmode=require", None), None, "o").is_err());
    let verified = storage("sslmode=require", Some(&ca));
    service::initialise(&verified, Some("o".to_owned()), "o").unwrap();
    // The server is asked how it is spoken to: with TLS where the URL says so.
    let by_tls = "SELECT count(*) FROM pg_hba_file_rules WHERE type = 'hostssl'";
    let mut client = Client::connect(&server.url("postgres", "postgres"), NoTls).unwrap();
    assert_eq!(client.query_one(by_tls, &[]).unwrap().get::<_, i64>(0), 1);
    let plain = storage("sslmode=disable", None);
    assert!(service::add_organisation(&plain, None, "p").is_err());
}
