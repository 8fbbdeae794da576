//! A rule of an organisation's own as the bundle carries it; `detect` makes a rule of it.

use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    Severity, Surface, ToolCategory,
    fields::{Fields, list},
};

/// The rules of an organisation's own, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RuleRows(pub Vec<RuleRow>);

impl<'de> Deserialize<'de> for RuleRows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        list(deserializer).map(Self)
    }
}

/// A compiled rule: what runs, without its prose and examples. The fields are those of a rule
/// file, folded and with defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub near: Vec<Vec<String>>,
    /// `around` or `after`: on which side of the literal those words stand.
    pub reach: String,
    /// How many bytes may lie between.
    pub within: u16,
    /// A regular expression in the syntax of `regex-lite`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// How many bytes before the literal the pattern may begin.
    pub before: u16,
    /// The name of what a recogniser must have seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// `any`, `bare` or `order`: which texts it is looked for in.
    pub form: String,
    /// Not looked for in the own language of tools of these categories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_in: Vec<ToolCategory>,
    /// When not empty, only looked for in the own language of tools of these categories.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only_in: Vec<ToolCategory>,
}

impl TryFrom<Fields> for RuleRow {
    type Error = String;

    fn try_from(mut fields: Fields) -> Result<Self, String> {
        let row = Self {
            id: fields.text("id")?,
            name: fields.text("name")?,
            category: fields.text("category")?,
            severity: fields.word("severity", Severity::parse)?,
            applies_to: fields.words("applies_to", Surface::parse)?,
            literals: fields.texts("literals")?,
            near: fields.lists("near")?,
            reach: fields.text("reach")?,
            within: bytes(&mut fields, "within")?,
            pattern: fields.optional_text("pattern")?,
            before: bytes(&mut fields, "before")?,
            signal: fields.optional_text("signal")?,
            form: fields.text("form")?,
            not_in: fields.words("not_in", ToolCategory::parse)?,
            only_in: fields.words("only_in", ToolCategory::parse)?,
        };
        fields.end().map(|()| row)
    }
}

/// A number of bytes; 0 where there is none.
fn bytes(fields: &mut Fields, name: &str) -> Result<u16, String> {
    let number = fields.optional_number(name)?.unwrap_or(0.0);
    // What does not fit is refused below.
    let bytes = number as u16;
    if f64::from(bytes).total_cmp(&number).is_eq() {
        Ok(bytes)
    } else {
        Err(format!("`{name}` must be a whole number below 65536"))
    }
}
