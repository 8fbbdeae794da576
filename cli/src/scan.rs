//! `clampd scan --jsonl`: judges lines of JSON with the engine that runs in the gateway.
//!
//! Offline: no gateway, control plane or configuration is asked, so that corpora and pipelines
//! can be judged anywhere. Policies and scopes are the gateway's and are not looked at.

mod line;
mod lines;

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use clampd_detect::{Detector, Findings, Leaf, Place};
use clampd_guard::{LEAVES_MAX, judge_text, leaves_of};
use clampd_model::{RiskScore, Settings, Subject, ToolCategory};
use clap::Args;
use serde::Serialize;
use serde_json::value::RawValue;

use self::{
    line::{Judged, Line, id_of},
    lines::{Lines, Next},
};
use crate::{Outcome, error::CliError, output::Output};

/// Reads lines `{"id", "surface": "call"|"input"|"output", "text" | "tool" and "params"}` and
/// prints `{"id", "blocked", "risk_score", "matched_rules", "labels"}` for each, in order. A line
/// that cannot be judged gives `{"id", "error"}`, and the exit code is 1 at the end.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct ScanArguments {
    /// Read and print JSON Lines
    #[arg(long, required = true)]
    jsonl: bool,
    /// The lines; `-` is standard input
    #[arg(default_value = "-", value_name = "FILE")]
    file: PathBuf,
    /// Judge with the rule files of this directory instead of the built-in rules
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
}

/// The judgement of one line.
#[derive(Serialize)]
struct Verdict<'a> {
    id: &'a RawValue,
    blocked: bool,
    risk_score: RiskScore,
    matched_rules: Vec<String>,
    labels: Vec<String>,
}

/// A line that was not judged.
#[derive(Serialize)]
struct Unjudged<'a> {
    id: &'a RawValue,
    error: String,
}

pub(crate) fn run(arguments: &ScanArguments, out: &mut Output) -> Result<Outcome, CliError> {
    let detector = detector(arguments.rules.as_deref())?;
    if arguments.file == Path::new("-") {
        scan(&detector, io::stdin().lock(), Path::new("-"), out)
    } else {
        let file = File::open(&arguments.file).map_err(CliError::file(&arguments.file))?;
        let reader = BufReader::with_capacity(64 * 1024, file);
        scan(&detector, reader, &arguments.file, out)
    }
}

fn detector(rules: Option<&Path>) -> Result<Detector, CliError> {
    let detector = match rules {
        None => Detector::new(*clampd_ruleset::RULES),
        Some(dir) => {
            let sources = crate::rules::compile(dir)?;
            Detector::new(sources.into_iter().map(|s| s.rule).collect::<Vec<_>>())
        }
    };
    detector.map_err(|e| CliError::Rules(e.to_string()))
}

/// Judges line by line; what was judged is handed on before the input is waited for.
fn scan(
    detector: &Detector,
    reader: impl BufRead,
    path: &Path,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let settings = Settings::default();
    let mut lines = Lines::new(reader);
    let mut outcome = Outcome::AsWanted;
    loop {
        if lines.may_wait() {
            out.flush()?;
        }
        let judged = match lines.next().map_err(CliError::file(path))? {
            Next::End => return Ok(outcome),
            Next::Line(line) if line.trim_ascii().is_empty() => continue,
            Next::Line(line) => match judge(detector, &settings, line) {
                Ok(verdict) => {
                    out.json_line(&verdict)?;
                    continue;
                }
                Err(error) => Unjudged {
                    id: id_of(line),
                    error,
                },
            },
            Next::TooLong => Unjudged {
                id: RawValue::NULL,
                error: format!("line is longer than {} bytes", lines::LINE_BYTES_MAX),
            },
        };
        out.json_line(&judged)?;
        outcome = Outcome::NotAsWanted;
    }
}

fn judge<'a>(
    detector: &Detector,
    settings: &Settings,
    line: &'a [u8],
) -> Result<Verdict<'a>, String> {
    let line = Line::read(line)?;
    let place = Place {
        surface: line.surface,
        tool: line.tool.as_deref().unwrap_or_default(),
        // As for a tool that no catalogue knows: its name is asked.
        category: ToolCategory::Other,
    };
    let findings = match &line.judged {
        Judged::Text(text) => detector.scan(&place, [Leaf { name: "", text }]),
        Judged::Values(values) => find_in_values(detector, &place, values)?,
    };
    let decision = judge_text(settings, &Subject::default(), &findings);
    Ok(Verdict {
        id: line.id,
        blocked: !decision.verdict.lets_pass(),
        risk_score: decision.risk,
        matched_rules: decision.matched_rules,
        labels: decision.labels,
    })
}

fn find_in_values(
    detector: &Detector,
    place: &Place<'_>,
    values: &serde_json::Value,
) -> Result<Findings, String> {
    let leaves = leaves_of(values);
    if leaves.too_many() {
        return Err(format!("`params` has more than {LEAVES_MAX} values"));
    }
    Ok(detector.scan(place, leaves.iter()))
}
