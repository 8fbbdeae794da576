//! `clampd settings`: at which risk calls are flagged and blocked, and what counts for whom.
//!
//! A change is made to what was read, and refused by the control plane when someone else changed
//! it in between.

mod show;

use std::path::PathBuf;

use clampd_model::{
    AgentId, Exemption, Mode, ResponseAction, ResponseHandling, ResponseKind, RiskScore, RuleMode,
    Settings, Thresholds,
};
use clap::{Args, Subcommand, ValueEnum};

use crate::{
    Outcome,
    control_plane::ControlPlane,
    error::CliError,
    global::Global,
    http::{Answer, Body},
    output::Output,
    policy::json_of,
};

const PATH: &str = "/v1/settings";

/// The longest settings that are read.
const SETTINGS_BYTES_MAX: u64 = 256 * 1024;

/// What `settings` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum SettingsVerb {
    /// Show thresholds, modes, exemptions and what is done with answers
    Show,
    /// Set the thresholds for everything, or all settings from a file
    Set(SetArguments),
    /// Set thresholds for an agent, a tool or a category of rules
    Threshold(ThresholdArguments),
    /// Have a rule or a category enforced, only monitored, or off
    Mode(ModeArguments),
    /// Exempt an agent, a tool or a scope from a rule or a category
    Exempt(ExemptArguments),
    /// Have answers blocked, masked or flagged by what is found in them
    Response(ResponseArguments),
}

/// Thresholds for everything, or everything.
#[derive(Debug, Args)]
pub(crate) struct SetArguments {
    /// Block from this risk on, 0 to 1
    #[arg(long, value_name = "RISK", required_unless_present_any = ["flag_at", "file"])]
    block_at: Option<f64>,
    /// Flag from this risk on, 0 to 1
    #[arg(long, value_name = "RISK")]
    flag_at: Option<f64>,
    /// All settings as JSON, as `settings show --json` prints them; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["block_at", "flag_at"])]
    file: Option<PathBuf>,
}

/// Thresholds for what is named.
#[derive(Debug, Args)]
pub(crate) struct ThresholdArguments {
    /// For calls of this agent
    #[arg(long, value_name = "ID", value_parser = agent_id, required_unless_present_any = ["tool", "category"])]
    agent: Option<AgentId>,
    /// For calls of this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// For findings of this category of rules
    #[arg(long)]
    category: Option<String>,
    /// Block from this risk on, 0 to 1
    #[arg(long, value_name = "RISK", required_unless_present_any = ["flag_at", "remove"])]
    block_at: Option<f64>,
    /// Flag from this risk on, 0 to 1
    #[arg(long, value_name = "RISK")]
    flag_at: Option<f64>,
    /// Have the thresholds apply that are less specific
    #[arg(long, conflicts_with_all = ["block_at", "flag_at"])]
    remove: bool,
}

/// A rule or a category.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct RuleArguments {
    /// This rule
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// The rules of this category
    #[arg(long)]
    category: Option<String>,
}

/// How something counts.
#[derive(Debug, Args)]
pub(crate) struct ModeArguments {
    #[command(flatten)]
    of: RuleArguments,
    /// How it counts
    #[arg(required_unless_present = "remove")]
    mode: Option<ModeWord>,
    /// Have a rule count as its category does, and a category as usual
    #[arg(long, conflicts_with = "mode")]
    remove: bool,
}

/// How a rule counts.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeWord {
    /// Its findings decide
    Enforce,
    /// Its findings decide nothing; what they would have decided is reported
    Monitor,
    /// It finds nothing
    Off,
}

/// An exemption.
#[derive(Debug, Args)]
pub(crate) struct ExemptArguments {
    #[command(flatten)]
    of: RuleArguments,
    /// For this agent
    #[arg(long, value_name = "ID", value_parser = agent_id, required_unless_present_any = ["tool", "scope"])]
    agent: Option<AgentId>,
    /// For this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// For tools whose scope is covered by this one, such as `db:*`
    #[arg(long)]
    scope: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", required_unless_present = "remove")]
    reason: Option<String>,
    /// Take the exemption back
    #[arg(long, conflicts_with = "reason")]
    remove: bool,
}

/// What is done with answers.
#[derive(Debug, Args)]
pub(crate) struct ResponseArguments {
    /// What is found
    kind: KindWord,
    /// What is done
    #[arg(required_unless_present = "remove")]
    action: Option<ActionWord>,
    /// For answers to this agent
    #[arg(long, value_name = "ID", value_parser = agent_id)]
    agent: Option<AgentId>,
    /// For answers of this tool
    #[arg(long, value_name = "NAME")]
    tool: Option<String>,
    /// Have the entries apply that are less specific, and then the thresholds
    #[arg(long, conflicts_with = "action")]
    remove: bool,
}

/// What can be found in an answer.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindWord {
    /// Personal data
    Pii,
    /// Secrets
    Secret,
    /// Orders to the agent and everything else that rules find in answers
    Poisoned,
    /// More than the agent's boundaries let it have
    Anomaly,
}

/// What is done with an answer.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ActionWord {
    /// It is stopped
    Block,
    /// What was found is masked and the rest goes on (`pii` and `secret`)
    Redact,
    /// It goes on, and the audit trail says what is in it
    Flag,
}

fn agent_id(text: &str) -> Result<AgentId, String> {
    AgentId::parse(text).map_err(|error| error.to_string())
}

/// Runs a verb of `settings`.
pub(crate) fn run(
    verb: &SettingsVerb,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    let control_plane = ControlPlane::of(global)?;
    let settings = match verb {
        SettingsVerb::Show => read(control_plane.ask(PATH)?)?.0,
        SettingsVerb::Set(SetArguments {
            file: Some(file), ..
        }) => settings_of(control_plane.put(PATH, &json_of(file, SETTINGS_BYTES_MAX)?)?)?,
        SettingsVerb::Set(arguments) => change(&control_plane, |s| arguments.apply(s))?,
        SettingsVerb::Threshold(arguments) => change(&control_plane, |s| arguments.apply(s))?,
        SettingsVerb::Mode(arguments) => change(&control_plane, |s| arguments.apply(s))?,
        SettingsVerb::Exempt(arguments) => change(&control_plane, |s| arguments.apply(s))?,
        SettingsVerb::Response(arguments) => change(&control_plane, |s| arguments.apply(s))?,
    };
    if global.json {
        out.json_line(&settings)?;
    } else {
        show::show(&settings, out)?;
    }
    Ok(Outcome::AsWanted)
}

/// Changes what is set, unless someone else does meanwhile.
fn change(
    control_plane: &ControlPlane,
    how: impl FnOnce(&mut Settings) -> Result<(), CliError>,
) -> Result<Settings, CliError> {
    let (mut settings, tag) = read(control_plane.ask(PATH)?)?;
    how(&mut settings)?;
    let body = serde_json::to_value(&settings).unwrap_or_default();
    let body = Body::json(&body).if_match(tag);
    let kept = control_plane.send("PUT", PATH, &body)?.expect_success()?;
    settings_of(kept)
}

fn read(answer: Answer) -> Result<(Settings, Option<String>), CliError> {
    let tag = answer.tag.clone();
    Ok((settings_of(answer.expect_success()?)?, tag))
}

fn settings_of(value: serde_json::Value) -> Result<Settings, CliError> {
    serde_json::from_value(value).map_err(|error| {
        CliError::Usage(format!(
            "the settings are those of another version: {error}"
        ))
    })
}

impl SetArguments {
    fn apply(&self, settings: &mut Settings) -> Result<(), CliError> {
        settings.block_at = risk(self.block_at)?.unwrap_or(settings.block_at);
        settings.flag_at = risk(self.flag_at)?.unwrap_or(settings.flag_at);
        Ok(())
    }
}

impl ThresholdArguments {
    fn apply(&self, settings: &mut Settings) -> Result<(), CliError> {
        let entry = Thresholds {
            agent: self.agent.clone(),
            tool: self.tool.clone(),
            category: self.category.clone(),
            block_at: risk(self.block_at)?,
            flag_at: risk(self.flag_at)?,
        };
        let same = |known: &Thresholds| {
            (&known.agent, &known.tool, &known.category)
                == (&entry.agent, &entry.tool, &entry.category)
        };
        let known = take(&mut settings.thresholds, same);
        if self.remove {
            return known.map(|_| ()).ok_or_else(nothing_there);
        }
        settings.thresholds.push(Thresholds {
            block_at: entry.block_at.or(known.as_ref().and_then(|k| k.block_at)),
            flag_at: entry.flag_at.or(known.as_ref().and_then(|k| k.flag_at)),
            ..entry
        });
        Ok(())
    }
}

impl ModeArguments {
    fn apply(&self, settings: &mut Settings) -> Result<(), CliError> {
        let RuleArguments { rule, category } = &self.of;
        let same = |known: &RuleMode| (&known.rule, &known.category) == (rule, category);
        let known = take(&mut settings.modes, same);
        let mode = match self.mode {
            None => return known.map(|_| ()).ok_or_else(nothing_there),
            Some(ModeWord::Enforce) => Mode::Enforce,
            Some(ModeWord::Monitor) => Mode::Monitor,
            Some(ModeWord::Off) => Mode::Off,
        };
        settings.modes.push(RuleMode {
            rule: rule.clone(),
            category: category.clone(),
            mode,
        });
        Ok(())
    }
}

impl ExemptArguments {
    fn apply(&self, settings: &mut Settings) -> Result<(), CliError> {
        let entry = Exemption {
            rule: self.of.rule.clone(),
            category: self.of.category.clone(),
            agent: self.agent.clone(),
            tool: self.tool.clone(),
            scope: self.scope.clone(),
            reason: self.reason.clone().unwrap_or_default(),
        };
        let same = |known: &Exemption| {
            let but_for_the_reason = Exemption {
                reason: entry.reason.clone(),
                ..known.clone()
            };
            but_for_the_reason == entry
        };
        let known = take(&mut settings.exemptions, same);
        if self.remove {
            return known.map(|_| ()).ok_or_else(nothing_there);
        }
        settings.exemptions.push(entry);
        Ok(())
    }
}

impl ResponseArguments {
    fn apply(&self, settings: &mut Settings) -> Result<(), CliError> {
        let kind = match self.kind {
            KindWord::Pii => ResponseKind::Pii,
            KindWord::Secret => ResponseKind::Secret,
            KindWord::Poisoned => ResponseKind::Poisoned,
            KindWord::Anomaly => ResponseKind::Anomaly,
        };
        let same = |known: &ResponseHandling| {
            (known.kind, &known.agent, &known.tool) == (kind, &self.agent, &self.tool)
        };
        let known = take(&mut settings.responses, same);
        let action = match self.action {
            None => return known.map(|_| ()).ok_or_else(nothing_there),
            Some(ActionWord::Block) => ResponseAction::Block,
            Some(ActionWord::Redact) => ResponseAction::Redact,
            Some(ActionWord::Flag) => ResponseAction::Flag,
        };
        settings.responses.push(ResponseHandling {
            agent: self.agent.clone(),
            tool: self.tool.clone(),
            kind,
            action,
        });
        Ok(())
    }
}

/// Takes the entry that says something of the same out of a list.
fn take<E>(entries: &mut Vec<E>, same: impl Fn(&E) -> bool) -> Option<E> {
    let at = entries.iter().position(same)?;
    Some(entries.remove(at))
}

fn nothing_there() -> CliError {
    let what = "nothing is set for that: `clampd settings show` tells what is";
    CliError::NotFound(what.to_owned())
}

fn risk(number: Option<f64>) -> Result<Option<RiskScore>, CliError> {
    let Some(number) = number else {
        return Ok(None);
    };
    let risk = RiskScore::new(number);
    if (risk.value() - number).abs() < f64::EPSILON {
        Ok(Some(risk))
    } else {
        let wanted = format!("`{number}` is no risk: 0 to 1 with at most three decimals is wanted");
        Err(CliError::Usage(wanted))
    }
}
