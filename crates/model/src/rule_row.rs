//! A rule of an organisation's own as the bundle carries it; `detect` makes a rule of it.

use serde::{Deserialize, Serialize};

use crate::{Severity, Surface, ToolCategory};

/// A compiled rule: what runs, without its prose and examples. The fields are those of a rule
/// file, folded and with defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleRow {
    /// Its id; no built-in rule has the same.
    pub id: String,
    /// For people.
    pub name: String,
    /// Its category; it may be a built-in one.
    pub category: String,
    /// How bad a match is.
    pub severity: Severity,
    /// Where it is looked for.
    pub applies_to: Vec<Surface>,
    /// The words that open it.
    pub literals: Vec<String>,
    /// Groups of words; one of each must stand near.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub near: Vec<Vec<String>>,
    /// Whether those words must stand behind the literal.
    #[serde(default)]
    pub after: bool,
    /// How many bytes may lie between.
    pub within: u16,
    /// A regular expression in the syntax of `regex-lite`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// How many bytes before the literal the pattern may begin.
    #[serde(default)]
    pub before: u16,
    /// The name of what a recogniser must have seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// `any`, `bare` or `order`: which texts it is looked for in.
    pub form: String,
    /// Not looked for in the own language of tools of these categories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_in: Vec<ToolCategory>,
    /// When not empty, only looked for in the own language of tools of these categories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_in: Vec<ToolCategory>,
}
