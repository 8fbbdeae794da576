//! `clampd key`: the API keys of operators, gateways, tools and agents.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::{
    Outcome,
    control_plane::{ControlPlane, list_of, text_of},
    error::CliError,
    global::Global,
    http::path_segment,
    output::Output,
    table::Table,
    time,
};

/// What `key` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyVerb {
    /// List the keys; the keys themselves are not kept
    List,
    /// Make a key; it is shown once
    Create(CreateArguments),
    /// Forget a key; it is refused from then on
    Delete {
        /// Its id
        id: String,
    },
}

/// A new key.
#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// What it may do
    #[arg(long)]
    role: RoleWord,
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// For the role tool: the only audience whose tokens it may introspect
    #[arg(long)]
    audience: Option<String>,
}

/// A role.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleWord {
    /// Everything
    Admin,
    /// Agents, tools, policies, kills
    Operator,
    /// Looking
    Auditor,
    /// A gateway
    Proxy,
    /// A tool that introspects tokens
    Tool,
    /// The X-AG-Key that agents send to a gateway
    Agent,
}

/// Runs a verb of `key`.
pub(crate) fn run(verb: &KeyVerb, global: &Global, out: &mut Output) -> Result<Outcome, CliError> {
    let control_plane = ControlPlane::of(global)?;
    match verb {
        KeyVerb::List => {
            let keys = control_plane.get("/v1/keys")?;
            if global.json {
                out.json_line(&keys)?;
            } else {
                list(list_of(&keys, "keys"), out)?;
            }
        }
        KeyVerb::Create(arguments) => {
            let key = control_plane.post("/v1/keys", &arguments.body())?;
            if global.json {
                out.json_line(&key)?;
            } else {
                out.line(format!("Key {} created", text_of(&key, "id")))?;
                out.line(format!("Key: {}", text_of(&key, "key")))?;
                out.line("It is shown only now.")?;
            }
        }
        KeyVerb::Delete { id } => {
            control_plane.delete(&format!("/v1/keys/{}", path_segment(id)))?;
            let deleted = json!({ "deleted": id });
            out.done(global, format!("Key {id} deleted"), &deleted)?;
        }
    }
    Ok(Outcome::AsWanted)
}

fn list(keys: &[Value], out: &mut Output) -> Result<(), CliError> {
    let mut table = Table::new(&["ID", "Role", "Name", "Audience", "Created"]);
    for key in keys {
        let created = key.get("created_at").and_then(Value::as_u64);
        table.row([
            text_of(key, "id").to_owned(),
            text_of(key, "role").to_owned(),
            text_of(key, "name").to_owned(),
            text_of(key, "audience").to_owned(),
            created.map(time::date_and_time).unwrap_or_default(),
        ]);
    }
    Ok(table.write(out)?)
}

impl CreateArguments {
    fn body(&self) -> Value {
        let role = self.role.to_possible_value();
        let role = role.as_ref().map(clap::builder::PossibleValue::get_name);
        let mut body = json!({ "role": role });
        for (field, value) in [("name", &self.name), ("audience", &self.audience)] {
            if let (Some(value), Some(body)) = (value, body.as_object_mut()) {
                body.insert(field.to_owned(), value.as_str().into());
            }
        }
        body
    }
}
