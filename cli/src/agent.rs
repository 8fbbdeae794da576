//! `clampd agent` and `clampd kill`: who may call, and the end of it.

mod boundaries;
mod order;
mod short;

use std::{fs, io::Read as _, path::PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

pub(crate) use self::order::{KillArguments, kill};
use self::{boundaries::BoundariesVerb, order::Order, short::Short};
use crate::{
    Outcome,
    control_plane::{ControlPlane, list_of, text_of},
    error::CliError,
    global::Global,
    http::path_segment,
    output::Output,
    table::{Table, printable},
};

/// The longest secret file that is read.
const SECRET_BYTES_MAX: u64 = 4096;

/// What `agent` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentVerb {
    /// List all registered agents with state and risk
    List {
        /// Show ids whole
        #[arg(long)]
        wide: bool,
    },
    /// Register an agent; its secret is shown once
    Register(RegisterArguments),
    /// Show an agent
    Show {
        /// Its id, or the beginning of it
        id: String,
    },
    /// What an agent may use at most, and when and where it may act
    Boundaries {
        #[command(subcommand)]
        verb: BoundariesVerb,
    },
    /// Stop an agent for a while
    Suspend(OrderArguments),
    /// Let a suspended or killed agent act again
    Revive(OrderArguments),
    /// Give an agent a new secret, shown once; the old one is refused from then on
    Rotate {
        /// Its id, or the beginning of it
        id: String,
        /// Read the new secret from this file (`-`: standard input) instead of making one
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
    },
}

/// A new agent.
#[derive(Debug, Args)]
pub(crate) struct RegisterArguments {
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// Its id: 1 to 128 characters of A-Z a-z 0-9 _ . : -; a UUID when not given
    #[arg(long)]
    id: Option<String>,
    /// A scope that it holds, such as `db:read`; may be repeated or separated by commas
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<String>,
    /// A group that policies know it by; may be repeated or separated by commas
    #[arg(long = "group", value_name = "GROUP", value_delimiter = ',')]
    groups: Vec<String>,
    /// What it is for, in a few words that policies may ask for
    #[arg(long)]
    purpose: Option<String>,
    /// What it is built with, such as `langchain`
    #[arg(long)]
    framework: Option<String>,
    /// The agent that delegates to it; a kill with --cascade reaches it
    #[arg(long, value_name = "ID")]
    delegated_by: Option<String>,
    /// Read its secret from this file (`-`: standard input) instead of making one
    #[arg(long, value_name = "FILE", conflicts_with = "public_key")]
    secret_file: Option<PathBuf>,
    /// Its Ed25519 public key: 32 bytes, base64url without padding
    #[arg(long, value_name = "KEY")]
    public_key: Option<String>,
}

/// An order to an agent.
#[derive(Debug, Args)]
pub(crate) struct OrderArguments {
    /// Its id, or the beginning of it
    id: String,
    /// Why, for the audit trail
    #[arg(long)]
    reason: Option<String>,
    /// Also the agents that it delegated to
    #[arg(long)]
    cascade: bool,
}

/// Runs a verb of `agent`.
pub(crate) fn run(verb: AgentVerb, global: &Global, out: &mut Output) -> Result<Outcome, CliError> {
    let control_plane = ControlPlane::of(global)?;
    match verb {
        AgentVerb::List { wide } => {
            let agents = control_plane.get("/v1/agents")?;
            if global.json {
                out.json_line(&agents)?;
            } else {
                list(list_of(&agents, "agents"), wide, out)?;
            }
        }
        AgentVerb::Register(arguments) => {
            let agent = control_plane.post("/v1/agents", &arguments.body()?)?;
            if global.json {
                out.json_line(&agent)?;
            } else {
                out.line(format!("Agent {} registered", text_of(&agent, "id")))?;
                told_once(&agent, out)?;
            }
        }
        AgentVerb::Show { id } => {
            let (_, agent) = named(&control_plane, &id, |path| control_plane.get(path))?;
            show(&agent, global, out)?;
        }
        AgentVerb::Boundaries { verb } => {
            return boundaries::run(verb, &control_plane, global, out);
        }
        AgentVerb::Suspend(arguments) => {
            return order::give(Order::Suspend, &arguments, &control_plane, global, out);
        }
        AgentVerb::Revive(arguments) => {
            return order::give(Order::Revive, &arguments, &control_plane, global, out);
        }
        AgentVerb::Rotate { id, secret_file } => {
            let mut body = json!({});
            if let Some(file) = secret_file {
                insert(&mut body, "secret", secret_of(&file)?.into());
            }
            let rotate = |path: &str| control_plane.post(&format!("{path}/rotate"), &body);
            let (id, rotated) = named(&control_plane, &id, rotate)?;
            if global.json {
                out.json_line(&rotated)?;
            } else {
                out.line(format!("Agent {id} has a new secret"))?;
                told_once(&rotated, out)?;
            }
        }
    }
    Ok(Outcome::AsWanted)
}

/// Does `act` with the path of the agent that `typed` names: its id, or the beginning of one id.
fn named<T>(
    control_plane: &ControlPlane,
    typed: &str,
    act: impl Fn(&str) -> Result<T, CliError>,
) -> Result<(String, T), CliError> {
    let path = |id: &str| format!("/v1/agents/{}", path_segment(id));
    let begins = typed.trim_end_matches('.');
    if begins.is_empty() {
        return Err(CliError::Usage("an agent's id is wanted".to_owned()));
    }
    if !typed.ends_with("..") {
        match act(&path(typed)) {
            Err(CliError::Refused { code, .. }) if code == "agent_not_found" => {}
            done => return Ok((typed.to_owned(), done?)),
        }
    }
    let agents = control_plane.get("/v1/agents")?;
    let ids = list_of(&agents, "agents")
        .iter()
        .map(|agent| text_of(agent, "id"));
    let ids: Vec<&str> = ids.filter(|id| id.starts_with(begins)).collect();
    match ids.as_slice() {
        [id] => Ok(((*id).to_owned(), act(&path(id))?)),
        [] => Err(CliError::NotFound(format!(
            "no agent `{typed}`: `clampd agent list` names them"
        ))),
        some => {
            let some = some.join(", ");
            Err(CliError::NotFound(format!(
                "`{typed}` begins the ids of several agents: {some}"
            )))
        }
    }
}

impl RegisterArguments {
    fn body(&self) -> Result<Value, CliError> {
        let mut body = json!({ "scopes": self.scopes, "groups": self.groups });
        let secret = self.secret_file.as_ref().map(secret_of).transpose()?;
        for (field, value) in [
            ("id", &self.id),
            ("name", &self.name),
            ("purpose", &self.purpose),
            ("framework", &self.framework),
            ("delegated_by", &self.delegated_by),
            ("public_key", &self.public_key),
            ("secret", &secret),
        ] {
            if let Some(value) = value {
                insert(&mut body, field, value.as_str().into());
            }
        }
        Ok(body)
    }
}

fn insert(body: &mut Value, field: &str, value: Value) {
    if let Some(body) = body.as_object_mut() {
        body.insert(field.to_owned(), value);
    }
}

fn secret_of(file: &PathBuf) -> Result<String, CliError> {
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin()
            .lock()
            .take(SECRET_BYTES_MAX)
            .read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|file| file.take(SECRET_BYTES_MAX).read_to_string(&mut text))
    };
    read.map_err(CliError::file(file))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn list(agents: &[Value], wide: bool, out: &mut Output) -> Result<(), CliError> {
    let ids: Vec<&str> = agents.iter().map(|agent| text_of(agent, "id")).collect();
    let short = Short::among(&ids);
    let mut table = Table::new(&["ID", "Name", "State", "Risk", "Framework"]);
    for agent in agents {
        let id = text_of(agent, "id");
        table.row([
            if wide { id.to_owned() } else { short.of(id) },
            text_of(agent, "name").to_owned(),
            text_of(agent, "state").to_owned(),
            risk_word(text_of(agent, "risk")).to_owned(),
            text_of(agent, "framework").to_owned(),
        ]);
    }
    Ok(table.write(out)?)
}

/// The word for a risk as tables show it.
pub(crate) fn risk_word(risk: &str) -> &str {
    match risk {
        "medium" => "med",
        other => other,
    }
}

fn show(agent: &Value, global: &Global, out: &mut Output) -> Result<(), CliError> {
    if global.json {
        return Ok(out.json_line(agent)?);
    }
    for (field, value) in agent.as_object().into_iter().flatten() {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            Value::Array(items) => {
                let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                items.join(" ")
            }
            other => other.to_string(),
        };
        out.line(format!("{field:12} {}", printable(&value)).trim_end())?;
    }
    Ok(())
}

fn told_once(answer: &Value, out: &mut Output) -> Result<(), CliError> {
    if let Some(secret) = answer.get("secret").and_then(Value::as_str) {
        out.line(format!("Secret: {secret}"))?;
        out.line("It is shown only now: keep it where the agent finds it.")?;
    }
    Ok(())
}
