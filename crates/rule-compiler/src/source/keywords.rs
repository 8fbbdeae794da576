//! A list of words as its author writes it, and the rule that it stands for.

use clampd_detect::{Form, Reach, Rule, Signal, fold};
use clampd_model::{Severity, Surface, SurfaceSet, ToolCategory};
use serde::Deserialize;

use super::{Example, Place, RuleSource, WITHIN_DEFAULT, WrittenAs};

/// A list of words that are looked for as whole words.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeywordsToml {
    id: String,
    name: String,
    severity: Severity,
    why: String,
    words: Vec<String>,
    short_literals: Option<String>,
    #[serde(default = "everywhere")]
    applies_to: Vec<Surface>,
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
}

fn everywhere() -> Vec<Surface> {
    SurfaceSet::from_bits(u8::MAX).iter().collect()
}

impl KeywordsToml {
    /// The rule that finds each of the words, folded, where it is a whole word.
    pub(super) fn resolve(self, place: &Place<'_>) -> RuleSource {
        let mut words: Vec<String> = self.words.iter().map(|word| fold(word.trim())).collect();
        words.sort_unstable();
        words.dedup();
        let of_words = self.words.into_iter().map(Example::Text);
        RuleSource {
            file: place.file.to_owned(),
            line: place.line,
            written_as: WrittenAs::Keywords,
            id: self.id.clone(),
            rule: Rule {
                id: self.id.into(),
                name: self.name.into(),
                category: place.category.to_owned().into(),
                severity: self.severity,
                applies_to: self.applies_to.into_iter().collect(),
                literals: words.iter().collect(),
                near: Vec::new().into(),
                reach: Reach::Around,
                within: WITHIN_DEFAULT,
                pattern: None,
                before: 0,
                signal: Some(Signal::WordEnd),
                form: Form::Any,
                not_in: self.not_in.into_iter().collect(),
                only_in: self.only_in.into_iter().collect(),
            },
            why: self.why,
            references: self.references,
            short_literals: self.short_literals,
            should_match: of_words.chain(self.should_match).collect(),
            should_not_match: self.should_not_match,
            known_misses: Vec::new(),
        }
    }
}
