//! `clampd tool`: the catalogue of what agents may call.

use std::path::PathBuf;

use clampd_model::{Approval, ToolCategory};
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
    table::{Table, printable},
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
    /// Show a tool and the descriptors that are known of it
    Show {
        /// Its name
        name: String,
    },
    /// Approve a tool, or a descriptor that a server tells of it and the tool with it
    Approve(DecisionArguments),
    /// Reject a tool, or a descriptor that a server tells of it and the tool with it
    Reject(DecisionArguments),
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
    /// Leave it to be approved; calls to it are refused until then
    #[arg(long)]
    pending: bool,
}

/// What to approve or reject.
#[derive(Debug, Args)]
pub(crate) struct DecisionArguments {
    /// The tool's name
    name: String,
    /// The descriptor: the SHA-256 of its canonical JSON, or the beginning of one that is known
    #[arg(long, value_name = "SHA256")]
    descriptor: Option<String>,
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
        ToolVerb::Show { name } => {
            let tool = control_plane.get(&path(name))?;
            show(&tool, global, out)?;
        }
        ToolVerb::Approve(arguments) => {
            decide(arguments, Approval::Approved, &control_plane, global, out)?;
        }
        ToolVerb::Reject(arguments) => {
            decide(arguments, Approval::Rejected, &control_plane, global, out)?;
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
    let mut table = Table::new(&["Name", "State", "Scope", "Category", "Audience", "Upstream"]);
    for tool in tools {
        let fields = ["name", "state", "scope", "category", "audience", "upstream"];
        table.row(fields.map(|field| text_of(tool, field).to_owned()));
    }
    Ok(table.write(out)?)
}

fn show(tool: &Value, global: &Global, out: &mut Output) -> Result<(), CliError> {
    if global.json {
        return Ok(out.json_line(tool)?);
    }
    for field in [
        "name", "state", "scope", "category", "audience", "upstream", "binding",
    ] {
        let text = printable(text_of(tool, field));
        out.line(format!("{field:12} {text}").trim_end())?;
    }
    for descriptor in list_of(tool, "descriptors") {
        let (state, sha256) = (text_of(descriptor, "state"), text_of(descriptor, "sha256"));
        out.line(format!("descriptor   {sha256} {state}"))?;
    }
    Ok(())
}

fn decide(
    arguments: &DecisionArguments,
    state: Approval,
    control_plane: &ControlPlane,
    global: &Global,
    out: &mut Output,
) -> Result<(), CliError> {
    let mut body = json!({ "tool": arguments.name, "state": state.as_str() });
    if let (Some(begins), Some(body)) = (&arguments.descriptor, body.as_object_mut()) {
        let tool = control_plane.get(&path(&arguments.name))?;
        body.insert("descriptor".to_owned(), whole(begins, &tool)?.into());
    }
    let tool = control_plane.post("/v1/tool-approvals", &body)?;
    show(&tool, global, out)
}

/// The hash that was typed, or the only one among the tool's descriptors that begins so.
fn whole(begins: &str, tool: &Value) -> Result<String, CliError> {
    let hashes = list_of(tool, "descriptors").iter();
    let hashes = hashes.map(|descriptor| text_of(descriptor, "sha256"));
    let hashes: Vec<&str> = hashes.filter(|hash| hash.starts_with(begins)).collect();
    match hashes.as_slice() {
        [hash] => Ok((*hash).to_owned()),
        [] if begins.len() == 64 => Ok(begins.to_owned()),
        [] => Err(CliError::NotFound(format!(
            "no descriptor of the tool begins with `{begins}`: `clampd tool show` names them"
        ))),
        _ => Err(CliError::NotFound(format!(
            "several descriptors of the tool begin with `{begins}`"
        ))),
    }
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
            (
                "state",
                self.pending.then(|| Approval::Pending.as_str().into()),
            ),
        ] {
            if let (Some(value), Some(body)) = (value, body.as_object_mut()) {
                body.insert(field.to_owned(), value);
            }
        }
        Ok(body)
    }
}
