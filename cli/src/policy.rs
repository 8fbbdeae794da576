//! `clampd policy`: what agents may do, in Cedar. Checking and trying need no control plane.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use clampd_policy_compiler::{
    BASE_ID, BASE_TEXT, Compiled, Compiler, Explanation, Question, SCHEMA_TEXT, TEMPLATES,
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

/// The longest file that is read.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// What `policy` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyVerb {
    /// Show the documents in force and their policies
    List,
    /// Show the text of a document in force
    Show {
        /// Its id
        id: String,
    },
    /// Say whether files of policies can be put in force, and what is wrong where
    Check {
        /// Cedar; `-` is standard input
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Put a file in force, in the place of the document of its id
    Push {
        /// Cedar; `-` is standard input
        file: PathBuf,
        /// The document's id; the file's name without its ending when not given
        #[arg(long)]
        id: Option<String>,
    },
    /// Delete a document
    Delete {
        /// Its id
        id: String,
    },
    /// Say what a file makes of a request, here, together with the built-in base
    Test(TestArguments),
    /// Say what the policies in force make of a request, and why
    Explain(ExplainArguments),
    /// Show the documents to begin with, or the text of one
    Template {
        /// Its id
        id: Option<String>,
    },
    /// Show what policies can ask about
    Schema,
}

/// A file and a request.
#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    /// Cedar; a file named `base.cedar` stands in the place of the built-in base
    file: PathBuf,
    /// The request: JSON, or `@` and a file of it
    #[arg(long, value_name = "JSON|@FILE")]
    request: String,
    /// End with 1 when the verdict is another
    #[arg(long, value_name = "VERDICT")]
    expect: Option<Expected>,
}

/// A request about what is registered.
#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The agent's id
    #[arg(long)]
    agent: String,
    /// The tool's name
    #[arg(long)]
    tool: String,
    /// What is to be done
    #[arg(long, default_value = "call")]
    action: String,
    /// What is known beside: JSON, or `@` and a file of it
    #[arg(long, value_name = "JSON|@FILE")]
    context: Option<String>,
    /// A file of policies to be evaluated as if it were in force
    #[arg(long, value_name = "FILE")]
    draft: Option<PathBuf>,
}

/// The verdict that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Expected {
    Pass,
    Flag,
    Block,
}

/// Runs a verb of `policy`.
pub(crate) fn run(
    verb: &PolicyVerb,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    match verb {
        PolicyVerb::Check { files } => return check(files, global, out),
        PolicyVerb::Test(arguments) => return test(arguments, global, out),
        PolicyVerb::Explain(arguments) => explain(arguments, global, out)?,
        PolicyVerb::Template { id } => template(id.as_deref(), global, out)?,
        PolicyVerb::Schema => out.line(SCHEMA_TEXT.trim_end())?,
        PolicyVerb::List => {
            let documents = ControlPlane::of(global)?.get("/v1/policies")?;
            if global.json {
                out.json_line(&documents)?;
            } else {
                list(list_of(&documents, "policies"), out)?;
            }
        }
        PolicyVerb::Show { id } => {
            let document = ControlPlane::of(global)?.get(&path(id))?;
            if global.json {
                out.json_line(&document)?;
            } else {
                out.line(text_of(&document, "cedar").trim_end())?;
            }
        }
        PolicyVerb::Push { file, id } => push(file, id.as_deref(), global, out)?,
        PolicyVerb::Delete { id } => {
            ControlPlane::of(global)?.delete(&path(id))?;
            let deleted = json!({ "deleted": id });
            out.done(global, format!("Policy document {id} deleted"), &deleted)?;
        }
    }
    Ok(Outcome::AsWanted)
}

fn path(id: &str) -> String {
    format!("/v1/policies/{}", path_segment(id))
}

fn list(documents: &[Value], out: &mut Output) -> Result<(), CliError> {
    let mut table = Table::new(&["Policy", "Effect", "Mode", "Reason"]);
    for document in documents {
        for policy in list_of(document, "policies") {
            let fields = ["id", "effect", "mode", "reason"];
            table.row(fields.map(|field| text_of(policy, field).to_owned()));
        }
    }
    Ok(table.write(out)?)
}

fn push(file: &Path, id: Option<&str>, global: &Global, out: &mut Output) -> Result<(), CliError> {
    let id = match id {
        Some(id) => id.to_owned(),
        None => id_of(file)?,
    };
    let body = json!({ "cedar": text_in(file, FILE_BYTES_MAX)? });
    let document = ControlPlane::of(global)?.put(&path(&id), &body)?;
    if global.json {
        out.json_line(&document)?;
        return Ok(());
    }
    let count = list_of(&document, "policies").len();
    out.line(format!(
        "Policy document {id} is in force, {count} policies"
    ))?;
    for warning in list_of(&document, "warnings") {
        let place = |field: &str| warning.get(field).and_then(Value::as_u64).unwrap_or(0);
        out.line(format!(
            "Warning, line {}, column {}: {}",
            place("line"),
            place("column"),
            text_of(warning, "message")
        ))?;
    }
    Ok(())
}

/// The document's id that a file's name gives.
fn id_of(file: &Path) -> Result<String, CliError> {
    let stem = file.file_stem().and_then(|stem| stem.to_str());
    let stem = stem.filter(|stem| *stem != "-");
    stem.map(str::to_owned)
        .ok_or_else(|| CliError::Usage("standard input has no name: give `--id`".to_owned()))
}

fn compiler() -> Result<Compiler, CliError> {
    Compiler::new().map_err(|error| CliError::Rules(error.to_string()))
}

fn check(files: &[PathBuf], global: &Global, out: &mut Output) -> Result<Outcome, CliError> {
    let compiler = compiler()?;
    let mut is_well = true;
    for file in files {
        let text = text_in(file, FILE_BYTES_MAX)?;
        let id = id_of(file).unwrap_or_else(|_| "stdin".to_owned());
        let (errors, warnings, count) = match compiler.compile(&id, &text) {
            Ok(Compiled { policies, warnings }) => (vec![], warnings, policies.len()),
            Err(refusal) => (refusal.0, vec![], 0),
        };
        is_well &= errors.is_empty();
        if global.json {
            out.json_line(&json!({
                "file": file.display().to_string(), "valid": errors.is_empty(),
                "errors": errors, "warnings": warnings,
            }))?;
            continue;
        }
        let remarks = errors.iter().map(|remark| ("error", remark));
        for (word, remark) in remarks.chain(warnings.iter().map(|remark| ("warning", remark))) {
            out.line(format!(
                "{}:{}:{}: {word}: {}",
                file.display(),
                remark.line,
                remark.column,
                remark.message
            ))?;
        }
        if errors.is_empty() {
            out.line(format!("{}: {count} policies, all well", file.display()))?;
        }
    }
    Ok(if is_well {
        Outcome::AsWanted
    } else {
        Outcome::NotAsWanted
    })
}

fn test(arguments: &TestArguments, global: &Global, out: &mut Output) -> Result<Outcome, CliError> {
    let compiler = compiler()?;
    let compile = |id: &str, text: &str| {
        let compiled = compiler.compile(id, text);
        compiled.map_err(|refusal| {
            CliError::Usage(format!("`{}`: {refusal}", arguments.file.display()))
        })
    };
    let id = id_of(&arguments.file)?;
    let mut policies = compile(&id, &text_in(&arguments.file, FILE_BYTES_MAX)?)?.policies;
    if id != BASE_ID {
        policies.extend(compile(BASE_ID, BASE_TEXT)?.policies);
    }
    let question: Question = serde_json::from_value(json_given(&arguments.request)?)
        .map_err(|error| CliError::Usage(format!("the request cannot be read: {error}")))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let explained = question.ask(&policies, now.map_or(0, |now| now.as_secs()));
    if global.json {
        out.json_line(&explained)?;
    } else {
        told(&explained, out)?;
    }
    let is_other = arguments.expect.is_some_and(|expected| {
        let expected = expected.to_possible_value();
        expected.is_some_and(|expected| expected.get_name() != explained.verdict)
    });
    Ok(if is_other {
        Outcome::NotAsWanted
    } else {
        Outcome::AsWanted
    })
}

fn told(explained: &Explanation, out: &mut Output) -> Result<(), CliError> {
    out.line(format!("{}: {}", explained.verdict, explained.reason))?;
    for (word, policies) in [
        ("decided by", &explained.determining),
        ("flagged by", &explained.flagging),
        ("monitored", &explained.monitored),
    ] {
        for policy in policies {
            let reason = match policy.reason.as_str() {
                "" => String::new(),
                reason => format!(" ({reason})"),
            };
            out.line(format!("  {word} {}{reason}", policy.id))?;
        }
    }
    for failed in &explained.errors {
        out.line(format!("  not evaluated {}: {}", failed.id, failed.error))?;
    }
    Ok(())
}

fn explain(
    arguments: &ExplainArguments,
    global: &Global,
    out: &mut Output,
) -> Result<(), CliError> {
    let mut body = json!({
        "agent": arguments.agent, "tool": arguments.tool, "action": arguments.action,
    });
    if let Some(fields) = body.as_object_mut() {
        if let Some(context) = &arguments.context {
            fields.insert("context".to_owned(), json_given(context)?);
        }
        if let Some(file) = &arguments.draft {
            let text = text_in(file, FILE_BYTES_MAX)?;
            fields.insert(
                "draft".to_owned(),
                json!({ "id": id_of(file)?, "cedar": text }),
            );
        }
    }
    let explained = ControlPlane::of(global)?.post("/v1/evaluate", &body)?;
    if global.json {
        out.json_line(&explained)?;
        return Ok(());
    }
    let (verdict, reason) = (
        text_of(&explained, "verdict"),
        text_of(&explained, "reason"),
    );
    out.line(format!("{verdict}: {reason}"))?;
    for (word, list) in [
        ("decided by", "determining"),
        ("flagged by", "flagging"),
        ("monitored", "monitored"),
        ("not evaluated", "errors"),
    ] {
        for policy in list_of(&explained, list) {
            out.line(format!("  {word} {}", text_of(policy, "id")))?;
        }
    }
    Ok(())
}

fn template(id: Option<&str>, global: &Global, out: &mut Output) -> Result<(), CliError> {
    let known = |id: &str| match id {
        BASE_ID => Some(BASE_TEXT),
        _ => TEMPLATES.iter().find(|t| t.id == id).map(|t| t.text),
    };
    match id {
        Some(id) => {
            let text = known(id).ok_or_else(|| {
                CliError::NotFound(format!(
                    "there is no template `{id}`; see `policy template`"
                ))
            })?;
            out.line(text.trim_end())?;
        }
        None if global.json => out.json_line(&TEMPLATES)?,
        None => {
            let mut table = Table::new(&["Template", "What it does"]);
            for template in &TEMPLATES {
                table.row([template.id.to_owned(), template.summary.to_owned()]);
            }
            table.write(out)?;
        }
    }
    Ok(())
}

/// JSON as it is given: itself, or `@` and the file that holds it.
fn json_given(given: &str) -> Result<Value, CliError> {
    match given.strip_prefix('@') {
        Some(file) => json_of(Path::new(file), FILE_BYTES_MAX),
        None => serde_json::from_str(given)
            .map_err(|error| CliError::Usage(format!("this is not JSON: {error}"))),
    }
}

/// The JSON in a file; `-` is standard input.
pub(crate) fn json_of(file: &Path, bytes_max: u64) -> Result<Value, CliError> {
    serde_json::from_str(&text_in(file, bytes_max)?)
        .map_err(|e| CliError::Usage(format!("`{}` is not JSON: {e}", file.display())))
}

/// The text in a file; `-` is standard input.
fn text_in(file: &Path, bytes_max: u64) -> Result<String, CliError> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(bytes_max).read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|file| file.take(bytes_max).read_to_string(&mut text))
    };
    read.map_err(CliError::file(file))?;
    Ok(text)
}
