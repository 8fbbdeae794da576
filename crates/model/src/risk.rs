//! How dangerous something is: as a severity of a rule, a score, a word.

use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// How bad a rule's finding is.
    #[derive(PartialOrd, Ord)]
    pub enum Severity {
        /// Worth noting.
        Low = "low",
        /// Worth a flag.
        Medium = "medium",
        /// Worth a block.
        High = "high",
        /// Worth a block under any threshold in use.
        Critical = "critical",
    }
}

impl Severity {
    /// The risk that one finding of this severity means by itself, 0 to 1.
    pub fn score(self) -> RiskScore {
        match self {
            Self::Low => RiskScore(0.2),
            Self::Medium => RiskScore(0.5),
            Self::High => RiskScore(0.85),
            Self::Critical => RiskScore(0.95),
        }
    }
}

/// A risk from 0 (none) to 1 (certain), kept to three decimals so that it reads the same
/// everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct RiskScore(f64);

impl RiskScore {
    /// No risk.
    pub const ZERO: Self = Self(0.0);
    /// Certain danger.
    pub const ONE: Self = Self(1.0);

    /// Clamps `value` to 0..=1 and rounds it to three decimals; what is no number is 1.
    pub fn new(value: f64) -> Self {
        if value.is_nan() {
            Self::ONE
        } else {
            Self((value.clamp(0.0, 1.0) * 1000.0).round() / 1000.0)
        }
    }

    /// The number, 0 to 1.
    pub fn value(self) -> f64 {
        self.0
    }

    /// The number in ten-thousandths, as decimals with four places are kept.
    pub fn ten_thousandths(self) -> i64 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "0 to 10000, and rounded before"
        )]
        let whole = (self.0.clamp(0.0, 1.0) * 10_000.0).round() as i64;
        whole
    }

    /// The risk of two independent dangers together: `1 - (1-a)(1-b)`.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::new(1.0 - (1.0 - self.0) * (1.0 - other.0))
    }

    /// The larger of the two.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if other.0 > self.0 { other } else { self }
    }

    /// The word for the score.
    pub fn level(self) -> RiskLevel {
        match self.0 {
            s if s >= 0.9 => RiskLevel::Critical,
            s if s >= 0.7 => RiskLevel::High,
            s if s >= 0.4 => RiskLevel::Medium,
            _ => RiskLevel::Low,
        }
    }
}

words! {
    /// The word for a risk score: low below 0.4, medium below 0.7, high below 0.9, else critical.
    #[derive(Default, PartialOrd, Ord)]
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
    pub enum RiskLevel {
        /// Below 0.4.
        #[default]
        Low = "low",
        /// From 0.4.
        Medium = "medium",
        /// From 0.7.
        High = "high",
        /// From 0.9.
        Critical = "critical",
    }
}

words! {
    /// What a call is taken for.
    #[derive(Default)]
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum Classification {
        /// Nothing was found, or little.
        #[default]
        Safe = "Safe",
        /// Worth a flag.
        Suspicious = "Suspicious",
        /// Worth a block.
        Malicious = "Malicious",
    }
}

#[cfg(test)]
mod tests {
    use super::{RiskLevel, RiskScore};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_word_follows_the_score() {
        for (score, level) in [
            (0.0, RiskLevel::Low),
            (0.399, RiskLevel::Low),
            (0.4, RiskLevel::Medium),
            (0.7, RiskLevel::High),
            (0.9, RiskLevel::Critical),
            (7.0, RiskLevel::Critical),
            (f64::NAN, RiskLevel::Critical),
        ] {
            assert_eq!(RiskScore::new(score).level(), level, "{score}");
        }
    }

    #[test]
    fn two_dangers_are_worse_than_one() {
        assert_eq!(
            RiskScore::new(0.5).and(RiskScore::new(0.5)),
            RiskScore::new(0.75)
        );
    }
}
