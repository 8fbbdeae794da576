//! `clampd tool`: the catalogue of what agents may call.

use std::path::PathBuf;

use clampd_model::ToolCategory;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    Outcome,
    control_plane::{ControlPlane, list_of, text_of},
    error::CliError,
    global::Global,
    http::path_segment,
    output::Output,
    policy::json_of,
    table::Table,
};

/// The longest descriptor that is read.
const DESCRIPTOR_BYTES_MAX: u64 = 256 * 1024;

/// What `tool` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum ToolVerb {
    /// List the catalogue
    List,
    /// Add a tool, or put it in the place of the one of that name
    Put(PutArguments),
    /// Delete a tool; calls to it are refused from then on
    Delete {
        /// Its name
        name: String,
    },
}

/// A tool.
#[derive(Debug, Args)]
pub(crate) struct PutArguments {
    /// Its name, such as `database.query`
    name: String,
    /// The scope that an agent must hold to call it, such as `db:read`
    #[arg(long)]
    scope: String,
    /// What kind of tool it is
    #[arg(long, default_value = "other", value_parser = category)]
    category: ToolCategory,
    /// The URL that calls may be forwarded to
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// The service that its tokens are for; the upstream's origin or the tool's name when not given
    #[arg(long)]
    audience: Option<String>,
    /// Its descriptor as JSON (`-`: standard input), to be pinned
    #[arg(long, value_name = "FILE")]
    descriptor: Option<PathBuf>,
}

fn category(word: &str) -> Result<ToolCategory, String> {
    let known = ToolCategory::ALL
        .into_iter()
        .find(|known| known.as_str() == word);
    known.ok_or_else(|| {
        let words = ToolCategory::ALL.map(ToolCategory::as_str);
        format!("one of {} is wanted", words.join(", "))
    })
}

/// Runs a verb of `tool`.
pub(crate) fn run(verb: &ToolVerb, global: &Global, out: &mut Output) -> Result<Outcome, CliError> {
    let control_plane = ControlPlane::of(global)?;
    match verb {
        ToolVerb::List => {
            let tools = control_plane.get("/v1/tools")?;
            if global.json {
                out.json_line(&tools)?;
            } else {
                list(list_of(&tools, "tools"), out)?;
            }
        }
        ToolVerb::Put(arguments) => {
            let tool = control_plane.put(&path(&arguments.name), &arguments.body()?)?;
            if global.json {
                out.json_line(&tool)?;
            } else {
                out.line(format!(
                    "Tool {} is in the catalogue",
                    text_of(&tool, "name")
                ))?;
                out.line(format!("Binding: {}", text_of(&tool, "binding")))?;
            }
        }
        ToolVerb::Delete { name } => {
            control_plane.delete(&path(name))?;
            let deleted = json!({ "deleted": name });
            out.done(global, format!("Tool {name} deleted"), &deleted)?;
        }
    }
    Ok(Outcome::AsWanted)
}

/// A tool's name may hold slashes, which the route takes as they are.
fn path(name: &str) -> String {
    let segments: Vec<String> = name.split('/').map(path_segment).collect();
    format!("/v1/tools/{}", segments.join("/"))
}

fn list(tools: &[Value], out: &mut Output) -> Result<(), CliError> {
    let mut table = Table::new(&["Name", "Scope", "Category", "Audience", "Upstream"]);
    for tool in tools {
        let fields = ["name", "scope", "category", "audience", "upstream"];
        table.row(fields.map(|field| text_of(tool, field).to_owned()));
    }
    Ok(table.write(out)?)
}

impl PutArguments {
    fn body(&self) -> Result<Value, CliError> {
        let mut body = json!({ "scope": self.scope, "category": self.category.as_str() });
        let descriptor = self.descriptor.as_deref();
        let descriptor = descriptor
            .map(|file| json_of(file, DESCRIPTOR_BYTES_MAX))
            .transpose()?;
        for (field, value) in [
            ("upstream", self.upstream.as_deref().map(Value::from)),
            ("audience", self.audience.as_deref().map(Value::from)),
            ("descriptor", descriptor),
        ] {
            if let (Some(value), Some(body)) = (value, body.as_object_mut()) {
                body.insert(field.to_owned(), value);
            }
        }
        Ok(body)
    }
}
