//! How risky an agent's judgements have been of late: a moving average that all workers share.
//!
//! Each judgement moves it a fifth of the way to its own score, as the control plane's does, and it
//! halves every ten minutes without one. Numbers are ten thousandths.

use clampd_model::RiskScore;

use super::{Laid, Record, Tally};
use crate::Micros;

/// From here on the agent's calls are labelled.
const AT_RISK: u32 = 5_000;
/// How far one judgement moves the average: one of so many parts of the way.
const PARTS: i64 = 5;
/// How long it takes for the average to halve.
const HALF_LIFE_MICROS: Micros = 600_000_000;
/// Averages below this are none.
const LEAST: u32 = 10;

/// The average of one agent's judgements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AgentRisk {
    average: u32,
    at: Micros,
}

impl AgentRisk {
    /// Where an agent's record stands.
    pub fn key(agent: &str) -> String {
        format!("clampd.risk.{agent}")
    }

    /// Reads a record as it is at `now`; none is no risk.
    pub fn read(record: Option<&[u8]>, now: Micros) -> Self {
        let read = |record| {
            let mut record = Record(record);
            let (average, at) = (record.u32()?, record.u64()?);
            Some(decayed(average, now.saturating_sub(at)))
        };
        let average = record.and_then(read).unwrap_or(0);
        Self { average, at: now }
    }

    /// The record after one more judgement; nothing where there is none and needs none.
    pub fn after(self, score: RiskScore) -> Option<Vec<u8>> {
        let average = i64::from(self.average);
        let next = average + (score.ten_thousandths() - average) / PARTS;
        let next = u32::try_from(next).unwrap_or(0);
        if self.average == 0 && next < LEAST {
            return None;
        }
        let mut record = next.to_le_bytes().to_vec();
        record.extend(self.at.to_le_bytes());
        Some(record)
    }

    /// What the average says of the agent's next call.
    pub(super) fn lay(there: Option<&[u8]>, now: Micros) -> Laid {
        Laid {
            record: None,
            tally: Tally {
                is_at_risk: Self::read(there, now).average >= AT_RISK,
                ..Tally::default()
            },
        }
    }
}

/// Halved for each half-life, and between two of them along a line.
fn decayed(average: u32, micros: Micros) -> u32 {
    let halvings = u32::try_from(micros / HALF_LIFE_MICROS).unwrap_or(u32::MAX);
    let whole = average.checked_shr(halvings).unwrap_or(0);
    let part = u64::from(whole) * (micros % HALF_LIFE_MICROS) / (2 * HALF_LIFE_MICROS);
    whole - u32::try_from(part).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use clampd_model::RiskScore;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{AgentRisk, HALF_LIFE_MICROS};

    fn after(scores: &[f64], now: u64) -> Option<Vec<u8>> {
        scores.iter().fold(None, |record, score| {
            let risk = AgentRisk::read(record.as_deref(), now);
            risk.after(RiskScore::new(*score)).or(record)
        })
    }

    fn is_at_risk(record: Option<&[u8]>, now: u64) -> bool {
        AgentRisk::lay(record, now).tally.is_at_risk
    }

    #[test]
    fn a_few_bad_judgements_make_an_agent_risky_and_time_makes_it_good_again() {
        let three = after(&[1.0; 3], 5);
        assert!(!is_at_risk(three.as_deref(), 5));
        let four = after(&[1.0; 4], 5);
        assert!(is_at_risk(four.as_deref(), 5));
        assert!(!is_at_risk(four.as_deref(), 5 + HALF_LIFE_MICROS));
        assert!(!is_at_risk(four.as_deref(), u64::MAX));
        // A clock that goes back makes nothing better or worse.
        assert!(is_at_risk(four.as_deref(), 0));
    }

    #[test]
    fn honest_judgements_leave_no_record_and_lower_one_that_is_there() {
        assert_eq!(after(&[0.0; 9], 5), None);
        let bad = after(&[1.0; 8], 5);
        let better = [0.0; 9].iter().fold(bad, |record, _| {
            AgentRisk::read(record.as_deref(), 5).after(RiskScore::new(0.0))
        });
        assert!(!is_at_risk(better.as_deref(), 5));
    }

    #[test]
    fn a_record_that_is_none_is_no_risk() {
        for record in [&b""[..], &[1, 2, 3], &[255; 11]] {
            assert_eq!(AgentRisk::read(Some(record), 7), AgentRisk::read(None, 7));
        }
        assert!(
            is_at_risk(Some(&[255; 12]), 7),
            "too large a number is a large risk"
        );
    }
}
