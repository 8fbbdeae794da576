//! What one agent used in the last minute, the tools that it has called, and what answers brought it
//! in the last hour.
//!
//! A ring of spans of five seconds, or of five minutes: old ones are overwritten. The ring holds one
//! span more than a minute, or an hour, so that what is bounded is bounded in every sixty seconds, or
//! minutes, wherever they begin.

use super::{Laid, Record, Tally};
use crate::{ErrorCode, Micros, Refusal};

const SPAN_MICROS: Micros = 5_000_000;
const ANSWER_SPAN_MICROS: Micros = 60 * SPAN_MICROS;
const SPANS: usize = 13;
/// How many tools of an agent are remembered; of more, those called first are forgotten.
const TOOLS_MAX: usize = 256;

/// A charge upon an agent.
#[derive(Debug)]
pub(super) struct AgentEntry {
    pub(super) calls: u32,
    pub(super) bytes: u64,
    pub(super) tool: Option<u32>,
    pub(super) calls_max: Option<u32>,
    pub(super) bytes_max: Option<u64>,
}

/// A look at what answers have brought an agent.
#[derive(Debug)]
pub(super) struct AnswersEntry {
    pub(super) bytes_max: u64,
}

/// What answers bring an agent: a record that its first call under a bound begins. Where there is none,
/// nothing is counted.
#[derive(Debug)]
pub struct AnswerBytes;

#[derive(Debug, Default)]
struct Window {
    /// The number of the newest span since 1970.
    latest: u64,
    /// Calls and bytes, the newest last.
    spans: [(u32, u64); SPANS],
    tools: Vec<u32>,
}

impl AgentEntry {
    pub(super) fn lay(&self, there: Option<&[u8]>, now: Micros) -> Laid {
        let mut window = there.and_then(Window::read).unwrap_or_default();
        window.turn_to(now / SPAN_MICROS);
        let calls = window.used(|(calls, _)| u64::from(*calls)) + u64::from(self.calls);
        let bytes = window.used(|(_, bytes)| *bytes).saturating_add(self.bytes);
        for (use_, most, sum, unit) in [
            (
                u64::from(self.calls),
                self.calls_max.map(u64::from),
                calls,
                "calls",
            ),
            (self.bytes, self.bytes_max, bytes, "bytes"),
        ] {
            if let Some(most) = most.filter(|most| use_ > 0 && sum > *most) {
                let is_calls = unit == "calls";
                let seconds = window.seconds_until_free(sum - most, is_calls, SPAN_MICROS, now);
                return Laid::over(over(most, &format!("{unit} a minute"), seconds));
            }
        }
        if let Some((calls, bytes)) = window.spans.last_mut() {
            *calls = calls.saturating_add(self.calls);
            *bytes = bytes.saturating_add(self.bytes);
        }
        let is_first_time = self.tool.is_some_and(|tool| !window.tools.contains(&tool));
        if let Some(tool) = self.tool.filter(|_| is_first_time) {
            if window.tools.len() >= TOOLS_MAX {
                window.tools.remove(0);
            }
            window.tools.push(tool);
        }
        Laid {
            record: Some(window.to_record()),
            tally: Tally {
                calls_last_minute: Some(u32::try_from(calls).unwrap_or(u32::MAX)),
                is_first_time,
                ..Tally::default()
            },
        }
    }
}

impl AnswersEntry {
    pub(super) fn lay(&self, there: Option<&[u8]>, now: Micros) -> Laid {
        let window = AnswerBytes::read(there, now);
        let bytes = window.used(|(_, bytes)| *bytes);
        if let Some(beyond) = bytes.checked_sub(self.bytes_max) {
            let need = beyond.saturating_add(1);
            let seconds = window.seconds_until_free(need, false, ANSWER_SPAN_MICROS, now);
            return Laid::over(over(self.bytes_max, "bytes of answers an hour", seconds));
        }
        Laid {
            record: there.is_none().then(|| window.to_record()),
            tally: Tally::default(),
        }
    }
}

impl AnswerBytes {
    /// Where an agent's record stands.
    pub fn key(agent: &str) -> String {
        format!("clampd.answers.{agent}")
    }

    /// The record after an answer of so many bytes.
    pub fn after(there: &[u8], bytes: u64, now: Micros) -> Vec<u8> {
        let mut window = Self::read(Some(there), now);
        if let Some((_, sum)) = window.spans.last_mut() {
            *sum = sum.saturating_add(bytes);
        }
        window.to_record()
    }

    fn read(there: Option<&[u8]>, now: Micros) -> Window {
        let mut window = there.and_then(Window::read).unwrap_or_default();
        window.turn_to(now / ANSWER_SPAN_MICROS);
        window
    }
}

/// The refusal of an agent that is over so many of a unit.
fn over(most: u64, unit: &str, seconds: u64) -> Refusal {
    ErrorCode::RateLimited
        .because(format!("agent is over its {most} {unit}"))
        .again_in(seconds)
        .bounded_by(most)
}

impl Window {
    fn read(record: &[u8]) -> Option<Self> {
        let mut record = Record(record);
        let mut window = Self {
            latest: record.u64()?,
            ..Self::default()
        };
        for span in &mut window.spans {
            *span = (record.u32()?, record.u64()?);
        }
        window
            .tools
            .extend(std::iter::from_fn(|| record.u32()).take(TOOLS_MAX));
        Some(window)
    }

    fn to_record(&self) -> Vec<u8> {
        let mut record = self.latest.to_le_bytes().to_vec();
        for (calls, bytes) in self.spans {
            record.extend(calls.to_le_bytes());
            record.extend(bytes.to_le_bytes());
        }
        record.extend(self.tools.iter().flat_map(|tool| tool.to_le_bytes()));
        record
    }

    /// Makes `span` the newest, unless a newer one is: a clock that goes back a little must not
    /// make room. One that went back further than the ring is long has nothing to say.
    fn turn_to(&mut self, span: u64) {
        let steps = match span.checked_sub(self.latest) {
            None if self.latest - span <= SPANS as u64 => return,
            None => SPANS,
            Some(steps) => usize::try_from(steps).unwrap_or(SPANS).min(SPANS),
        };
        self.latest = span;
        self.spans.rotate_left(steps % SPANS);
        self.spans
            .iter_mut()
            .rev()
            .take(steps)
            .for_each(|span| *span = (0, 0));
    }

    fn used(&self, of: impl Fn(&(u32, u64)) -> u64) -> u64 {
        self.spans.iter().map(of).fold(0, u64::saturating_add)
    }

    /// When so much of what is used will have left the ring, in whole seconds from now.
    fn seconds_until_free(&self, need: u64, is_calls: bool, span: Micros, now: Micros) -> u64 {
        let mut freed = 0_u64;
        let mut number = self.latest + 1;
        for (calls, bytes) in self.spans {
            let used = if is_calls { u64::from(calls) } else { bytes };
            freed = freed.saturating_add(used);
            if freed >= need {
                break;
            }
            number += 1;
        }
        let at = number.saturating_mul(span);
        at.saturating_sub(now).div_ceil(1_000_000).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::{AgentEntry, AnswerBytes, AnswersEntry, SPAN_MICROS, TOOLS_MAX};
    use crate::Micros;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NOW: Micros = 1_800_000_000_000_000;
    const SECOND: Micros = 1_000_000;

    fn call(bytes: u64) -> AgentEntry {
        AgentEntry {
            calls: 1,
            bytes,
            tool: None,
            calls_max: Some(3),
            bytes_max: Some(100),
        }
    }

    /// Calls at those seconds; whether each may be made, and when it may be tried again.
    fn check(bytes: u64, calls: &[(u64, Option<u64>)]) {
        let mut record: Option<Vec<u8>> = None;
        for (second, again) in calls {
            let laid = call(bytes).lay(record.as_deref(), NOW + second * SECOND);
            let over = laid.tally.over.clone();
            assert_eq!(over.and_then(|o| o.again_seconds()), *again, "{second}");
            record = laid.record.or(record);
        }
    }

    #[test]
    fn no_minute_holds_more_calls_than_the_bound_wherever_it_begins() {
        check(
            1,
            &[
                (0, None),
                (4, None),
                (59, None),
                (60, Some(5)),
                (64, Some(1)),
                (65, None),
                (66, None),
                (67, Some(53)),
                (124, None),
            ],
        );
    }

    #[test]
    fn an_hour_s_answers_are_bounded_wherever_the_hour_begins() {
        const MINUTE: Micros = 60 * SECOND;
        let entry = AnswersEntry { bytes_max: 100 };
        let record = entry.lay(None, NOW).record.unwrap_or_default();
        assert!(!record.is_empty(), "a record is begun");
        let record = AnswerBytes::after(&record, 60, NOW);
        assert!(!entry.lay(Some(&record), NOW).is_over());
        let record = AnswerBytes::after(&record, 40, NOW + 10 * MINUTE);
        for (minute, again) in [(10, Some(55 * 60)), (64, Some(60)), (65, None)] {
            let laid = entry.lay(Some(&record), NOW + minute * MINUTE);
            let over = laid.tally.over.and_then(|over| over.again_seconds());
            assert_eq!(over, again, "{minute}");
        }
    }

    #[test]
    fn what_is_refused_is_not_counted_and_bytes_are_bounded_too() {
        check(60, &[(0, None), (10, Some(55)), (20, Some(45)), (65, None)]);
        check(101, &[(0, Some(70))]);
    }

    #[test]
    fn a_clock_that_goes_back_makes_no_room() {
        check(1, &[(30, None), (29, None), (0, None), (1, Some(94))]);
    }

    #[test]
    fn a_tool_is_new_to_an_agent_once() {
        let with = |tool, there: Option<&[u8]>| {
            let entry = AgentEntry {
                tool: Some(tool),
                calls_max: None,
                ..call(0)
            };
            entry.lay(there, NOW)
        };
        let first = with(7, None);
        let record = first.record.clone().unwrap();
        assert!(first.tally.is_first_time);
        assert!(!with(7, Some(&record)).tally.is_first_time);
        assert!(with(8, Some(&record)).tally.is_first_time);
        let mut record = record;
        for tool in 0..2_000 {
            record = with(tool, Some(&record)).record.unwrap();
        }
        assert!(record.len() < 200 + 4 * TOOLS_MAX, "a record is bounded");
    }

    #[test]
    fn a_record_that_cannot_be_read_counts_from_nothing() {
        let laid = call(1).lay(Some(&[1, 2, 3]), NOW + SPAN_MICROS);
        assert_eq!(laid.tally.calls_last_minute, Some(1));
    }
}
