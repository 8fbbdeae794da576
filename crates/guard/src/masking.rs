//! Masking in place what an answer holds of personal data and secrets.
//!
//! Where something stands is found by asking the detector about less and less of a text. So whatever it
//! finds, in whatever encoding, can be masked, and nothing of what is left is found again.

mod place;

use clampd_detect::{Findings, Leaf, Place};
use clampd_model::{Finding, ResponseAction, Subject};
use serde_json::{Map, Value};

use crate::{
    ErrorCode, Guard, Refusal, Snapshot,
    decide::handling,
    format::Judge,
    json::parse_strict,
    leaves::{Leaves, leaves_told},
};
use place::{Quotes, Words, put_back};

/// What stands in the place of what was masked.
const MASK: &str = "[redacted]";
const MASK_OF_JSON: &str = r#""[redacted]""#;

/// How many times its own length of text may be looked at again to find places in an answer, and how
/// many bytes beside. Past it a text is masked whole.
const AGAIN_FACTOR: usize = 4;
const AGAIN_BYTES: usize = 131_072;

/// What every look costs beside the bytes looked at.
const LOOK_BYTES: usize = 256;

/// The rule that finds where a secret begins and not where it ends.
const BEGINNING: &str = "secret-private-key";

/// What is to be masked in one answer.
pub(crate) struct Masking<'m> {
    guard: &'m Guard,
    snapshot: &'m Snapshot,
    subject: Subject<'m>,
    place: Place<'m>,
    /// Texts of the answer, and what is to stand in their place.
    masks: Map<String, Value>,
    /// How much more may be looked at again.
    room: usize,
    /// What was found.
    pub(crate) found: Findings,
}

impl<'m> Masking<'m> {
    /// Nothing yet, of an answer of so many bytes; `None` where nothing found in answers to
    /// `subject` is to be masked.
    pub(crate) fn of(
        guard: &'m Guard,
        snapshot: &'m Snapshot,
        subject: Subject<'m>,
        bytes: usize,
    ) -> Option<Self> {
        let mut entries = snapshot.settings().responses.iter();
        entries.find(|entry| entry.action == ResponseAction::Redact)?;
        Some(Self {
            guard,
            snapshot,
            subject,
            place: Guard::place_of_answer(subject.tool),
            masks: Map::new(),
            room: bytes
                .saturating_mul(AGAIN_FACTOR)
                .saturating_add(AGAIN_BYTES),
            found: Findings::default(),
        })
    }

    /// Whether nothing is to be masked.
    pub(crate) fn is_empty(&self) -> bool {
        self.masks.is_empty()
    }

    /// Looks at texts of the answer.
    ///
    /// # Errors
    /// They are more than are looked at.
    pub(crate) fn read(&mut self, leaves: &Leaves<'_>) -> Result<(), Refusal> {
        let found = self.guard.find(self.snapshot, &self.place, leaves)?;
        let is_masked = found.findings.iter().any(|f| self.is_masked(f));
        self.found = std::mem::take(&mut self.found).merge(found);
        if !is_masked {
            return Ok(());
        }
        for leaf in leaves.iter() {
            if !self.masks.contains_key(leaf.text) && self.is_found_in(leaf) {
                let masked = self.without(leaf);
                self.masks.insert(leaf.text.to_owned(), masked.into());
            }
        }
        Ok(())
    }

    /// The answer with everything masked, and what is read in it then; all else is as it came, byte
    /// for byte. `read` is what was read in `body`.
    ///
    /// # Errors
    /// It cannot be masked so that it can still be read in one way.
    pub(crate) fn applied(&self, body: &[u8], read: &Value) -> Result<(Vec<u8>, Value), Refusal> {
        // Text that is no JSON.
        if let Value::String(text) = read
            && !body.trim_ascii_start().starts_with(b"\"")
        {
            let masked = self.masks.get(text).unwrap_or(read);
            let bytes = masked.as_str().unwrap_or_default().as_bytes().to_vec();
            return Ok((bytes, masked.clone()));
        }
        let body = put_back(body, &self.masks);
        match parse_strict(&body) {
            Ok(value) => Ok((body, value)),
            Err(_) => Err(ErrorCode::ContentBlocked.because("the answer cannot be masked")),
        }
    }

    /// Whether a finding of that kind is to be masked.
    pub(crate) fn is_masked(&self, finding: &Finding) -> bool {
        let settings = self.snapshot.settings();
        handling(settings, &self.subject, finding) == Some(ResponseAction::Redact)
    }

    /// Whether something to be masked is found in a text.
    fn is_found_in(&self, leaf: Leaf<'_>) -> bool {
        let found = self.guard.find_anew(self.snapshot, &self.place, &[leaf]);
        found.findings.iter().any(|f| self.is_masked(f))
    }

    /// The same of a part of a text; `None` when too much was asked.
    fn is_in(&mut self, name: &str, text: &str) -> Option<bool> {
        let cost = text.len().saturating_add(LOOK_BYTES);
        self.room = self.room.checked_sub(cost)?;
        Some(self.is_found_in(Leaf { name, text }))
    }

    /// A text without what is to be masked in it.
    fn without(&mut self, leaf: Leaf<'_>) -> String {
        let is_json = |text: &str| parse_strict(text.as_bytes()).is_ok();
        let was_json = opens_json(leaf.text) && is_json(leaf.text);
        let found = self.guard.find_anew(self.snapshot, &self.place, &[leaf]);
        let mut rules = found.findings.iter().map(|f| f.rule_id.as_ref());
        if !rules.any(|rule| rule == BEGINNING)
            && let Some(text) = self.part_by_part(leaf, was_json)
            && (!was_json || is_json(&text))
            && !self.is_found_in(Leaf {
                text: &text,
                ..leaf
            })
        {
            return text;
        }
        if was_json { MASK_OF_JSON } else { MASK }.to_owned()
    }

    fn part_by_part(&mut self, leaf: Leaf<'_>, is_json: bool) -> Option<String> {
        let words = Words::of(leaf.text);
        let mut masked = String::with_capacity(leaf.text.len());
        let mut quotes = Quotes::default();
        let (mut copied, mut from) = (0, 0);
        while from < words.len() {
            let window = words.window(from);
            if !self.is_in(leaf.name, words.text(from, window))? {
                from = words.next_window(from);
                continue;
            }
            // The first end up to which something is found, then the last start.
            let (mut none, mut to) = (from, window);
            while to - none > 1 {
                let half = none.midpoint(to);
                if self.is_in(leaf.name, words.text(from, half))? {
                    to = half;
                } else {
                    none = half;
                }
            }
            let (mut start, mut none) = (from, to);
            while none - start > 1 {
                let half = start.midpoint(none);
                if self.is_in(leaf.name, words.text(half, to))? {
                    start = half;
                } else {
                    none = half;
                }
            }
            let (begin, end) = words.telling(start, to);
            let (begin, end) = (begin.max(copied), end.max(copied));
            masked.push_str(leaf.text.get(copied..begin)?);
            let is_bare = is_json && quotes.are_closed_behind(leaf.text.get(copied..begin)?);
            masked.push_str(if is_bare { MASK_OF_JSON } else { MASK });
            quotes.are_closed_behind(leaf.text.get(begin..end)?);
            copied = end;
            from = words.behind(end);
        }
        masked.push_str(leaf.text.get(copied..)?);
        Some(masked)
    }
}

/// Whether a text could be an object or a list in JSON.
pub(crate) fn opens_json(text: &str) -> bool {
    matches!(
        text.as_bytes().trim_ascii_start().first(),
        Some(b'{' | b'[')
    )
}

/// Looks at what a model's answer tells, and leaves its calls alone: they are judged as calls.
impl Judge for Masking<'_> {
    fn call(&mut self, _: &Value) -> Option<String> {
        None
    }

    fn text(&mut self, told: &Value) -> Option<String> {
        // What cannot be read is refused where it is judged.
        let _ = self.read(&leaves_told(told));
        None
    }
}
