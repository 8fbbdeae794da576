//! A rule as its author writes it.

mod keywords;

use clampd_detect::{Form, Reach, Rule, Signal, ToolSet, Words, fold};
use clampd_model::{Severity, Surface, SurfaceSet, ToolCategory};
use serde::Deserialize;
use toml::Spanned;

use self::keywords::KeywordsToml;
use crate::CompileError;

/// A rule with its prose and examples.
#[derive(Clone, Debug)]
pub struct RuleSource {
    /// The file that it stands in.
    pub file: String,
    /// The line that it begins at, from 1.
    pub line: usize,
    /// How it is written there.
    pub written_as: WrittenAs,
    /// Its id, as in [`RuleSource::rule`].
    pub id: String,
    /// What runs.
    pub rule: Rule,
    /// Why it is there.
    pub why: String,
    /// Where to read more.
    pub references: Vec<String>,
    /// Why a literal may be short.
    pub short_literals: Option<String>,
    /// Texts that it must find.
    pub should_match: Vec<Example>,
    /// Texts that it must leave alone.
    pub should_not_match: Vec<Example>,
    /// Texts that it ought to find and does not yet.
    pub known_misses: Vec<Example>,
}

/// How a rule is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WrittenAs {
    /// In full, with examples of each kind.
    Rule,
    /// As a list of words, which are their own examples.
    Keywords,
}

/// A text and where it stands: a bare text stands on each surface of the rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Example {
    /// Judged on each surface of the rule.
    Text(String),
    /// A parameter of a tool.
    Call(CallExample),
}

/// One parameter of one call.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallExample {
    /// The tool's name.
    pub tool: String,
    /// The parameter's name.
    #[serde(default)]
    pub param: String,
    /// Its value.
    pub text: String,
}

impl Example {
    /// The text itself.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Call(call) => &call.text,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileToml {
    category: String,
    #[serde(default)]
    rule: Vec<Spanned<RuleToml>>,
    #[serde(default)]
    keywords: Vec<Spanned<KeywordsToml>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleToml {
    id: String,
    name: String,
    severity: Severity,
    why: String,
    #[serde(default)]
    literals: Vec<String>,
    literals_from: Option<String>,
    short_literals: Option<String>,
    #[serde(default)]
    near: Vec<Group>,
    #[serde(default)]
    reach: ReachToml,
    within: Option<u16>,
    pattern: Option<String>,
    #[serde(default)]
    before: u16,
    signal: Option<String>,
    applies_to: Vec<Surface>,
    #[serde(default)]
    form: FormToml,
    #[serde(default)]
    not_in: Vec<ToolCategory>,
    #[serde(default)]
    only_in: Vec<ToolCategory>,
    #[serde(default)]
    references: Vec<String>,
    #[serde(default)]
    should_match: Vec<Example>,
    #[serde(default)]
    should_not_match: Vec<Example>,
    #[serde(default)]
    known_misses: Vec<Example>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum FormToml {
    #[default]
    Any,
    Bare,
    Order,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum ReachToml {
    #[default]
    Around,
    After,
}

/// Words of one group: in place, or a list's.
#[derive(Deserialize)]
#[serde(untagged)]
enum Group {
    Words(Vec<String>),
    List(String),
}

/// How far a word of `near` may stand from the literal when the rule does not say.
const WITHIN_DEFAULT: u16 = 40;

/// Reads one file. `read_list` gives the text of a word list by its name.
///
/// # Errors
/// What cannot be read, by file and rule.
pub fn parse(
    file: &str,
    text: &str,
    read_list: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Vec<RuleSource>, Vec<CompileError>> {
    let parsed: FileToml = toml::from_str(text).map_err(|e| {
        vec![CompileError {
            file: file.to_owned(),
            line: None,
            rule: None,
            reason: e.to_string(),
        }]
    })?;
    let mut rules = Vec::new();
    let mut errors = Vec::new();
    for rule in parsed.rule {
        let place = Place::of(file, text, rule.span().start, &parsed.category);
        let rule = rule.into_inner();
        let id = rule.id.clone();
        match rule.resolve(&place, read_list) {
            Ok(rule) => rules.push(rule),
            Err(reason) => errors.push(CompileError {
                file: file.to_owned(),
                line: Some(place.line),
                rule: Some(id),
                reason,
            }),
        }
    }
    for keywords in parsed.keywords {
        let place = Place::of(file, text, keywords.span().start, &parsed.category);
        rules.push(keywords.into_inner().resolve(&place));
    }
    if errors.is_empty() {
        Ok(rules)
    } else {
        Err(errors)
    }
}

/// Where a rule stands.
struct Place<'f> {
    file: &'f str,
    line: usize,
    category: &'f str,
}

impl<'f> Place<'f> {
    fn of(file: &'f str, text: &str, start: usize, category: &'f str) -> Self {
        let before = text.as_bytes().iter().take(start);
        Self {
            file,
            line: 1 + before.filter(|byte| **byte == b'\n').count(),
            category,
        }
    }
}

impl RuleToml {
    fn resolve(
        self,
        place: &Place<'_>,
        read_list: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<RuleSource, String> {
        let mut literals = self.literals;
        if let Some(list) = &self.literals_from {
            literals.extend(words(&read_list(list)?, list)?);
        }
        let mut near = Vec::new();
        for group in self.near {
            near.push(match group {
                Group::Words(words) => words.iter().collect(),
                Group::List(list) => words(&read_list(&list)?, &list)?.iter().collect::<Words>(),
            });
        }
        let signal = match self.signal {
            None => None,
            Some(name) => Some(
                Signal::ALL
                    .iter()
                    .copied()
                    .find(|signal| signal.as_str() == name)
                    .ok_or_else(|| format!("no recogniser gives the signal `{name}`"))?,
            ),
        };
        let set = |tools: Vec<ToolCategory>| tools.into_iter().collect::<ToolSet>();
        Ok(RuleSource {
            file: place.file.to_owned(),
            line: place.line,
            written_as: WrittenAs::Rule,
            id: self.id.clone(),
            rule: Rule {
                id: self.id.into(),
                name: self.name.into(),
                category: place.category.to_owned().into(),
                severity: self.severity,
                applies_to: self.applies_to.into_iter().collect::<SurfaceSet>(),
                literals: literals.iter().collect(),
                near: near.into(),
                reach: match self.reach {
                    ReachToml::Around => Reach::Around,
                    ReachToml::After => Reach::After,
                },
                within: self.within.unwrap_or(WITHIN_DEFAULT),
                pattern: self.pattern.map(Into::into),
                before: self.before,
                signal,
                form: match self.form {
                    FormToml::Any => Form::Any,
                    FormToml::Bare => Form::Bare,
                    FormToml::Order => Form::Order,
                },
                not_in: set(self.not_in),
                only_in: set(self.only_in),
            },
            why: self.why,
            references: self.references,
            short_literals: self.short_literals,
            should_match: self.should_match,
            should_not_match: self.should_not_match,
            known_misses: self.known_misses,
        })
    }
}

/// The words of a list: a line each, the language, a tab, the word as it is
/// written, folded here; `#` begins a comment line.
fn words(text: &str, list: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match line.split_once('\t') {
            Some((language, word))
                if (2..=7).contains(&language.len()) && !word.trim().is_empty() =>
            {
                words.push(fold(word));
            }
            _ => {
                return Err(format!(
                    "word list `{list}`, line {}: a language, a tab and a word are wanted, not `{line}`",
                    number + 1
                ));
            }
        }
    }
    words.sort_unstable();
    words.dedup();
    Ok(words)
}
