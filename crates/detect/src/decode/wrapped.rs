//! Text hidden between other text: tag characters and variation selectors that carry bytes,
//! comments inside SQL, quoting inside shell words.

use clampd_sweep::{Survey, Traits};

/// The ASCII text that tag characters spell (Unicode 16, section 23.9).
pub(super) fn tag_characters(text: &str) -> Option<String> {
    let said: String = text
        .chars()
        .filter(|c| matches!(c, '\u{e0020}'..='\u{e007e}'))
        .filter_map(|c| char::from_u32(c as u32 - 0xe0000))
        .collect();
    (said.len() >= 8).then_some(said)
}

/// The bytes that variation selectors carry, one each: U+FE00 is 0, U+E0100 is 16.
pub(super) fn variation_selectors(text: &str) -> Option<String> {
    let bytes: Vec<u8> = text
        .chars()
        .filter_map(|c| match c {
            '\u{fe00}'..='\u{fe0f}' => u8::try_from(c as u32 - 0xfe00).ok(),
            '\u{e0100}'..='\u{e01ef}' => u8::try_from(c as u32 - 0xe0100 + 16).ok(),
            _ => None,
        })
        .collect();
    let said = String::from_utf8(bytes).ok()?;
    (said.chars().filter(char::is_ascii_graphic).count() >= 4).then_some(said)
}

/// The text with `gap` in place of each comment; what MySQL runs inside `/*! … */` stays.
pub(super) fn without_sql_comments(folded: &str, gap: &str) -> Option<String> {
    let mut out = String::with_capacity(folded.len());
    let mut rest = folded;
    let mut changed = false;
    while let Some((before, comment)) = rest.split_once("/*") {
        let Some((inside, after)) = comment.split_once("*/") else {
            break;
        };
        changed = true;
        out.push_str(before);
        out.push_str(gap);
        if let Some(run) = inside.strip_prefix('!') {
            out.push_str(run.trim_start_matches(|c: char| c.is_ascii_digit()));
            out.push_str(gap);
        }
        rest = after;
    }
    out.push_str(rest);
    changed.then_some(out)
}

/// The words that a shell would see: quotes, backslashes, carets and empty expansions inside
/// words gone, `$IFS` a space (POSIX 2.2 and 2.6, Bash 3.5.1). Quotes around words and one
/// apostrophe in a word are no disguise.
pub(super) fn without_shell_quoting(folded: &str, survey: &Survey) -> Option<String> {
    if !is_disguised(folded, survey) {
        return None;
    }
    let mut out = String::with_capacity(folded.len());
    let mut rest = folded;
    while let Some(at) = rest.bytes().position(quotes) {
        let (plain, sign) = rest.split_at_checked(at)?;
        out.push_str(plain);
        let taken = match empty_expansion(sign) {
            Some((length, put)) => {
                out.push_str(put);
                length
            }
            None => {
                if sign.starts_with(['$', '`']) {
                    out.push_str(sign.get(..1)?);
                }
                1
            }
        };
        rest = sign.get(taken..)?;
    }
    out.push_str(rest);
    Some(out)
}

/// Signs with which a shell quotes, escapes and expands.
const QUOTES: Traits = Traits::QUOTE.with(Traits::BACKSLASH).with(Traits::DOLLAR);

/// Whether a byte is one of [`QUOTES`].
fn quotes(byte: u8) -> bool {
    matches!(byte, b'\'' | b'"' | b'\\' | b'^' | b'$' | b'`')
}

/// Whether signs stand where only a disguise has them: in one word an expansion of nothing, an
/// escaped letter, or two quotes. Quotes around words and one apostrophe in a word are none.
fn is_disguised(folded: &str, survey: &Survey) -> bool {
    let mut word = Disguise::default();
    let mut done = 0;
    let rest = |at: usize| folded.get(at..).unwrap_or_default();
    while let Some(at) = survey.next(folded.as_bytes(), done, QUOTES) {
        let plain = folded.get(done..at).unwrap_or_default();
        if plain.bytes().rev().any(|byte| matches!(byte, b' ' | b'\n')) {
            word = Disguise {
                carets: word.carets,
                ..Disguise::default()
            };
        }
        word.after_letter = goes_on(plain, word.after_letter);
        if word.read(rest(at)) {
            return true;
        }
        done = at + 1;
    }
    false
}

/// What was read of a word.
#[derive(Default)]
struct Disguise {
    /// Letters stand before this place.
    after_letter: bool,
    /// The quote that was opened inside the word.
    opened: Option<char>,
    quotes: u32,
    /// Those inside this word and the words before it: one may be a power.
    carets: u32,
}

impl Disguise {
    /// Reads the sign at which `rest` begins; says whether the word is disguised.
    fn read(&mut self, rest: &str) -> bool {
        if let Some((length, put)) = empty_expansion(rest) {
            let behind = rest.get(length..).and_then(|rest| rest.chars().next());
            let before_letter = behind.is_some_and(char::is_alphabetic);
            return !put.is_empty()
                || self.after_letter
                || (before_letter && !rest.starts_with('`'));
        }
        let mut signs = rest.chars();
        let (Some(sign), next) = (signs.next(), signs.next()) else {
            return false;
        };
        let before_letter = next.is_some_and(char::is_alphanumeric);
        match sign {
            '\\' => return before_letter,
            '^' => self.carets += u32::from(self.after_letter && before_letter),
            '\'' | '"' if self.opened == Some(sign) => {
                self.opened = None;
                self.quotes += 1;
            }
            '\'' | '"' if self.after_letter && (before_letter || next == Some(sign)) => {
                self.opened = Some(sign);
                self.quotes += 1;
            }
            _ => {}
        }
        self.quotes >= 2 || self.carets >= 2
    }
}

/// Whether behind `plain` a word is going on, when before it one was or was not.
fn goes_on(plain: &str, before: bool) -> bool {
    for c in plain.chars().rev() {
        if c.is_alphanumeric() || c == '/' {
            return true;
        }
        let apart = matches!(
            c,
            ' ' | '\n' | ':' | ',' | '(' | ')' | '[' | ']' | ';' | '&' | '|'
        );
        if apart || !c.is_ascii() {
            return false;
        }
    }
    before
}

/// An expansion that gives nothing, or white space, at the start of the text.
fn empty_expansion(text: &str) -> Option<(usize, &'static str)> {
    const EXPANSIONS: &[(&str, &str)] = &[
        ("${ifs}", " "),
        ("$ifs$9", " "),
        ("$ifs", " "),
        ("$@", ""),
        ("$*", ""),
        ("${@}", ""),
        ("${*}", ""),
        ("$()", ""),
        ("``", ""),
        ("$1", ""),
        ("$9", ""),
    ];
    let found = EXPANSIONS
        .iter()
        .find(|(written, _)| text.starts_with(written))?;
    Some((found.0.len(), found.1))
}

#[cfg(test)]
mod tests {
    use super::{
        Survey, tag_characters, variation_selectors, without_shell_quoting, without_sql_comments,
    };

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn hidden_characters_are_read() {
        let tags: String = "ignore all"
            .chars()
            .filter_map(|c| char::from_u32(0xe0000 + c as u32))
            .collect();
        assert_eq!(
            tag_characters(&format!("hi{tags}")).as_deref(),
            Some("ignore all")
        );
        let selectors: String = "drop it"
            .bytes()
            .filter_map(|b| char::from_u32(if b < 16 { 0xfe00 } else { 0xe00f0 } + u32::from(b)))
            .collect();
        assert_eq!(variation_selectors(&selectors).as_deref(), Some("drop it"));
        assert_eq!(tag_characters("🏴\u{e0067}\u{e0062}\u{e007f}"), None);
    }

    #[test]
    fn comments_hide_no_sql() {
        assert_eq!(
            without_sql_comments("un/**/ion", "").as_deref(),
            Some("union")
        );
        assert_eq!(without_sql_comments("a/*x*/b", " ").as_deref(), Some("a b"));
        assert_eq!(
            without_sql_comments("/*!50000union*/ all", " ").as_deref(),
            Some(" union  all")
        );
        assert_eq!(without_sql_comments("a /* b", " "), None);
    }

    #[test]
    fn quoting_hides_no_command() {
        for (written, seen) in [
            ("c''at$ifs/etc/pass\"\"wd", "cat /etc/passwd"),
            ("w\\ho${ifs}am$@i", "who ami"),
            ("n^et us^er", "net user"),
        ] {
            assert_eq!(
                without_shell_quoting(written, &Survey::of(written)).as_deref(),
                Some(seen),
                "{written}"
            );
        }
    }
}
