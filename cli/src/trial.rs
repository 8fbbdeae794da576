//! `clampd test`: fires attacks at a gateway and reports what became of them.
//!
//! Nothing is forwarded: texts go to `/v1/scan-input`, calls to `/v1/verify`.

mod attack;
mod report;

use std::{
    thread,
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use serde_json::Value;

use self::{
    attack::{Attack, Shot},
    report::Report,
};
use crate::{
    Outcome,
    error::CliError,
    gateway::{Gateway, GatewayArguments},
    global::Global,
    http::Answer,
    output::Output,
    time,
};

/// What is fired, at whom, how often.
#[derive(Debug, Args)]
pub(crate) struct TrialArguments {
    #[command(flatten)]
    gateway: GatewayArguments,
    /// Attack categories to run
    #[arg(
        long,
        value_name = "CATEGORY",
        default_value = "all",
        value_delimiter = ','
    )]
    attacks: Vec<Category>,
    /// Re-run on an interval until interrupted
    #[arg(long)]
    watch: bool,
    /// Seconds between runs
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    interval: u64,
    /// Exit with 1 if any attack is not blocked
    #[arg(long)]
    exit_on_fail: bool,
}

/// A category of attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Category {
    /// SQL injection and destructive SQL
    Sqli,
    /// Scripts for a browser
    Xss,
    /// Requests into the inner network
    Ssrf,
    /// Dangerous commands
    Shell,
    /// Paths out of where they belong
    Traversal,
    /// Orders to a model
    Injection,
    /// All of them
    All,
}

impl Category {
    fn as_str(self) -> &'static str {
        match self {
            Self::Sqli => "sqli",
            Self::Xss => "xss",
            Self::Ssrf => "ssrf",
            Self::Shell => "shell",
            Self::Traversal => "traversal",
            Self::Injection => "injection",
            Self::All => "all",
        }
    }
}

/// What became of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Blocked,
    /// It passed and was marked.
    Flagged,
    Allowed,
    /// The gateway does not know the tool, so the call was refused before it was looked at.
    NotRegistered,
}

impl Fate {
    fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Flagged => "flagged",
            Self::Allowed => "allowed",
            Self::NotRegistered => "not_registered",
        }
    }
}

/// An attack and what became of it.
#[derive(Debug)]
struct Fired<'a> {
    attack: &'a Attack,
    fate: Fate,
    status: u16,
    risk_score: f64,
    matched_rules: Vec<String>,
    milliseconds: f64,
}

/// Runs the attacks, once or on and on.
pub(crate) fn run(
    arguments: &TrialArguments,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let gateway = Gateway::of(&arguments.gateway, global)?;
    let attacks = attack::read()?;
    let wanted = |attack: &&Attack| {
        let is_wanted = |c: &Category| *c == Category::All || c.as_str() == attack.category;
        arguments.attacks.iter().any(is_wanted)
    };
    let attacks: Vec<&Attack> = attacks.iter().filter(wanted).collect();
    loop {
        let report = fire(&gateway, &attacks)?;
        report.write(global, out)?;
        out.flush()?;
        if !report.all_blocked() && arguments.exit_on_fail {
            return Ok(Outcome::NotAsWanted);
        }
        if !arguments.watch {
            return Ok(Outcome::AsWanted);
        }
        thread::sleep(Duration::from_secs(arguments.interval));
    }
}

fn fire<'a>(gateway: &Gateway, attacks: &[&'a Attack]) -> Result<Report<'a>, CliError> {
    let started_at = time::unix_seconds();
    let mut fired = Vec::new();
    for attack in attacks {
        let Shot { path, body } = attack.shot();
        let began = Instant::now();
        let answer = gateway.post(path, &body)?;
        let milliseconds = began.elapsed().as_secs_f64() * 1_000.0;
        fired.push(judged(attack, answer, milliseconds)?);
    }
    Ok(Report {
        gateway: gateway.url().to_owned(),
        started_at,
        fired,
    })
}

/// Reads what a gateway said of an attack; an answer that is no judgement ends the run.
fn judged(attack: &Attack, answer: Answer, milliseconds: f64) -> Result<Fired<'_>, CliError> {
    let status = answer.status;
    let body = answer.json()?;
    let is_refused = |code: &str| body.get("error_code").and_then(Value::as_str) == Some(code);
    let rules = body.get("matched_rules").and_then(Value::as_array);
    let rules: Vec<String> = rules
        .into_iter()
        .flatten()
        .filter_map(|rule| rule.as_str().map(str::to_owned))
        .collect();
    let fate = match body.get("allowed").and_then(Value::as_bool) {
        Some(false) => Fate::Blocked,
        Some(true) if is_flagged(&body, &rules) => Fate::Flagged,
        Some(true) => Fate::Allowed,
        None if is_refused("tool_not_registered") => Fate::NotRegistered,
        None => {
            answer.expect_success()?;
            return Err(CliError::NotFound(
                "the gateway's answer holds no judgement".to_owned(),
            ));
        }
    };
    Ok(Fired {
        attack,
        fate,
        status,
        risk_score: body
            .get("risk_score")
            .and_then(Value::as_f64)
            .unwrap_or_default(),
        matched_rules: rules,
        milliseconds,
    })
}

/// A call says by its action that it was flagged, a scan only by the rules that matched.
fn is_flagged(body: &Value, rules: &[String]) -> bool {
    match body.get("action").and_then(Value::as_str) {
        Some(action) => action == "flag",
        None => !rules.is_empty(),
    }
}
