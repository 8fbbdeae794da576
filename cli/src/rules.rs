//! `clampd rules`: what the rules are, why, and whether they hold.
//!
//! Rules are read from files where there are files; the table that is built in knows neither why
//! a rule is there nor its examples.

mod custom;
mod doc;
mod import;
mod show;
mod trial;

use std::path::{Path, PathBuf};

use clampd_detect::Rule;
use clampd_rule_compiler::{CompileError, RuleSource, compile_dir};
use clap::Subcommand;
use serde_json::{Value, json};

use self::{custom::PushArguments, import::ImportArguments, trial::TrialArguments};
use crate::{Outcome, error::CliError, global::Global, output::Output, table::Columns};

/// Where the rules are looked for when no directory is named.
const HERE: &str = "rules";

/// What `rules` can do.
#[derive(Debug, Subcommand)]
pub(crate) enum RulesVerb {
    /// List the rules
    List {
        /// Only those of this category
        #[arg(long)]
        category: Option<String>,
        /// The rule files [default: ./rules where there is one, else the built-in rules]
        #[arg(long, value_name = "DIR")]
        rules: Option<PathBuf>,
        /// The organisation's own rules, and how they count
        #[arg(long, conflicts_with = "rules")]
        custom: bool,
    },
    /// Show a rule: what it finds, where, why, with its examples
    Show {
        /// Its id
        id: String,
        /// The rule files [default: ./rules where there is one, else the built-in rules]
        #[arg(long, value_name = "DIR")]
        rules: Option<PathBuf>,
    },
    /// Compile a directory of rule files, or one of your own, and name everything that is wrong
    Check {
        /// The rule files, or one file as `push` takes it
        #[arg(default_value = HERE, value_name = "DIR|FILE")]
        dir: PathBuf,
    },
    /// Put a file of your own rules and keywords in force
    Push(PushArguments),
    /// Print a file of your own rules as it was pushed
    Pull {
        /// What it is kept as
        name: String,
    },
    /// Delete a file of your own rules
    Delete {
        /// What it is kept as
        name: String,
    },
    /// Judge every rule's examples, or one text
    Test(TrialArguments),
    /// Turn rules of another grammar into a rule file, and say what became of each
    Import(ImportArguments),
    /// Print the reference of all rules, in Markdown
    Doc {
        /// The rule files
        #[arg(default_value = HERE, value_name = "DIR")]
        dir: PathBuf,
    },
}

/// Runs a verb of `rules`.
pub(crate) fn run(
    verb: &RulesVerb,
    global: &Global,
    out: &mut Output,
) -> Result<Outcome, CliError> {
    match verb {
        RulesVerb::List {
            category,
            custom: true,
            ..
        } => custom::list(category.as_deref(), global, out)?,
        RulesVerb::List {
            category, rules, ..
        } => {
            let mut rules = Rules::find(rules.as_deref())?.0;
            if let Some(category) = category {
                rules.retain(|known| known.rule.category == category.as_str());
            }
            list(&rules, global, out)?;
        }
        RulesVerb::Show { id, rules } => {
            let rules = Rules::find(rules.as_deref())?;
            let known = rules.0.iter().find(|known| known.rule.id == id.as_str());
            let nothing =
                || CliError::NotFound(format!("no rule `{id}`: `clampd rules list` names them"));
            show::show(known.ok_or_else(nothing)?, global, out)?;
        }
        RulesVerb::Check { dir } => {
            let rules = if dir.is_file() {
                custom::check(dir)?
            } else {
                compile(dir)?
            };
            if global.json {
                out.json_line(&json!({ "ok": true, "rules": rules.len() }))?;
            } else {
                out.line(format!("{} rules, all well", rules.len()))?;
            }
        }
        RulesVerb::Push(arguments) => custom::push(arguments, global, out)?,
        RulesVerb::Pull { name } => custom::pull(name, global, out)?,
        RulesVerb::Delete { name } => custom::delete(name, global, out)?,
        RulesVerb::Test(arguments) => return trial::run(arguments, global, out),
        RulesVerb::Import(arguments) => return import::run(arguments, global, out),
        RulesVerb::Doc { dir } => out.line(doc::markdown(&compile(dir)?).trim_end())?,
    }
    Ok(Outcome::AsWanted)
}

/// A rule and, where it was read from a file, its prose and examples.
#[derive(Debug)]
struct Known {
    rule: Rule,
    source: Option<RuleSource>,
}

/// All rules, sorted by id.
#[derive(Debug)]
struct Rules(Vec<Known>);

impl Rules {
    /// The rules of `dir`, else of the repository that we stand in, else the built-in ones.
    fn find(dir: Option<&Path>) -> Result<Self, CliError> {
        let here = Path::new(HERE);
        let sources = match dir {
            Some(dir) => Some(compile(dir)?),
            None if here.is_dir() => Some(compile(here)?),
            None => None,
        };
        let known = match sources {
            Some(sources) => sources
                .into_iter()
                .map(|source| Known {
                    rule: source.rule.clone(),
                    source: Some(source),
                })
                .collect(),
            None => clampd_ruleset::RULES
                .iter()
                .map(|rule| Known {
                    rule: rule.clone(),
                    source: None,
                })
                .collect(),
        };
        Ok(Self(known))
    }
}

/// Reads and checks the rules of a directory; the error names every file and rule at fault.
pub(crate) fn compile(dir: &Path) -> Result<Vec<RuleSource>, CliError> {
    let rules = compile_dir(dir).map_err(|errors| wrong(&errors))?;
    if rules.is_empty() {
        return Err(CliError::NotFound(format!(
            "no rule in `{}`",
            dir.display()
        )));
    }
    Ok(rules)
}

/// Everything that is wrong, a line each.
fn wrong(errors: &[CompileError]) -> CliError {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    CliError::Rules(lines.join("\n"))
}

fn list(rules: &[Known], global: &Global, out: &mut Output) -> Result<(), CliError> {
    if global.json {
        let rules: Vec<Value> = rules.iter().map(show::as_json).collect();
        return Ok(out.json_line(&json!({ "rules": rules }))?);
    }
    let mut columns = Columns::new(&["ID", "CATEGORY", "SEVERITY", "NAME"]);
    for Known { rule, .. } in rules {
        columns.row([
            rule.id.to_string(),
            rule.category.to_string(),
            rule.severity.as_str().to_owned(),
            rule.name.to_string(),
        ]);
    }
    columns.write(out)?;
    Ok(out.line(format!("{} rules", rules.len()))?)
}
