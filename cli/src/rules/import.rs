//! `clampd rules import`: rules in another grammar as a rule file, with what became of each.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use clampd_sigma::{Breadth, FILE_BYTES_MAX, Import, Imported, SigmaFile, import};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::{Outcome, error::CliError, global::Global, output::Output};

/// What is imported.
#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// The files; one may hold several rules
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Their grammar
    #[arg(long)]
    format: Format,
    /// Where the rule file is written; it must not be there yet [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Also import rules of which a part cannot be carried over, where they then find more
    #[arg(long)]
    broader: bool,
}

/// A grammar of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// SigmaHQ's, specification 2
    Sigma,
}

pub(super) fn run(
    arguments: &ImportArguments,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let Format::Sigma = arguments.format;
    let mut texts = Vec::new();
    for path in &arguments.files {
        texts.push((path.display().to_string(), read(path)?));
    }
    let files: Vec<SigmaFile<'_>> = texts
        .iter()
        .map(|(name, text)| SigmaFile { name, text })
        .collect();
    let breadth = if arguments.broader {
        Breadth::Broader
    } else {
        Breadth::AsWritten
    };
    let imported = import(&files, breadth, *clampd_ruleset::RULES);
    if let (Some(path), Some(toml)) = (&arguments.out, &imported.toml) {
        write(path, toml)?;
    }
    if global.json {
        let toml = imported.toml.as_ref().filter(|_| arguments.out.is_none());
        let rules: Vec<_> = imported.rules.iter().map(as_json).collect();
        out.json_line(&json!({ "rules": rules, "toml": toml }))?;
    } else {
        tell(&imported)?;
        if let (None, Some(toml)) = (&arguments.out, &imported.toml) {
            out.line(toml.trim_end())?;
        }
    }
    let whole = imported.rules.iter().all(Imported::is_whole);
    Ok(if whole {
        Outcome::AsWanted
    } else {
        Outcome::NotAsWanted
    })
}

/// The text of a file, no longer than what is read of one.
fn read(path: &Path) -> Result<String, CliError> {
    let mut text = String::new();
    let one_more = FILE_BYTES_MAX as u64 + 1;
    File::open(path)
        .and_then(|file| file.take(one_more).read_to_string(&mut text))
        .map_err(CliError::file(path))?;
    Ok(text)
}

fn write(path: &Path, toml: &str) -> Result<(), CliError> {
    let opened = OpenOptions::new().write(true).create_new(true).open(path);
    match opened.and_then(|mut file| file.write_all(toml.as_bytes())) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(CliError::AlreadyThere(format!(
            "`{}` is there already: name another file, or remove it",
            path.display()
        ))),
        written => written.map_err(CliError::file(path)),
    }
}

/// What became of each rule, on standard error: standard output is the rule file's.
fn tell(import: &Import) -> io::Result<()> {
    let mut err = io::stderr().lock();
    for rule in &import.rules {
        let what = if rule.title.is_empty() {
            &rule.file
        } else {
            &rule.title
        };
        let became = match (rule.ids.as_slice(), rule.is_whole()) {
            ([], _) => "refused".to_owned(),
            (ids, true) => format!("imported as {}", ids.join(", ")),
            (ids, false) => format!("imported as {}, which finds more", ids.join(", ")),
        };
        writeln!(err, "{}: {what}: {became}", rule.file)?;
        for lost in &rule.lost {
            writeln!(err, "  lost: {lost}")?;
        }
        for note in &rule.notes {
            writeln!(err, "  note: {note}")?;
        }
    }
    let (all, refused) = (
        import.rules.len(),
        import
            .rules
            .iter()
            .filter(|rule| rule.ids.is_empty())
            .count(),
    );
    let broader = import
        .rules
        .iter()
        .filter(|rule| !rule.ids.is_empty() && !rule.is_whole())
        .count();
    writeln!(
        err,
        "{all} rules: {} imported whole, {broader} broader, {refused} refused",
        all - broader - refused
    )
}

fn as_json(rule: &Imported) -> serde_json::Value {
    let outcome = match (rule.ids.is_empty(), rule.is_whole()) {
        (true, _) => "refused",
        (false, true) => "whole",
        (false, false) => "broader",
    };
    json!({
        "file": rule.file, "title": rule.title, "outcome": outcome, "ids": rule.ids,
        "lost": rule.lost, "notes": rule.notes,
    })
}
