//! A control plane with its own database and port, and a client to it.

use clampd_control_plane::{
    config::{Settings, StorageArguments},
    service::{self, Running},
    store::FirstKeys,
};
use clampd_model::{AgentClaims, AgentId, Bundle, Secret};
use clampd_token::{
    VerifyingKey, agent_hmac_key, call_binding, sign_agent_jwt_hs256, verify_bundle,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{
    client::Client,
    server::{self, TestDatabase},
};

/// The secret of the agents that tests register.
pub(crate) const SECRET: &str = "ags_for_tests_only";

/// A running service.
pub(crate) struct Scene {
    pub(crate) keys: FirstKeys,
    pub(crate) url: String,
    pub(crate) directory: TempDir,
    pub(crate) storage: StorageArguments,
    running: Option<Running>,
    replicas: Vec<Running>,
    runtime: Runtime,
    /// Over PostgreSQL. Dropped after the services that use it.
    pub(crate) database: Option<TestDatabase>,
}

impl Scene {
    /// A new organisation and its service.
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let database = server::is_wanted().then(TestDatabase::new);
        Self::over(database, settings)
    }

    /// Over SQLite, whatever the other tests run over: what SQLite's own SQL can do.
    pub(crate) fn on_sqlite(settings: Settings) -> Self {
        Self::over(None, settings)
    }

    /// Over PostgreSQL, whatever the other tests run over.
    pub(crate) fn on_postgres() -> Self {
        Self::over(Some(TestDatabase::new()), Settings::default())
    }

    fn over(database: Option<TestDatabase>, settings: Settings) -> Self {
        let directory = TempDir::new().unwrap();
        let storage = StorageArguments {
            data: Some(directory.path().join("data")),
            database_url: database.as_ref().map(TestDatabase::url),
            ..StorageArguments::default()
        };
        let keys = service::initialise(&storage, Some("org_a".to_owned()), "A").unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let running = start(&runtime, &storage, settings);
        let url = format!("http://{}", running.address);
        Self {
            keys,
            url,
            directory,
            storage,
            running: Some(running),
            replicas: Vec::new(),
            runtime,
            database,
        }
    }

    /// Stops the service and starts it again over the same database.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let running = start(&self.runtime, &self.storage, Settings::default());
        self.url = format!("http://{}", running.address);
        self.running = Some(running);
    }

    /// Starts another service over the same database; returns its URL.
    pub(crate) fn replica(&mut self) -> String {
        let running = start(&self.runtime, &self.storage, Settings::default());
        let url = format!("http://{}", running.address);
        self.replicas.push(running);
        url
    }

    pub(crate) fn stop(&mut self) {
        for running in self
            .running
            .take()
            .into_iter()
            .chain(self.replicas.drain(..))
        {
            self.runtime.block_on(running.stop()).unwrap();
        }
    }

    /// Changes the database behind the service's back.
    pub(crate) fn alter(&self, sql: &str) {
        match &self.database {
            Some(database) => database.client().batch_execute(sql).unwrap(),
            None => {
                let path = self.directory.path().join("data/clampd.db");
                let database = rusqlite::Connection::open(path).unwrap();
                database.execute_batch(sql).unwrap();
            }
        }
    }

    /// Another organisation in the same database.
    pub(crate) fn other_organisation(&self) -> FirstKeys {
        service::add_organisation(&self.storage, Some("org_b".to_owned()), "B").unwrap()
    }

    pub(crate) fn admin(&self) -> Client {
        self.client(&self.keys.admin_key)
    }

    pub(crate) fn proxy(&self) -> Client {
        self.client(&self.keys.proxy_key)
    }

    /// A client with a new key of that role.
    pub(crate) fn role(&self, role: &str) -> Client {
        let made = self
            .admin()
            .post("/v1/keys", &json!({ "role": role }))
            .expect(201);
        self.client(made["key"].as_str().unwrap())
    }

    pub(crate) fn client(&self, key: &str) -> Client {
        Client::new(&self.url, &format!("Bearer {key}"))
    }

    /// Registers an agent with that id and [`SECRET`].
    pub(crate) fn agent(&self, id: &str, scopes: &[&str]) {
        let agent = json!({ "id": id, "secret": SECRET, "scopes": scopes });
        self.admin().post("/v1/agents", &agent).expect(201);
    }

    /// Registers the tool `database.query` with scope `db:read` and audience `sql`.
    pub(crate) fn tool(&self) {
        let tool = json!({ "scope": "db:read", "category": "database", "audience": "sql" });
        self.admin()
            .put("/v1/tools/database.query", &tool)
            .expect(201);
    }

    /// Exchanges a fresh JWT of the agent for a micro-token for `database.query`.
    pub(crate) fn micro_token(&self, agent: &str) -> String {
        let answer = self
            .proxy()
            .form("/v1/tokens/exchange", &exchange_fields(&jwt(agent)));
        answer.expect(200)["access_token"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Polls the bundle and checks its signature as a filter does.
    pub(crate) fn bundle(&self, since: u64, wait: u64) -> Bundle {
        checked_bundle(&self.proxy(), &self.keys.trust_root, since, wait)
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop();
    }
}

fn start(runtime: &Runtime, storage: &StorageArguments, settings: Settings) -> Running {
    let listen = "127.0.0.1:0".parse().unwrap();
    runtime
        .block_on(service::start(storage, listen, settings))
        .unwrap()
}

pub(crate) fn checked_bundle(client: &Client, trust_root: &str, since: u64, wait: u64) -> Bundle {
    let answer = client.get(&format!("/v1/bundle?since={since}&wait={wait}"));
    assert_eq!(answer.status, 200, "{}", answer.text);
    let trust_root = VerifyingKey::parse(trust_root).unwrap();
    let signature = answer.header("x-clampd-signature");
    verify_bundle(answer.text.as_bytes(), signature, &trust_root).unwrap();
    let bundle: Bundle = serde_json::from_str(&answer.text).unwrap();
    let tag = format!("\"{}\"", bundle.revision);
    assert_eq!(answer.header("etag"), Some(tag.as_str()));
    bundle
}

pub(crate) fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A JWT of an agent that has [`SECRET`].
pub(crate) fn jwt(agent: &str) -> String {
    jwt_of(agent, SECRET)
}

pub(crate) fn jwt_of(agent: &str, secret: &str) -> String {
    let claims = AgentClaims {
        sub: AgentId::parse(agent).unwrap(),
        iss: Some("clampd-sdk".to_owned()),
        iat: Some(now()),
        exp: now() + 60,
        aud: None,
        scopes: None,
    };
    sign_agent_jwt_hs256(&claims, &agent_hmac_key(&Secret::new(secret)))
}

pub(crate) fn jwt_with(claims: &AgentClaims) -> String {
    sign_agent_jwt_hs256(claims, &agent_hmac_key(&Secret::new(SECRET)))
}

/// The fields of a good exchange for `database.query`.
pub(crate) fn exchange_fields(jwt: &str) -> Vec<(&'static str, String)> {
    let binding = call_binding("database.query", &json!({ "sql": "SELECT 1" }));
    vec![
        (
            "grant_type",
            "urn:ietf:params:oauth:grant-type:token-exchange".to_owned(),
        ),
        ("subject_token", jwt.to_owned()),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:jwt".to_owned(),
        ),
        ("tool", "database.query".to_owned()),
        ("call_binding", binding),
    ]
}
