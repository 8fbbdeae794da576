//! The words of groups around the words that open their rules.
//!
//! Every such word is found and every opening word asks for its own in logarithmic time, so that
//! no number of words that lead nowhere hides the one that does.

use crate::rule::{Reach, Rule};

use super::{
    judge::{Gate, Judge, RuleSet, begins_word, narrow},
    order::{self, Packed},
};

/// Groups that a rule may have.
pub(super) const GROUPS_MAX: usize = 1 << GROUP_BITS;
/// Bytes that a word may have.
pub(super) const WORD_BYTES_MAX: usize = (1 << LENGTH_BITS) - 1;
const GROUP_BITS: u32 = 5;
const LENGTH_BITS: u32 = 11;

/// A word of a group of a rule at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Near {
    rule: u16,
    group: u8,
    start: u32,
    end: u32,
    /// The end of the word of this group, up to here, that ends last.
    furthest: u32,
}

impl Packed for Near {
    fn pack(self) -> u64 {
        let bytes = self.end.saturating_sub(self.start);
        u64::from(self.rule) << 48
            | u64::from(self.group) << (32 + LENGTH_BITS)
            | u64::from(self.start) << LENGTH_BITS
            | u64::from(bytes)
    }

    fn unpack(number: u64) -> Self {
        let start = (number >> LENGTH_BITS) as u32;
        let end = start.saturating_add(number as u32 & ((1 << LENGTH_BITS) - 1));
        Self {
            rule: (number >> 48) as u16,
            group: (number >> (32 + LENGTH_BITS)) as u8 & ((1 << GROUP_BITS) - 1),
            start,
            end,
            furthest: end,
        }
    }
}

/// Where words may begin that count.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

impl Packed for Span {
    fn pack(self) -> u64 {
        u64::from(self.start) << 32 | u64::from(self.end)
    }

    fn unpack(number: u64) -> Self {
        Self {
            start: (number >> 32) as u32,
            end: number as u32,
        }
    }
}

/// The words of groups of the opened rules around the gates, by rule and group in order.
pub(super) fn around(
    judge: &Judge<'_>,
    gates: &[Gate],
    text: &str,
    is_ascii: bool,
    opened: &RuleSet,
) -> Vec<Near> {
    let mut nears = Vec::new();
    for span in spans(judge, gates, is_ascii) {
        judge.index.nears.find(
            text.as_bytes(),
            span.start as usize..span.end as usize,
            &mut |word, start, end| {
                if !begins_word(text, start) {
                    return;
                }
                let there = judge.index.near(word).iter();
                for (rule, group) in there.filter(|(rule, _)| opened.contains(*rule)) {
                    let (start, end) = (narrow(start), narrow(end));
                    nears.push(Near {
                        rule: *rule,
                        group: *group,
                        start,
                        end,
                        furthest: end,
                    });
                }
            },
        );
    }
    order::sort(&mut nears);
    let mut last: Option<Near> = None;
    for near in &mut nears {
        if let Some(last) = last.filter(|last| (last.rule, last.group) == (near.rule, near.group)) {
            near.furthest = near.furthest.max(last.furthest);
        }
        last = Some(*near);
    }
    nears
}

/// Where words of groups may begin that count, in order and apart from each other.
fn spans(judge: &Judge<'_>, gates: &[Gate], is_ascii: bool) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for gate in gates {
        let Some(rule) = judge.rule(gate.rule).filter(|rule| !rule.near.is_empty()) else {
            continue;
        };
        let within = within(rule, is_ascii);
        let start = match rule.reach {
            Reach::Around => gate
                .start
                .saturating_sub(within)
                .saturating_sub(narrow(judge.index.near_bytes_max)),
            Reach::After => gate.end,
        };
        let end = gate.end.saturating_add(within + 1);
        spans.push(Span { start, end });
    }
    order::sort(&mut spans);
    spans.dedup_by(|next, last| {
        let touches = next.start <= last.end;
        if touches {
            last.end = last.end.max(next.end);
        }
        touches
    });
    spans
}

/// How many bytes may lie between a rule's gate and a word of a group.
fn within(rule: &Rule, is_ascii: bool) -> u32 {
    // Letters outside ASCII are two or three bytes long.
    u32::from(rule.within) * if is_ascii { 1 } else { 2 }
}

/// The words of one rule.
pub(super) fn of_rule(nears: &[Near], rule: u16) -> &[Near] {
    let from = nears.partition_point(|near| near.rule < rule);
    let rest = nears.get(from..).unwrap_or_default();
    let to = rest.partition_point(|near| near.rule == rule);
    rest.get(..to).unwrap_or_default()
}

/// Whether each group of the rule has a word close enough to the gate. `nears` are the rule's.
pub(super) fn stands_near(rule: &Rule, nears: &[Near], gate: &Gate, is_ascii: bool) -> bool {
    let within = within(rule, is_ascii);
    (0_u8..).zip(rule.near.iter()).all(|(group, _)| {
        let from = nears.partition_point(|near| near.group < group);
        let rest = nears.get(from..).unwrap_or_default();
        let to = rest.partition_point(|near| near.group == group);
        let there = rest.get(..to).unwrap_or_default();
        let last_start = gate.end.saturating_add(within);
        match rule.reach {
            Reach::Around => {
                let before = there.partition_point(|near| near.start <= last_start);
                let before = before.checked_sub(1).and_then(|at| there.get(at));
                before.is_some_and(|near| gate.start <= near.furthest.saturating_add(within))
            }
            Reach::After => {
                let behind = there.partition_point(|near| near.start < gate.end);
                let behind = there.get(behind);
                behind.is_some_and(|near| near.start <= last_start)
            }
        }
    })
}
