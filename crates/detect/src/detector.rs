//! The scan: fold, find words, judge the rules whose words were seen.

mod index;
mod judge;

use std::borrow::Cow;

use clampd_model::Decodings;

use crate::{
    decode::{self, Variant},
    findings::{Collected, Findings},
    fold::fold_text,
    limits,
    place::{Leaf, Place},
    rule::Rule,
    traits::Traits,
};

use index::Index;

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
        for leaf in leaves {
            let own_language = leaf.own_language(place);
            let context = judge::Context {
                surface: place.surface,
                own_language,
            };
            self.scan_leaf(&context, leaf.text, &mut collected);
        }
        collected.finish()
    }

    /// Scans a text and, within the limits, everything that it decodes to.
    fn scan_leaf(&self, context: &judge::Context, text: &str, collected: &mut Collected) {
        let mut bytes_left =
            limits::VARIANT_BYTES_BASE + text.len().saturating_mul(limits::VARIANT_BYTES_RATIO);
        let mut queue: Vec<Variant<'_>> = Vec::new();
        let mut next = Some(Variant::written(text));
        let mut taken = 0;
        while let Some(variant) = next {
            self.scan_variant(context, &variant, &mut queue, collected);
            taken += 1;
            next = if taken > limits::VARIANTS_MAX {
                None
            } else {
                queue.pop()
            };
            if let Some(variant) = &next {
                match bytes_left.checked_sub(variant.text.len()) {
                    Some(left) => bytes_left = left,
                    None => break,
                }
            }
        }
    }

    fn scan_variant(
        &self,
        context: &judge::Context,
        variant: &Variant<'_>,
        queue: &mut Vec<Variant<'_>>,
        collected: &mut Collected,
    ) {
        let folded = fold_text(&variant.text);
        let decodings = variant.decodings.union(folded.decodings);
        let traits = self.scan_folded(context, &folded.text, decodings, collected);
        decode::unfold(variant, &folded.text, traits, queue);
        for (text, step) in decode::refold(&folded.text, traits) {
            self.scan_folded(context, &text, decodings.with(step), collected);
        }
    }

    /// Judges the rules on one folded text; gives the traits for further decoding.
    fn scan_folded(
        &self,
        context: &judge::Context,
        text: &str,
        decodings: Decodings,
        collected: &mut Collected,
    ) -> Traits {
        #[cfg(fuzzing)]
        crate::fuzzing::judged(text);
        judge::judge(
            &self.rules,
            &self.index,
            context,
            text,
            decodings,
            collected,
        )
    }
}
