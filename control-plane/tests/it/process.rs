//! The process: how it starts, what it keeps and hides, how it ends.

use std::{
    collections::HashSet,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    audit::event,
    scene::{Client, SECRET, Scene},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_clampd-control-plane");

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .output()
        .unwrap()
}

fn initialise(data: &Path) -> Value {
    let output = run(&["init", "--data", data.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A process that serves; killed when dropped.
struct Served {
    child: Child,
    url: String,
    log: thread::JoinHandle<String>,
}

impl Served {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(PROGRAM)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--data",
                data.to_str().unwrap(),
            ])
            .env_clear()
            .env("CLAMPD_LOG", "debug")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut log = String::new();
        let address = loop {
            let mut line = String::new();
            assert_ne!(
                stderr.read_line(&mut line).unwrap(),
                0,
                "never served: {log}"
            );
            log.push_str(&line);
            if let Some((_, address)) = line.trim().split_once("serving address=") {
                break address.to_owned();
            }
        };
        let log = thread::spawn(move || {
            for line in stderr.lines() {
                log.push_str(&line.unwrap());
                log.push('\n');
            }
            log
        });
        Self {
            child,
            url: format!("http://{address}"),
            log,
        }
    }

    fn client(&self, key: &Value) -> Client {
        Client::new(&self.url, &format!("Bearer {}", key.as_str().unwrap()))
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &id])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn init_prints_the_first_keys_once_and_refuses_a_second_time() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let keys = initialise(&data);
    let open = TempDir::new().unwrap();
    fs::set_permissions(open.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(open.path().join("others"), "").unwrap();
    assert!(
        !run(&["init", "--data", open.path().to_str().unwrap()])
            .status
            .success()
    );
    for field in ["org_id", "admin_key", "proxy_key", "trust_root"] {
        assert!(keys[field].is_string(), "{keys}");
    }
    let again = run(&["init", "--data", data.to_str().unwrap()]);
    assert!(!again.status.success() && again.stdout.is_empty());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for file in fs::read_dir(&data).unwrap() {
        assert_eq!(mode(&file.unwrap().path()), 0o600);
    }
    let served = Served::start(&data);
    let client = served.client(&keys["proxy_key"]);
    let trust_root = keys["trust_root"].as_str().unwrap();
    assert_eq!(
        crate::scene::checked_bundle(&client, trust_root, 0, 0).revision,
        1
    );
}

#[test]
fn two_processes_do_not_serve_the_same_data() {
    let directory = TempDir::new().unwrap();
    initialise(directory.path());
    let _served = Served::start(directory.path());
    let data = directory.path().to_str().unwrap();
    let second = run(&["serve", "--listen", "127.0.0.1:0", "--data", data]);
    assert!(!second.status.success());
    assert!(
        String::from_utf8_lossy(&second.stderr).contains("another process"),
        "{second:?}"
    );
}

#[test]
fn what_cannot_be_served_is_said_at_the_start() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().to_str().unwrap();
    let without_database = run(&["serve", "--data", data]);
    assert!(!without_database.status.success());
    initialise(directory.path());
    for arguments in [
        ["serve", "--data", data, "--listen", "nowhere"],
        ["serve", "--data", data, "--bundle-validity-seconds", "1"],
        ["serve", "--data", data, "--master-key", "c2hvcnQ="],
    ] {
        assert!(!run(&arguments).status.success(), "{arguments:?}");
    }
}

#[test]
fn sigterm_answers_waiting_polls_and_ends_the_process() {
    let directory = TempDir::new().unwrap();
    let keys = initialise(directory.path());
    let mut served = Served::start(directory.path());
    let (proxy, admin) = (
        served.client(&keys["proxy_key"]),
        served.client(&keys["admin_key"]),
    );
    let waiting = thread::spawn(move || proxy.get("/v1/bundle?since=1&wait=55"));
    until(|| {
        admin
            .get("/metrics")
            .text
            .contains("clampd_bundle_polls_waiting 1")
    });
    drop(admin);
    served.signal("-TERM");
    let answer = waiting.join().unwrap();
    assert_eq!(answer.expect(200)["revision"], 1);
    let begun = Instant::now();
    assert!(served.child.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[test]
fn an_acknowledged_event_survives_a_process_that_is_killed() {
    let directory = TempDir::new().unwrap();
    let keys = initialise(directory.path());
    let mut acknowledged = HashSet::new();
    for round in 0..5 {
        let mut served = Served::start(directory.path());
        // Clients that hand in as fast as they can, until the process is gone in the middle.
        let handing_in: Vec<_> = (0..4)
            .map(|client| {
                let proxy = served.client(&keys["proxy_key"]);
                let name = move |number: u32| format!("{round}-{client}-{number}");
                thread::spawn(move || {
                    (0..)
                        .map(name)
                        .take_while(|id| is_taken(&proxy, id))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(100));
        served.child.kill().unwrap();
        for client in handing_in {
            acknowledged.extend(client.join().unwrap());
        }
    }
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
    let served = Served::start(directory.path());
    let admin = served.client(&keys["admin_key"]);
    let check = admin.get("/v1/audit/verify").expect(200);
    assert_eq!(check["valid"], true, "{check}");
    let sql = json!({ "sql": "SELECT event_id FROM audit_logs" });
    let kept = admin.post("/v1/audit/query", &sql).expect(200);
    assert_eq!(kept["truncated"], false);
    let kept: HashSet<String> = kept["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[0].as_str().unwrap().to_owned())
        .collect();
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

/// Whether the event was acknowledged; false when the process is gone.
fn is_taken(proxy: &Client, id: &str) -> bool {
    let events = json!({ "events": [event(id)] });
    proxy
        .try_post("/v1/audit/events", &events)
        .is_some_and(|answer| answer.status == 200)
}

#[test]
fn no_secret_stands_in_the_data_or_in_the_log() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let keys = initialise(&data);
    let mut served = Served::start(&data);
    let admin = served.client(&keys["admin_key"]);
    let agent = json!({ "id": "a", "secret": SECRET });
    admin.post("/v1/agents", &agent).expect(201);
    let made = admin
        .post("/v1/keys", &json!({ "role": "tool" }))
        .expect(201);
    served
        .client(&made["key"])
        .post("/v1/introspect", &json!({ "token": "x" }))
        .expect(200);
    served
        .client(&json!("ag_live_wrong"))
        .get("/v1/agents")
        .expect_error(401, "invalid_api_key");
    served
        .client(&keys["proxy_key"])
        .get("/v1/bundle?since=0")
        .expect(200);
    let mint = served
        .client(&keys["proxy_key"])
        .get("/v1/bundle?since=0")
        .expect(200);
    let mint = mint["sections"]["local_mint"]["entries"]["key"]
        .as_str()
        .unwrap()
        .to_owned();
    served.signal("-TERM");
    served.child.wait().unwrap();
    let mut kept: Vec<(String, Vec<u8>)> = fs::read_dir(&data)
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| !path.ends_with("master.key"))
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    let log = std::mem::replace(&mut served.log, thread::spawn(String::new));
    kept.push(("log".to_owned(), log.join().unwrap().into_bytes()));
    let hmac_key = clampd_token::sha256_hex(SECRET.as_bytes());
    let secrets = [
        SECRET,
        &hmac_key,
        &mint,
        keys["admin_key"].as_str().unwrap(),
        keys["proxy_key"].as_str().unwrap(),
        made["key"].as_str().unwrap(),
        "ag_live_wrong",
    ];
    for (place, bytes) in kept {
        for secret in secrets {
            let found = bytes
                .windows(secret.len())
                .any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} stands in {place}");
        }
    }
}

#[test]
fn a_database_of_a_newer_version_is_not_touched() {
    let mut scene = Scene::new();
    scene.stop();
    let data = scene.directory.path().join("data");
    let database = rusqlite::Connection::open(data.join("clampd.db")).unwrap();
    database.pragma_update(None, "user_version", 1_000).unwrap();
    drop(database);
    let output = run(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        data.to_str().unwrap(),
    ]);
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("schema 1000"),
        "{output:?}"
    );
}

#[test]
fn a_trail_that_was_edited_is_found_out() {
    let edits = [
        ("UPDATE cp_audit_events SET blocked = 1 WHERE seq = 2", 2),
        (
            "UPDATE cp_audit_events SET received_at = received_at + 1 WHERE seq = 3",
            3,
        ),
        ("DELETE FROM cp_audit_events WHERE seq = 1", 1),
        ("DELETE FROM cp_audit_events WHERE seq = 3", 3),
    ];
    for (edit, broken_at) in edits {
        let mut scene = Scene::new();
        let events = json!({ "events": [event("1"), event("2"), event("3")] });
        scene.proxy().post("/v1/audit/events", &events).expect(200);
        let check = scene.admin().get("/v1/audit/verify").expect(200);
        assert_eq!(
            (&check["valid"], &check["events"]),
            (&json!(true), &json!(3))
        );
        scene.stop();
        let data = scene.directory.path().join("data");
        let database = rusqlite::Connection::open(data.join("clampd.db")).unwrap();
        database.execute(edit, []).unwrap();
        drop(database);
        scene.restart();
        let check = scene.admin().get("/v1/audit/verify").expect(200);
        assert_eq!(
            (&check["valid"], &check["broken_at"]),
            (&json!(false), &json!(broken_at))
        );
    }
}

fn until(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "never");
        thread::yield_now();
    }
}
