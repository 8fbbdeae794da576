//! `clampd rules test`: every rule's examples, or one text, judged.

use std::{collections::BTreeMap, path::PathBuf};

use clampd_detect::{Detector, Leaf, Place};
use clampd_guard::judge_text;
use clampd_model::{Settings, Subject, Surface, ToolCategory};
use clampd_rule_compiler::RuleSource;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::Rules;
use crate::{
    Outcome,
    error::CliError,
    global::Global,
    output::Output,
    table::{Columns, Table},
};

/// What is tried.
#[derive(Debug, Args)]
pub(crate) struct TrialArguments {
    /// A text to judge; without one, every rule's examples
    text: Option<String>,
    /// Where the text stands
    #[arg(long, default_value = "input", requires = "text")]
    surface: SurfaceWord,
    /// The tool that it is a parameter of
    #[arg(long, requires = "text", default_value = "")]
    tool: String,
    /// The parameter's name
    #[arg(long, requires = "text", default_value = "")]
    param: String,
    /// The rule files [default: ./rules where there is one, else the built-in rules]
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SurfaceWord {
    /// What is said to a model
    Input,
    /// A parameter of a tool call
    Call,
    /// What a tool or model answered
    Output,
    /// A tool's description
    Descriptor,
}

impl SurfaceWord {
    fn surface(self) -> Surface {
        match self {
            Self::Input => Surface::Prompt,
            Self::Call => Surface::Params,
            Self::Output => Surface::Response,
            Self::Descriptor => Surface::Descriptor,
        }
    }
}

pub(super) fn run(
    arguments: &TrialArguments,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let rules = Rules::find(arguments.rules.as_deref())?.0;
    match &arguments.text {
        Some(text) => {
            let table: Vec<_> = rules.into_iter().map(|known| known.rule).collect();
            let detector = Detector::new(table).map_err(|e| CliError::Rules(e.to_string()))?;
            one(text, arguments, &detector, global, out)
        }
        None => {
            let sources = rules.iter().filter_map(|known| known.source.as_ref());
            examples(&sources.collect::<Vec<_>>(), global, out)
        }
    }
}

fn one(
    text: &str,
    arguments: &TrialArguments,
    detector: &Detector,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    // A text with a tool is one of its parameters, unless it is said to be its answer.
    let surface = match arguments.surface {
        SurfaceWord::Input if !arguments.tool.is_empty() => Surface::Params,
        word => word.surface(),
    };
    let findings = detector.scan(
        &place(surface, &arguments.tool),
        [leaf(&arguments.param, text)],
    );
    let decision = judge_text(&Settings::default(), &Subject::default(), &findings);
    if global.json {
        let found: Vec<Value> = findings
            .findings
            .iter()
            .map(|finding| {
                let decodings: Vec<&str> = finding.decodings.iter().map(|d| d.as_str()).collect();
                json!({
                    "rule": finding.rule_id, "category": finding.category,
                    "severity": finding.severity, "offset": finding.offset, "decodings": decodings,
                })
            })
            .collect();
        let action = decision.verdict.action();
        let all = json!({ "action": action, "risk_score": decision.risk, "findings": found });
        out.json_line(&all)?;
        return Ok(Outcome::AsWanted);
    }
    let (action, risk) = (decision.verdict.action(), decision.risk.value());
    out.line(format!("{action}, risk {risk}"))?;
    let mut columns = Columns::new(&["RULE", "SEVERITY", "OFFSET", "DECODED FROM"]);
    for finding in &findings.findings {
        let decodings: Vec<&str> = finding.decodings.iter().map(|d| d.as_str()).collect();
        columns.row([
            finding.rule_id.to_string(),
            finding.severity.as_str().to_owned(),
            finding.offset.to_string(),
            decodings.join(", "),
        ]);
    }
    if !findings.findings.is_empty() {
        columns.write(out)?;
    }
    Ok(Outcome::AsWanted)
}

/// What the rule files of one category hold.
#[derive(Default)]
struct Tally {
    rules: usize,
    examples: usize,
    known_misses: usize,
}

/// Counts what was judged: rules whose examples fail were refused when they were read.
fn examples(
    sources: &[&RuleSource],
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    if sources.is_empty() {
        let wanted = "the built-in rules carry no examples: name the rule files with --rules DIR";
        return Err(CliError::NotFound(wanted.to_owned()));
    }
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for source in sources {
        let tally = tallies.entry(&source.rule.category).or_default();
        tally.rules += 1;
        tally.examples += source.should_match.len() + source.should_not_match.len();
        tally.known_misses += source.known_misses.len();
    }
    let sum = |count: fn(&Tally) -> usize| tallies.values().map(count).sum::<usize>();
    let (rules, examples, misses) = (
        sum(|t| t.rules),
        sum(|t| t.examples),
        sum(|t| t.known_misses),
    );
    if global.json {
        out.json_line(&json!({
            "ok": true, "rules": rules, "examples": examples, "known_misses": misses,
        }))?;
        return Ok(Outcome::AsWanted);
    }
    let mut table = Table::new(&["Category", "Rules", "Examples", "Known misses"]);
    for (category, tally) in &tallies {
        let counts = [tally.rules, tally.examples, tally.known_misses];
        let counts = counts.iter().map(usize::to_string);
        table.row(std::iter::once((*category).to_owned()).chain(counts));
    }
    table.write(out)?;
    out.line(format!(
        "{examples} examples of {rules} rules, all judged as they should be"
    ))?;
    Ok(Outcome::AsWanted)
}

fn place(surface: Surface, tool: &str) -> Place<'_> {
    Place {
        surface,
        tool,
        category: ToolCategory::Other,
    }
}

fn leaf<'a>(name: &'a str, text: &'a str) -> Leaf<'a> {
    Leaf { name, text }
}
