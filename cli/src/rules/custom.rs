//! `clampd rules push | pull | delete` and `list --custom`: an organisation's own rules, as the
//! control plane keeps them.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clampd_rule_compiler::{FILE_BYTES_MAX, RuleSource, compile_own};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    control_plane::{ControlPlane, list_of, text_of},
    error::CliError,
    global::Global,
    http::{Body, path_segment},
    output::Output,
    table::Columns,
};

/// A file to be put in force.
#[derive(Debug, Args)]
pub(crate) struct PushArguments {
    /// The rules, in TOML; `-` is standard input
    file: PathBuf,
    /// What it is kept as [default: the file's name without its ending]
    #[arg(long)]
    name: Option<String>,
}

pub(super) fn push(
    arguments: &PushArguments,
    global: &Global,
    out: &mut Output,
) -> Result<(), CliError> {
    let text = read(&arguments.file)?;
    let stem = arguments.file.file_stem().and_then(|stem| stem.to_str());
    let name = match (&arguments.name, stem) {
        (Some(name), _) => name,
        (None, Some(stem)) if stem != "-" => stem,
        _ => return Err(CliError::Usage("--name NAME is wanted".to_owned())),
    };
    let kept = ControlPlane::of(global)?
        .send("PUT", &path(name), &Body::toml(text))?
        .expect_success()?;
    if global.json {
        return Ok(out.json_line(&kept)?);
    }
    let rules = list_of(&kept, "rules").len();
    Ok(out.line(format!("{name}: {rules} rules are in force"))?)
}

pub(super) fn pull(name: &str, global: &Global, out: &mut Output) -> Result<(), CliError> {
    let file = ControlPlane::of(global)?.get(&path(name))?;
    if global.json {
        return Ok(out.json_line(&file)?);
    }
    // As it was written, so that it can be pushed again; its line end is printed with the line.
    let source = text_of(&file, "source");
    Ok(out.line(source.strip_suffix('\n').unwrap_or(source))?)
}

pub(super) fn delete(name: &str, global: &Global, out: &mut Output) -> Result<(), CliError> {
    ControlPlane::of(global)?.delete(&path(name))?;
    let deleted = json!({ "deleted": name });
    Ok(out.done(global, format!("Rules {name} deleted"), &deleted)?)
}

/// Lists the organisation's own rules and how they count.
pub(super) fn list(
    category: Option<&str>,
    global: &Global,
    out: &mut Output,
) -> Result<(), CliError> {
    let answer = ControlPlane::of(global)?.get("/v1/rules")?;
    let own: Vec<&Value> = list_of(&answer, "rules")
        .iter()
        .filter(|rule| !text_of(rule, "file").is_empty())
        .filter(|rule| category.is_none_or(|wanted| text_of(rule, "category") == wanted))
        .collect();
    if global.json {
        return Ok(out.json_line(&json!({ "rules": own }))?);
    }
    const FIELDS: [&str; 6] = ["id", "category", "severity", "mode", "file", "name"];
    let mut columns = Columns::new(&FIELDS.map(str::to_uppercase));
    for rule in &own {
        columns.row(FIELDS.map(|field| text_of(rule, field).to_owned()));
    }
    columns.write(out)?;
    Ok(out.line(format!("{} rules", own.len()))?)
}

/// Compiles one file as the control plane does, but for what it would stand beside there.
pub(super) fn check(file: &Path) -> Result<Vec<RuleSource>, CliError> {
    let text = read(file)?;
    let built_in = |id: &str| {
        let mut rules = clampd_ruleset::RULES.iter();
        rules
            .any(|rule| rule.id == id)
            .then(|| "a built-in rule".to_owned())
    };
    let (rules, _) = compile_own(&file.display().to_string(), &text, &built_in)
        .map_err(|errors| super::wrong(&errors))?;
    Ok(rules)
}

fn read(file: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let most = FILE_BYTES_MAX as u64 + 1;
    let read = if file == Path::new("-") {
        io::stdin().lock().take(most).read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|file| file.take(most).read_to_string(&mut text))
    };
    read.map_err(CliError::file(file))?;
    Ok(text)
}

fn path(name: &str) -> String {
    format!("/v1/rules/{}", path_segment(name))
}
