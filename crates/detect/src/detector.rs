//! The scan: fold, find words, judge the rules whose words were seen.

mod index;
mod judge;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod naive;
mod near;
mod order;
mod pattern;

use std::borrow::Cow;

use crate::{
    decode::{self, Variant, Variants},
    effort::Effort,
    findings::{Collected, Findings},
    fold::fold_text,
    limits::VARIANT_BYTES,
    place::{Leaf, Place},
    rule::Rule,
};

use index::Index;
use judge::{Context, Judge};

/// Finds a table of rules in texts. Built once, used for every text.
#[derive(Debug)]
pub struct Detector {
    rules: Cow<'static, [Rule]>,
    index: Index,
}

/// The rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// A pattern is no regular expression.
    #[error("pattern of rule `{rule}` cannot be read: {reason}")]
    Pattern {
        /// The rule's id.
        rule: String,
        /// Why.
        reason: String,
    },
    /// The words are too many or too long.
    #[error("the rules' words cannot be indexed: {0}")]
    Words(String),
}

impl Detector {
    /// Makes ready a table of rules.
    ///
    /// # Errors
    /// [`DetectError`] names the rule whose pattern cannot be read.
    pub fn new(rules: impl Into<Cow<'static, [Rule]>>) -> Result<Self, DetectError> {
        let rules = rules.into();
        let index = Index::new(&rules)?;
        Ok(Self { rules, index })
    }

    /// The rules that it looks for.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Scans every leaf of one call, or one bare text.
    pub fn scan<'a>(
        &self,
        place: &Place<'_>,
        leaves: impl IntoIterator<Item = Leaf<'a>>,
    ) -> Findings {
        let mut collected = Collected::default();
        let kind = place.kind();
        for leaf in leaves {
            let judge = Judge {
                rules: &self.rules,
                index: &self.index,
                context: Context {
                    surface: place.surface,
                    own_language: leaf.own_language(place.surface, kind),
                },
                effort: Effort::for_leaf(leaf.text.len()),
            };
            scan_leaf(&judge, leaf.text, &mut collected);
        }
        collected.finish()
    }
}

/// Scans a text and everything that it decodes to. What the effort does not reach for is a
/// finding.
fn scan_leaf(judge: &Judge<'_>, text: &str, collected: &mut Collected) {
    let mut variants = Variants::default();
    scan_variant(judge, &Variant::written(text), &mut variants, collected);
    while let Some(variant) = variants.next(&judge.effort) {
        scan_variant(judge, &variant, &mut variants, collected);
        variants.seen(variant);
    }
    if judge.effort.is_exceeded() {
        collected.add_limit(judge.context.surface);
    }
}

fn scan_variant(
    judge: &Judge<'_>,
    variant: &Variant<'_>,
    variants: &mut Variants,
    collected: &mut Collected,
) {
    let folded = fold_text(&variant.text);
    let decodings = variant.decodings.union(folded.decodings);
    let survey = judge.judge(&folded.text, decodings, collected);
    decode::unfold(
        variant,
        &folded.text,
        survey.traits,
        variants,
        &judge.effort,
    );
    for (text, step) in decode::refold(&folded.text, &survey) {
        if judge.effort.spend(text.len().saturating_add(VARIANT_BYTES)) {
            judge.judge(&text, decodings.with(step), collected);
        }
    }
}
