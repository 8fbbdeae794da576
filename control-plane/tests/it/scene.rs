//! A control plane with its own database and port, and a client to it.

use std::{path::Path, time::Duration};

use clampd_control_plane::{
    config::Settings,
    service::{self, Running},
    store::FirstKeys,
};
use clampd_model::{AgentClaims, AgentId, Bundle, Secret};
use clampd_token::{
    VerifyingKey, agent_hmac_key, call_binding, sign_agent_jwt_hs256, verify_bundle,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The secret of the agents that tests register.
pub(crate) const SECRET: &str = "ags_for_tests_only";

/// A running service.
pub(crate) struct Scene {
    pub(crate) keys: FirstKeys,
    pub(crate) url: String,
    pub(crate) directory: TempDir,
    running: Option<Running>,
    runtime: Runtime,
}

/// An answer: status, headers that tests look at, JSON body (or the text as a string).
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) text: String,
    headers: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body, if the status is as wanted.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.body
    }

    /// Checks that it is an error of that status and code, in the shape of all errors.
    #[track_caller]
    pub(crate) fn expect_error(self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.body["error_code"].as_str()),
            (status, Some(code)),
            "{self:?}"
        );
        assert!(
            self.body["error"].is_string() && self.body["request_id"].is_string(),
            "{self:?}"
        );
    }
}

impl Scene {
    /// A new organisation and its service.
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let directory = TempDir::new().unwrap();
        let data = directory.path().join("data");
        let keys = service::initialise(&data, None, Some("org_a".to_owned()), "A").unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let running = start(&runtime, &data, settings);
        let url = format!("http://{}", running.address);
        Self {
            keys,
            url,
            directory,
            running: Some(running),
            runtime,
        }
    }

    /// Stops the service and starts it again over the same database.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let data = self.directory.path().join("data");
        let running = start(&self.runtime, &data, Settings::default());
        self.url = format!("http://{}", running.address);
        self.running = Some(running);
    }

    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            self.runtime.block_on(running.stop()).unwrap();
        }
    }

    /// Another organisation in the same database.
    pub(crate) fn other_organisation(&self) -> FirstKeys {
        let data = self.directory.path().join("data");
        service::add_organisation(&data, None, Some("org_b".to_owned()), "B").unwrap()
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

fn start(runtime: &Runtime, data: &Path, settings: Settings) -> Running {
    let listen = "127.0.0.1:0".parse().unwrap();
    runtime
        .block_on(service::start(data, None, listen, settings))
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

/// A client with one value of `Authorization`.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    url: String,
    authorization: String,
    agent: ureq::Agent,
}

impl Client {
    pub(crate) fn new(url: &str, authorization: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(70)))
            .build();
        let (url, authorization) = (url.to_owned(), authorization.to_owned());
        Self {
            url,
            authorization,
            agent: config.into(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None, b"")
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None, b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.json("POST", path, body)
    }

    /// Like `post`; none when no answer comes.
    pub(crate) fn try_post(&self, path: &str, body: &Value) -> Option<Answer> {
        let request = self.request("POST", path, Some("application/json"));
        let response = self
            .agent
            .run(request.body(body.to_string()).unwrap())
            .ok()?;
        answer(response)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Answer {
        self.json("PUT", path, body)
    }

    pub(crate) fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(
            method,
            path,
            Some("application/json"),
            body.to_string().as_bytes(),
        )
    }

    pub(crate) fn form(&self, path: &str, fields: &[(&str, String)]) -> Answer {
        let body = serde_urlencoded::to_string(fields).unwrap();
        self.send(
            "POST",
            path,
            Some("application/x-www-form-urlencoded"),
            body.as_bytes(),
        )
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Answer {
        let request = self.request(method, path, content_type).body(body).unwrap();
        answer(self.agent.run(request).unwrap()).unwrap()
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        content_type: Option<&str>,
    ) -> ureq::http::request::Builder {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        if !self.authorization.is_empty() {
            request = request.header("authorization", &self.authorization);
        }
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        request
    }
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Option<Answer> {
    let text = response.body_mut().read_to_string().ok()?;
    Some(Answer {
        status: response.status().as_u16(),
        body: serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.clone())),
        headers: response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("").to_owned()))
            .collect(),
        text,
    })
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
