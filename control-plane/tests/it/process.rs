//! The process: how it starts, what it keeps and hides, how it ends.

use std::{
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

use crate::{client::Client, scene::SECRET};

const PROGRAM: &str = env!("CARGO_BIN_EXE_clampd-control-plane");

pub(crate) fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .env_clear()
        .output()
        .unwrap()
}

pub(crate) fn initialise(data: &Path) -> Value {
    let output = run(&["init", "--data", data.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_file_says_what_flags_and_environment_do_not() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    initialise(&data);
    let file = directory.path().join("config.toml");
    let check = |text: &str, more: &[&str]| {
        fs::write(&file, text).unwrap();
        let config = ["serve", "--check", "--config", file.to_str().unwrap()];
        run(&[&config, more].concat())
    };
    let good = format!(
        "data = {:?}\nquery-timeout-ms = 500\n",
        data.to_str().unwrap()
    );
    assert!(check(&good, &[]).status.success());
    let elsewhere = directory.path().join("elsewhere");
    let elsewhere = elsewhere.to_str().unwrap();
    assert!(
        !check(&good, &["--data", elsewhere]).status.success(),
        "a flag goes before the file"
    );
    for (bad, said) in [
        (
            "colour = \"red\"",
            "`colour` is nothing that a file can say",
        ),
        (
            "master-key = \"AAAA\"",
            "`master-key` is nothing that a file can say",
        ),
        (
            "query-timeout-ms = true",
            "must be a text or a whole number",
        ),
        ("query-timeout-ms = 1", "query-timeout-ms"),
        ("= 1", "reading `"),
    ] {
        let refused = check(&format!("{bad}\n"), &["--data", data.to_str().unwrap()]);
        assert!(!refused.status.success(), "{bad}");
        let told = String::from_utf8(refused.stderr).unwrap();
        assert!(told.contains(said), "{bad}: {told}");
    }
}

/// A process that serves; killed when dropped.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) url: String,
    log: thread::JoinHandle<String>,
}

impl Served {
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[])
    }

    pub(crate) fn start_with(data: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--data",
                data.to_str().unwrap(),
            ])
            .args(more)
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

    pub(crate) fn client(&self, key: &Value) -> Client {
        Client::new(&self.url, &format!("Bearer {}", key.as_str().unwrap()))
    }

    pub(crate) fn signal(&self, name: &str) {
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

pub(crate) fn until(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "never");
        thread::yield_now();
    }
}
