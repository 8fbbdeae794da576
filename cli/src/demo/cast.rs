//! Who plays: three agents, registered for the play.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::{
    context,
    control_plane::{ControlPlane, list_of, text_of},
    error::CliError,
    gateway::{self, Gateway},
    global::Global,
    http::path_segment,
};

/// What the play calls.
pub(super) const TOOLS: [&str; 3] = ["database.query", "http.fetch", "shell.exec"];

/// How often, and how long apart, the gateway is asked whether it knows the agents.
const ATTEMPTS_MAX: u32 = 50;
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(100);

/// An agent of the play.
#[derive(Debug)]
pub(super) struct Player {
    pub(super) id: String,
    pub(super) name: &'static str,
    pub(super) gateway: Gateway,
}

/// Everybody, and what was made for them.
#[derive(Debug)]
pub(super) struct Cast {
    pub(super) scout: Player,
    pub(super) exec: Player,
    pub(super) attacker: Player,
    /// Where calls of the database tool can be forwarded to; empty when it has no upstream.
    pub(super) upstream: String,
    key_id: Option<String>,
}

impl Cast {
    /// Registers the agents and waits until the gateway knows them.
    pub(super) fn hire(
        control_plane: &ControlPlane,
        key: Option<&str>,
        global: &Global,
    ) -> Result<Self, CliError> {
        let upstream = upstream(control_plane)?;
        let (key, key_id) = match key.filter(|key| !key.is_empty()) {
            Some(key) => (key.to_owned(), None),
            None => {
                let wanted = json!({ "role": "agent", "name": "clampd demo" });
                let made = control_plane.post("/v1/keys", &wanted)?;
                (
                    text_of(&made, "key").to_owned(),
                    Some(text_of(&made, "id").to_owned()),
                )
            }
        };
        let url = context::in_use(global)?.gateway_url;
        let player = |name: &'static str, framework: &str| -> Result<Player, CliError> {
            let wanted = json!({ "name": name, "framework": framework, "scopes": ["*"] });
            let made = control_plane.post("/v1/agents", &wanted)?;
            let id = text_of(&made, "id").to_owned();
            let jwt = gateway::jwt(&id, text_of(&made, "secret"))?;
            let gateway = Gateway::called_by(&url, &key, &jwt, global)?;
            Ok(Player { id, name, gateway })
        };
        let cast = Self {
            scout: player("demo-scout", "langchain")?,
            exec: player("demo-exec", "openai")?,
            attacker: player("attacker-bot", "custom")?,
            upstream,
            key_id,
        };
        match cast.wait_until_known() {
            Ok(()) => Ok(cast),
            Err(error) => {
                cast.dismiss(control_plane)?;
                Err(error)
            }
        }
    }

    /// Suspends the agents that were not killed, and deletes the key that was made for them.
    pub(super) fn dismiss(&self, control_plane: &ControlPlane) -> Result<(), CliError> {
        for player in self.players() {
            let path = format!("/v1/agents/{}", path_segment(&player.id));
            if text_of(&control_plane.get(&path)?, "state") == "active" {
                let order = json!({ "reason": "the demo is over" });
                control_plane.post(&format!("{path}/suspend"), &order)?;
            }
        }
        if let Some(id) = &self.key_id {
            control_plane.delete(&format!("/v1/keys/{}", path_segment(id)))?;
        }
        Ok(())
    }

    fn players(&self) -> [&Player; 3] {
        [&self.scout, &self.exec, &self.attacker]
    }

    fn wait_until_known(&self) -> Result<(), CliError> {
        let hello = json!({ "text": "hello" });
        for player in self.players() {
            let mut last = None;
            for _ in 0..ATTEMPTS_MAX {
                let answer = player.gateway.post("/v1/scan-input", &hello)?;
                if answer.is_success() {
                    last = None;
                    break;
                }
                last = Some(answer);
                thread::sleep(ATTEMPT_INTERVAL);
            }
            if let Some(answer) = last {
                answer.expect_success()?;
            }
        }
        Ok(())
    }
}

fn upstream(control_plane: &ControlPlane) -> Result<String, CliError> {
    let tools = control_plane.get("/v1/tools")?;
    let tools = list_of(&tools, "tools");
    let named = |name: &str| tools.iter().find(|tool| text_of(tool, "name") == name);
    for name in TOOLS {
        if named(name).is_none() {
            return Err(CliError::NotFound(format!(
                "the play calls the tool `{name}`, which is not in the catalogue: \
                 `clampd tool put {name} --scope SCOPE` adds it"
            )));
        }
    }
    let database = named("database.query").unwrap_or(&Value::Null);
    Ok(text_of(database, "upstream").to_owned())
}
