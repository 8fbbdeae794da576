//! A control plane with its own database and port.

use clampd_control_plane::{
    config::{Settings, StorageArguments},
    service::{self, Running},
    store::FirstKeys,
};
use clampd_model::{AuditEvent, PolicyAction, RiskLevel, RiskScore};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::clampd::Clampd;

/// A running service.
pub(crate) struct Scene {
    pub(crate) keys: FirstKeys,
    pub(crate) url: String,
    running: Option<Running>,
    runtime: Runtime,
    data: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let data = TempDir::new().unwrap();
        let directory = data.path().join("data");
        let storage = StorageArguments::in_directory(&directory);
        let keys = service::initialise(&storage, Some("org_a".to_owned()), "A").unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let running = service::start(&storage, listen, Settings::default());
        let running = runtime.block_on(running).unwrap();
        Self {
            url: format!("http://{}", running.address),
            keys,
            running: Some(running),
            runtime,
            data,
        }
    }

    /// The command in the hands of this service's administrator.
    pub(crate) fn admin(&self) -> Clampd {
        self.clampd(&self.keys.admin_key)
    }

    /// The command with that key.
    pub(crate) fn clampd(&self, key: &str) -> Clampd {
        Clampd::new()
            .with("CLAMPD_DASHBOARD_URL", &self.url)
            .with("CLAMPD_API_TOKEN", key)
    }

    /// The command with a new key of that role.
    pub(crate) fn role(&self, role: &str) -> Clampd {
        let made = self.admin().json(&["key", "create", "--role", role]);
        self.clampd(made["key"].as_str().unwrap())
    }

    /// Changes the database behind the service's back.
    pub(crate) fn alter(&self, sql: &str) {
        let path = self.data.path().join("data/clampd.db");
        let database = rusqlite::Connection::open(path).unwrap();
        assert_eq!(database.execute(sql, ()).unwrap(), 1);
    }

    /// What the service answers its administrator.
    pub(crate) fn get(&self, path: &str) -> String {
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        let answer = agent
            .get(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", self.keys.admin_key))
            .call();
        answer.unwrap().body_mut().read_to_string().unwrap()
    }

    /// Sends audit events as a gateway does.
    pub(crate) fn audit(&self, events: &[AuditEvent]) {
        let agent: ureq::Agent = ureq::Agent::config_builder().proxy(None).build().into();
        let answer = agent
            .post(format!("{}/v1/audit/events", self.url))
            .header("authorization", format!("Bearer {}", self.keys.proxy_key))
            .content_type("application/json")
            .send(json!({ "events": events }).to_string());
        assert_eq!(answer.unwrap().status(), 200);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let _ = self.runtime.block_on(running.stop());
        }
    }
}

/// A judgement of `agent`'s call to `tool`.
pub(crate) fn event(id: &str, agent: &str, tool: &str, denied_for: Option<&str>) -> AuditEvent {
    let risk = if denied_for.is_some() { 0.95 } else { 0.0 };
    AuditEvent {
        event_id: id.to_owned(),
        request_id: format!("request-{id}"),
        agent_id: agent.to_owned(),
        agent_name: agent.to_owned(),
        tool_name: tool.to_owned(),
        tool_action: "proxy".to_owned(),
        risk_score: RiskScore::new(risk),
        assessed_risk: if denied_for.is_some() {
            RiskLevel::Critical
        } else {
            RiskLevel::Low
        },
        policy_action: if denied_for.is_some() {
            PolicyAction::Deny
        } else {
            PolicyAction::Allow
        },
        scope_granted: denied_for.is_none().then(|| "db:read".to_owned()),
        blocked: denied_for.is_some(),
        denial_reason: denied_for.map(str::to_owned),
        timestamp: 1_735_740_062_000_000,
        ..AuditEvent::default()
    }
}
