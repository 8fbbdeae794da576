//! `clampd policy`: what calls are allowed beyond what the rules find.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

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
};

/// The longest policy file that is read.
const POLICY_BYTES_MAX: u64 = 256 * 1024;

/// What `policy` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyVerb {
    /// Show active policies
    List,
    /// Add a policy, or put it in the place of the one of that id
    Put(PutArguments),
    /// Delete a policy
    Delete {
        /// Its id
        id: String,
    },
}

/// A policy: from a file, or from what is given here. It applies when everything given holds.
#[derive(Debug, Args)]
pub(crate) struct PutArguments {
    /// Its id
    id: String,
    /// Its JSON: `{"effect", "reason", "when": [..]}`; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["effect", "reason"])]
    file: Option<PathBuf>,
    /// What it does to a call
    #[arg(long, required_unless_present = "file")]
    effect: Option<EffectWord>,
    /// Why, in words for whoever is refused
    #[arg(long, required_unless_present = "file")]
    reason: Option<String>,
    /// For these agents
    #[arg(
        long = "agent",
        value_name = "ID",
        value_delimiter = ',',
        conflicts_with = "file"
    )]
    agents: Vec<String>,
    /// For these tools; a `*` at the end stands for any ending
    #[arg(
        long = "tool",
        value_name = "NAME",
        value_delimiter = ',',
        conflicts_with = "file"
    )]
    tools: Vec<String>,
    /// For tools of these categories
    #[arg(
        long = "category",
        value_name = "CATEGORY",
        value_delimiter = ',',
        conflicts_with = "file"
    )]
    categories: Vec<String>,
    /// For tools whose scope is covered by one of these
    #[arg(
        long = "scope",
        value_name = "SCOPE",
        value_delimiter = ',',
        conflicts_with = "file"
    )]
    scopes: Vec<String>,
    /// For calls of at least this risk, 0 to 1
    #[arg(long, value_name = "RISK", conflicts_with = "file")]
    risk_at_least: Option<f64>,
    /// For calls in which a rule of one of these categories was found
    #[arg(
        long = "found",
        value_name = "CATEGORY",
        value_delimiter = ',',
        conflicts_with = "file"
    )]
    found: Vec<String>,
    /// For calls whose delegation chain has at least this many members
    #[arg(long, value_name = "DEPTH", conflicts_with = "file")]
    delegation_depth_at_least: Option<u8>,
}

/// What a policy does.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum EffectWord {
    /// Lets the call pass though its risk would block it
    Permit,
    /// Lets it pass and marks it
    Flag,
    /// Stops it
    Forbid,
}

/// Runs a verb of `policy`.
pub(crate) fn run(
    verb: &PolicyVerb,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let control_plane = ControlPlane::of(global)?;
    match verb {
        PolicyVerb::List => {
            let policies = control_plane.get("/v1/policies")?;
            if global.json {
                out.json_line(&policies)?;
            } else {
                list(list_of(&policies, "policies"), out)?;
            }
        }
        PolicyVerb::Put(arguments) => {
            let path = format!("/v1/policies/{}", path_segment(&arguments.id));
            let policy = control_plane.put(&path, &arguments.body()?)?;
            if global.json {
                out.json_line(&policy)?;
            } else {
                out.line(format!("Policy {} is in force", text_of(&policy, "id")))?;
            }
        }
        PolicyVerb::Delete { id } => {
            control_plane.delete(&format!("/v1/policies/{}", path_segment(id)))?;
            let deleted = json!({ "deleted": id });
            out.done(global, format!("Policy {id} deleted"), &deleted)?;
        }
    }
    Ok(Outcome::AsWanted)
}

fn list(policies: &[Value], out: &mut Output) -> Result<(), CliError> {
    let mut table = Table::new(&["ID", "Effect", "When", "Reason"]);
    for policy in policies {
        let when: Vec<String> = list_of(policy, "when").iter().map(condition).collect();
        table.row([
            text_of(policy, "id").to_owned(),
            text_of(policy, "effect").to_owned(),
            if when.is_empty() {
                "always".to_owned()
            } else {
                when.join(" and ")
            },
            text_of(policy, "reason").to_owned(),
        ]);
    }
    Ok(table.write(out)?)
}

/// A condition in few words: its name and its values.
fn condition(condition: &Value) -> String {
    let fields = condition.as_object().into_iter().flatten();
    let words: Vec<String> = fields
        .map(|(name, value)| {
            let values = match value {
                Value::Array(items) => {
                    let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                    items.join(",")
                }
                other => other.to_string(),
            };
            format!("{} {values}", name.replace('_', " "))
        })
        .collect();
    words.join(" ")
}

impl PutArguments {
    fn body(&self) -> Result<Value, CliError> {
        if let Some(file) = &self.file {
            return json_of(file, POLICY_BYTES_MAX);
        }
        let mut when = Vec::new();
        for (name, values) in [
            ("agent_in", &self.agents),
            ("tool_in", &self.tools),
            ("category_in", &self.categories),
            ("scope_in", &self.scopes),
            ("found_in", &self.found),
        ] {
            if !values.is_empty() {
                when.push(json!({ name: values }));
            }
        }
        if let Some(risk) = self.risk_at_least {
            when.push(json!({ "risk_at_least": risk }));
        }
        if let Some(depth) = self.delegation_depth_at_least {
            when.push(json!({ "delegation_depth_at_least": depth }));
        }
        let effect = self.effect.as_ref().and_then(EffectWord::to_possible_value);
        let effect = effect.as_ref().map(clap::builder::PossibleValue::get_name);
        Ok(json!({ "effect": effect, "reason": self.reason, "when": when }))
    }
}

/// The JSON in a file; `-` is standard input.
pub(crate) fn json_of(file: &Path, bytes_max: u64) -> Result<Value, CliError> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(bytes_max).read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|file| file.take(bytes_max).read_to_string(&mut text))
    };
    read.map_err(CliError::file(file))?;
    serde_json::from_str(&text)
        .map_err(|e| CliError::Usage(format!("`{}` is not JSON: {e}", file.display())))
}
