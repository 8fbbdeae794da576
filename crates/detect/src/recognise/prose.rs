//! Whether a text is written for people. The same words are an order to a machine when they
//! stand alone, and a remark when they stand in a sentence.

use std::cell::OnceCell;

use clampd_sweep::Traits;

/// Words that say what a text is, wherever they stand.
pub(crate) const CUES: &[(&str, Traits)] =
    &[("case when ", Traits::CASE_WHEN), ("```", Traits::FENCE)];

/// Plain words that make a sentence.
const PLAIN_WORDS_MIN: usize = 5;
/// Plain words in a row that are a sentence, whatever else stands around it.
const SENTENCE_WORDS_MIN: usize = 6;
/// Lines from which on a text is a document or a listing and no value.
const LINES_MAX: usize = 8;
/// Letters of a script without spaces that make a sentence.
const UNSPACED_LETTERS_MIN: usize = 12;
/// Words that are looked at.
const WORDS_MAX: usize = 96;

/// Whether a text is prose, found out when first asked.
pub(crate) struct Prose<'t> {
    text: &'t str,
    /// What the words of [`CUES`] in it say.
    cues: Traits,
    holds: OnceCell<bool>,
    document: OnceCell<bool>,
}

impl<'t> Prose<'t> {
    pub(crate) fn new(text: &'t str, cues: Traits) -> Self {
        Self {
            text,
            cues,
            holds: OnceCell::new(),
            document: OnceCell::new(),
        }
    }

    /// Whether it has as many lines as a document or a listing.
    pub(crate) fn is_document(&self) -> bool {
        *self
            .document
            .get_or_init(|| is_document(self.text, self.cues))
    }

    /// Whether it is.
    pub(crate) fn holds(&self) -> bool {
        *self.holds.get_or_init(|| is_prose(self.text, self.cues))
    }
}

impl Prose<'_> {
    /// Whether what stands at `offset` is part of a sentence too: most of the next few words are
    /// plain. Words before it prove nothing, since whoever sends a payload writes them.
    pub(crate) fn goes_on_at(&self, offset: u32) -> bool {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let behind = self.text.get(offset..).unwrap_or_default();
        let mut plain = 0;
        let mut words = 0;
        for word in behind.split_ascii_whitespace().take(WORDS_BEHIND) {
            words += 1;
            plain += usize::from(is_plain(word));
        }
        plain * 2 > words || behind.chars().take(12).all(is_unspaced)
    }

    /// Whether the text is a sentence that speaks about what stands at `offset` instead of doing
    /// it: it is quoted there, or introduced as an example, and the sentence asks or explains.
    pub(crate) fn mentions(&self, offset: u32) -> bool {
        const EXPLAINING: &[&str] = &[
            "what does",
            "what is",
            "mean",
            "explain",
            "example",
            "such as",
            "phrases like",
            "prompt injection",
            "sql injection",
            "attacks like",
            "attackers",
            "detect",
            "e.g.",
            "was bedeutet",
            "que significa",
            "que signifie",
            "什么意思",
            "どういう意味",
        ];
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let before = self.text.get(..offset).unwrap_or_default().trim_end();
        let introduced = before.ends_with(['"', '\'', '`', '(', '«', '「'])
            || ["like", "as", "example", "phrase", "e.g."]
                .iter()
                .any(|word| before.ends_with(word));
        self.text.len() <= MENTION_BYTES_MAX
            && introduced
            && self.holds()
            && EXPLAINING.iter().any(|cue| self.text.contains(cue))
    }
}

/// Words behind a place that tell whether a sentence goes on there.
const WORDS_BEHIND: usize = 4;

/// The longest text that is taken for a question about an attack.
const MENTION_BYTES_MAX: usize = 400;

/// Whether most of the words of a folded text are plain words of some language.
fn is_prose(text: &str, cues: Traits) -> bool {
    let statement = STATEMENTS.iter().any(|begin| text.starts_with(begin));
    if cues.any(Traits::CASE_WHEN) && !statement {
        return is_document(text, cues);
    }
    let mut words = 0;
    let mut plain = 0;
    let mut unspaced = 0;
    let mut run = 0;
    let mut longest = 0;
    for word in text.split_ascii_whitespace().take(WORDS_MAX) {
        words += 1;
        if is_plain(word) {
            plain += 1;
            run += 1;
            longest = longest.max(run);
            if longest >= SENTENCE_WORDS_MIN {
                return true;
            }
        } else {
            run = 0;
        }
        if !word.is_ascii() {
            unspaced += word.chars().filter(|c| is_unspaced(*c)).count();
        }
    }
    unspaced >= UNSPACED_LETTERS_MIN
        || longest >= SENTENCE_WORDS_MIN
        || (plain >= PLAIN_WORDS_MIN && plain * 100 >= words * 55)
        || is_document(text, cues)
}

/// Whether it has many lines or shows code as documents do.
fn is_document(text: &str, cues: Traits) -> bool {
    let ends = text.bytes().filter(|b| *b == b'\n');
    ends.take(LINES_MAX + 1).count() > LINES_MAX || cues.any(Traits::FENCE)
}

/// How whole statements begin: what stands in them is theirs.
const STATEMENTS: &[&str] = &[
    "alter ", "create ", "insert ", "select ", "update ", "with ",
];

/// Words of statements, which make no sentence.
const STATEMENT_WORDS: &[&str] = &[
    "declare", "delay", "delete", "drop", "exec", "from", "having", "insert", "into", "null",
    "select", "set", "table", "union", "update", "values", "waitfor", "where",
];

/// Letters alone, of any script, with the punctuation of sentences around them.
fn is_plain(word: &str) -> bool {
    let bare = word.trim_matches(['.', ',', '?', '!', ':', ';', '"', '\'', '(', ')']);
    if bare.is_empty() || bare.len() > WORD_BYTES_MAX {
        return false;
    }
    let letters = if bare.is_ascii() {
        bare.bytes()
            .all(|b| b.is_ascii_lowercase() || b == b'\'' || b == b'-')
    } else {
        bare.chars()
            .all(|c| c.is_alphabetic() || c == '\'' || c == '-' || is_vowel_sign(c))
    };
    let statement = matches!(bare.len(), 3..=7) && STATEMENT_WORDS.binary_search(&bare).is_ok();
    letters && !statement
}

/// The longest word of a language.
const WORD_BYTES_MAX: usize = 90;

/// Signs of Indic scripts that are no letters by themselves.
fn is_vowel_sign(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{dff}')
}

/// Letters of scripts that are written without spaces.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{0e00}'..='\u{0eff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}')
}

#[cfg(test)]
mod tests {
    use super::{Traits, is_prose};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn sentences_are_told_from_payloads() {
        for prose in [
            "show me all files in the directory that are larger than 5 mb",
            "write a sentence; update the doc and tell me, please.",
            "この文章は人間のために書かれています",
            "सभी फाइलों को दिखाएँ जो बड़ी हैं",
        ] {
            assert!(is_prose(prose, Traits::default()), "{prose}");
        }
        for payload in [
            "; cat /etc/passwd",
            "' or 1=1 --",
            "<b onclick=alert(1)>x</b>",
            "ls -la",
        ] {
            assert!(!is_prose(payload, Traits::default()), "{payload}");
        }
    }
}
