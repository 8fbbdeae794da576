//! A PostgreSQL server of the tests' own, on a Unix socket in a directory of its own.
//!
//! It ends when the process of the tests does, however that ends: a shell waits for its standard
//! input to close. Where the tests run as root the server runs as `postgres`, since it refuses root.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use postgres::{Client, NoTls};
use tempfile::TempDir;

/// Whether the tests run over PostgreSQL in place of SQLite.
pub(crate) fn is_wanted() -> bool {
    match std::env::var("CLAMPD_TEST_DATABASE").as_deref() {
        Ok("postgres") => true,
        Err(_) | Ok("sqlite") => false,
        Ok(other) => panic!("CLAMPD_TEST_DATABASE is `{other}`; wanted `postgres` or `sqlite`"),
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    socket: PathBuf,
    port: u16,
    /// Its standard input keeps the server alive.
    _shell: Child,
}

/// A database of one test's own, dropped with it.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    name: String,
    server: &'static Server,
}

impl TestDatabase {
    /// An empty one, on the server that all tests of this process share.
    pub(crate) fn new() -> Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = SERVER.get_or_init(|| {
            let server = Server::start();
            // As whoever operates it would: the service is no superuser.
            server.admin(
                "CREATE ROLE clampd LOGIN; CREATE ROLE clampd_query NOLOGIN; \
                 GRANT clampd_query TO clampd",
            );
            server
        });
        let name = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
        server.admin(&format!("CREATE DATABASE {name} OWNER clampd"));
        Self { name, server }
    }

    /// Where it is, for the service.
    pub(crate) fn url(&self) -> String {
        self.server.url("clampd", &self.name)
    }

    /// A connection around the service's back.
    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.server.url("postgres", &self.name), NoTls).unwrap()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.server
            .admin(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

impl Server {
    /// Makes and starts one.
    pub(crate) fn start() -> Self {
        Self::make(5432, "", &[])
    }

    /// Makes one that is reached over TCP by TLS only, and starts it.
    pub(crate) fn start_tls(port: u16, certificate: &str, key: &str) -> Self {
        let files = [
            ("server.crt", certificate),
            ("server.key", key),
            (
                "pg_hba.conf",
                "local all all trust\nhostssl all all samehost trust\n",
            ),
        ];
        Self::make(port, "-c listen_addresses=localhost -c ssl=on", &files)
    }

    fn make(port: u16, settings: &str, files: &[(&str, &str)]) -> Self {
        // Kept here, removed by the shell: the process may end without dropping anything.
        let socket = TempDir::new().unwrap().keep();
        let shown = socket.to_str().unwrap().to_owned();
        let is_root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
        if is_root {
            run(Command::new("chown").args(["postgres:", &shown]));
        }
        let data = format!("{shown}/data");
        let initdb = program("initdb");
        run(as_owner(is_root, &initdb).args([
            "-D",
            &data,
            "-U",
            "postgres",
            "-E",
            "UTF8",
            "--locale=C",
            "--auth=trust",
            "--no-sync",
        ]));
        for (name, text) in files {
            let path = format!("{data}/{name}");
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            if is_root {
                run(Command::new("chown").args(["postgres:", &path]));
            }
        }
        // Tests end before a disk could fail.
        let script = format!(
            "{postgres} -D {data} -k {shown} -c port={port} -c listen_addresses= -c fsync=off \
             -c max_connections=400 -c shared_buffers=32MB {settings} >{shown}/log 2>&1 & \
             server=$!; read -r line; kill -INT $server; wait $server; rm -rf {shown}",
            postgres = program("postgres").display(),
        );
        let shell = as_owner(is_root, Path::new("sh"))
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            socket,
            port,
            _shell: shell,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        let url = server.url("postgres", "postgres");
        while Client::connect(&url, NoTls).is_err() {
            let log = fs::read_to_string(server.socket.join("log"));
            assert!(Instant::now() < deadline, "never started: {log:?}");
            thread::yield_now();
        }
        server
    }

    pub(crate) fn url(&self, user: &str, database: &str) -> String {
        let socket = self.socket.to_str().unwrap().replace('/', "%2F");
        format!("postgres://{user}@{socket}:{}/{database}", self.port)
    }

    /// Runs statements as the superuser, each by itself.
    pub(crate) fn admin(&self, statements: &str) {
        let url = self.url("postgres", "postgres");
        let mut client = Client::connect(&url, NoTls).unwrap();
        for statement in statements.split("; ") {
            client.batch_execute(statement).unwrap();
        }
    }
}

fn as_owner(is_root: bool, program: &Path) -> Command {
    if !is_root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(program)
        .current_dir("/");
    command
}

/// The newest one that Debian's package installed.
pub(crate) fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let found = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin").join(name)))
        .filter(|path| path.exists())
        .max();
    found.unwrap_or_else(|| panic!("`{name}` is missing; install Debian's package `postgresql`"))
}

pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}
