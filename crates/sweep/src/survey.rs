//! Which characters and shapes a folded text has, in one pass: what tells the decoders and the
//! recognisers whether there is anything for them to read.

/// Signs in a text; each is what some decoder or recogniser asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits(u32);

impl Traits {
    /// `%`.
    pub const PERCENT: Self = Self(1);
    /// `&`.
    pub const AMPERSAND: Self = Self(1 << 1);
    /// `\`.
    pub const BACKSLASH: Self = Self(1 << 2);
    /// `=`.
    pub const EQUALS: Self = Self(1 << 3);
    /// A decimal digit.
    pub const DIGIT: Self = Self(1 << 4);
    /// `'`, `"` or a back quote.
    pub const QUOTE: Self = Self(1 << 5);
    /// `/`.
    pub const SLASH: Self = Self(1 << 6);
    /// `*`.
    pub const STAR: Self = Self(1 << 7);
    /// `$` or `^`.
    pub const DOLLAR: Self = Self(1 << 8);
    /// `<` or `>`.
    pub const ANGLE: Self = Self(1 << 9);
    /// A parenthesis, brace or bracket.
    pub const PAREN: Self = Self(1 << 10);
    /// What ends a command: `;`, `|`, `&`, a line's end.
    pub const SEPARATOR: Self = Self(1 << 11);
    /// `@`, `!`, `$` or `|`, which stand for letters.
    pub const LEET_SIGN: Self = Self(1 << 12);
    /// `.`.
    pub const DOT: Self = Self(1 << 13);
    /// `:`.
    pub const COLON: Self = Self(1 << 14);
    /// `#`.
    pub const HASH: Self = Self(1 << 18);
    /// `-`.
    pub const HYPHEN: Self = Self(1 << 19);
    const LETTER: Self = Self(1 << 15);
    /// In a word, and neither a hexadecimal digit nor the `x` before some.
    const BEYOND_HEX: Self = Self(1 << 16);
    const IN_WORD: Self = Self(1 << 31);

    /// Five words of one letter in a row, with one sign between each two.
    pub const SINGLE_LETTERS: Self = Self(1 << 21);
    /// Two words of four or more in which letters and digits or signs stand mixed, and a tenth
    /// of all words.
    pub const LEET: Self = Self(1 << 22);
    /// Eight short groups of digits or hexadecimal digits in a row.
    pub const GROUPS: Self = Self(1 << 23);
    /// It holds the mirror image of an order's word.
    pub const REVERSED: Self = Self(1 << 24);
    /// It holds an order's word moved by thirteen letters.
    pub const ROT13: Self = Self(1 << 25);
    /// It holds `case when `, with which SQL chooses.
    pub const CASE_WHEN: Self = Self(1 << 27);
    /// It holds the fence of a block of code in Markdown.
    pub const FENCE: Self = Self(1 << 28);
    /// Four digits or more in all: the fewest that a number of a person has.
    pub const NUMBER: Self = Self(1 << 26);

    /// All of them, as no text has.
    #[cfg(fuzzing)]
    pub const EVERY: Self = Self(u32::MAX);

    /// Both together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of `wanted` is there.
    pub const fn any(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }

    /// Whether all of `wanted` is there.
    pub const fn all(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }
}

/// The traits of a folded text, and where to look for its signs.
#[derive(Debug)]
pub struct Survey {
    /// What it has, all in all.
    pub traits: Traits,
    /// By block of [`BLOCK`] bytes: what stands in it.
    blocks: Vec<Traits>,
}

/// Bytes of which is known together what stands in them.
const BLOCK: usize = 64;

impl Survey {
    /// Surveys a folded text.
    pub fn of(folded: &str) -> Self {
        let text = folded.as_bytes();
        let block = |bytes: &[u8]| Traits(bytes.iter().fold(0, |seen, byte| seen | class(*byte)));
        let blocks: Vec<Traits> = text.chunks(BLOCK).map(block).collect();
        let seen = blocks.iter().fold(0, |seen, block| seen | block.0);
        let mut survey = Self {
            traits: Traits(seen & !Traits::IN_WORD.0),
            blocks,
        };
        let mut further = words(&survey, text);
        if has_single_letters(text) {
            further = further.with(Traits::SINGLE_LETTERS);
        }
        survey.traits = survey.traits.with(further);
        survey
    }

    /// The next byte of the text, from `from` on, that is one of `wanted`.
    pub fn next(&self, text: &[u8], from: usize, wanted: Traits) -> Option<usize> {
        let mut at = from;
        loop {
            let nth = at / BLOCK;
            let there = self.blocks.get(nth)?.any(wanted);
            // The last block may be longer than the text; it too is left as a whole.
            let behind = (nth + 1) * BLOCK;
            let end = text.len().min(behind);
            let found = || {
                let mut rest = text.get(at..end)?.iter();
                rest.position(|byte| class(*byte) & wanted.0 != 0)
            };
            if let Some(found) = there.then(found).flatten() {
                return Some(at + found);
            }
            at = behind;
        }
    }
}

/// Words of one byte in a row that are spelled out letters.
const SINGLES_MIN: usize = 5;

/// Whether so many words of one byte stand in a row, with one other byte between each two.
fn has_single_letters(text: &[u8]) -> bool {
    let in_word = |at: usize| text.get(at).is_some_and(|byte| in_word(*byte));
    let turns = |at: usize| in_word(at) != in_word(at + 1);
    // Such a row, with what stands at its ends, is longer than a step, so that three bytes a step
    // are enough to come upon it.
    const STEP: usize = 2 * SINGLES_MIN - 2;
    let mut at = STEP - 1;
    while at < text.len() + STEP {
        if !(turns(at) && turns(at + 1)) && at + STEP < text.len() {
            at += STEP;
            continue;
        }
        let mut to = at;
        while to <= text.len() && turns(to) {
            to += 1;
        }
        let mut from = at;
        while from > 0 && turns(from - 1) {
            from -= 1;
        }
        // What stands at the row's ends must be no word, as what is before and behind the text.
        let first = if in_word(from) && from > 0 {
            from + 1
        } else {
            from
        };
        let last = if in_word(to) {
            to.saturating_sub(1)
        } else {
            to
        };
        let singles = (first..=last).filter(|at| in_word(*at)).count();
        if singles >= SINGLES_MIN {
            return true;
        }
        at = to.max(at) + STEP;
    }
    false
}

/// What the words of a text that hold digits, or signs for letters, come to.
fn words(survey: &Survey, text: &[u8]) -> Traits {
    let signs = Traits::DIGIT.with(Traits::LEET_SIGN);
    let mut digits = 0;
    // Those of four or more in which letters and digits or signs stand mixed.
    let mut mixed = 0_usize;
    // Those in a row that may be the code of a character.
    let mut codes = 0;
    let mut codes_longest = 0;
    let mut before = 0;
    while let Some(found) = survey.next(text, before, signs) {
        let word = Word::around(text, before, found);
        digits += word.digits;
        mixed += usize::from(word.is_mixed());
        let (between, all) = codes_before(text, before, word.start);
        codes = between + if all { codes } else { 0 } + 1;
        if !word.is_code() {
            codes = 0;
        }
        codes_longest = codes_longest.max(codes);
        before = word.end;
    }
    let mut traits = Traits::default();
    for (holds, trait_) in [
        (mixed >= 2 && mixed * 10 >= count_words(text), Traits::LEET),
        (codes_longest >= CODES_MIN, Traits::GROUPS),
        (digits >= 4, Traits::NUMBER),
    ] {
        if holds {
            traits = traits.with(trait_);
        }
    }
    traits
}

/// Codes of characters in a row that are a text, those behind the last one with a digit left out.
const CODES_MIN: usize = 8;

/// How many words right before `to` may be codes of characters, and whether these are all the words
/// from `from` on.
fn codes_before(text: &[u8], from: usize, to: usize) -> (usize, bool) {
    let mut codes = 0;
    let mut at = to;
    loop {
        let gap = text.get(from..at).unwrap_or_default();
        let Some(last) = gap.iter().rposition(|byte| in_word(*byte)) else {
            return (codes, true);
        };
        let word = Word::around(text, from, from + last);
        if !word.is_code() {
            return (codes, false);
        }
        codes += 1;
        at = word.start;
    }
}

fn count_words(text: &[u8]) -> usize {
    let starts = text.iter().fold((0, false), |(count, before), byte| {
        let inside = in_word(*byte);
        (count + usize::from(inside && !before), inside)
    });
    starts.0
}

/// A run of letters, digits and signs that stand for letters.
struct Word {
    start: usize,
    end: usize,
    digits: usize,
    seen: Traits,
}

impl Word {
    /// The word of which `within` is a byte and which begins at `from` or behind.
    fn around(text: &[u8], from: usize, within: usize) -> Self {
        let front = text.get(from..within).unwrap_or_default();
        let front = front
            .iter()
            .rev()
            .take_while(|byte| in_word(**byte))
            .count();
        let start = within - front;
        let mut word = Self {
            start,
            end: start,
            digits: 0,
            seen: Traits::default(),
        };
        for byte in text.get(start..).unwrap_or_default() {
            if !in_word(*byte) {
                break;
            }
            word.end += 1;
            word.digits += usize::from(byte.is_ascii_digit());
            word.seen = word.seen.with(Traits(class(*byte)));
        }
        word
    }

    fn length(&self) -> usize {
        self.end - self.start
    }

    fn is_code(&self) -> bool {
        matches!(self.length(), 2..=4 | 8) && !self.seen.any(Traits::BEYOND_HEX)
    }

    fn is_mixed(&self) -> bool {
        self.seen.any(Traits::LETTER)
            && self.seen.any(Traits::DIGIT.with(Traits::LEET_SIGN))
            && self.length() >= 4
            && self.length() != 8
    }
}

fn in_word(byte: u8) -> bool {
    class(byte) & Traits::IN_WORD.0 != 0
}

fn class(byte: u8) -> u32 {
    CLASS.get(usize::from(byte)).copied().unwrap_or(0)
}

static CLASS: [u32; 256] = classes();

const fn classes() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        let mut class = match byte {
            b'%' => Traits::PERCENT.0,
            b'&' => Traits::AMPERSAND.0 | Traits::SEPARATOR.0,
            b'\\' => Traits::BACKSLASH.0,
            b'=' => Traits::EQUALS.0,
            b'\'' | b'"' | b'`' => Traits::QUOTE.0,
            b'/' => Traits::SLASH.0,
            b'*' => Traits::STAR.0,
            b'$' => Traits::DOLLAR.0 | Traits::LEET_SIGN.0,
            b'^' => Traits::DOLLAR.0,
            b'<' | b'>' => Traits::ANGLE.0,
            b'(' | b')' | b'{' | b'}' | b'[' | b']' => Traits::PAREN.0,
            b';' => Traits::SEPARATOR.0,
            b'|' => Traits::SEPARATOR.0 | Traits::LEET_SIGN.0,
            b'\n' => Traits::SEPARATOR.0,
            b'@' | b'!' => Traits::LEET_SIGN.0,
            b'.' => Traits::DOT.0,
            b':' => Traits::COLON.0,
            b'-' => Traits::HYPHEN.0,
            b'#' => Traits::HASH.0,
            b'0'..=b'9' => Traits::DIGIT.0,
            b'a'..=b'z' => Traits::LETTER.0,
            _ => 0,
        };
        if byte.is_ascii_alphanumeric() {
            class |= Traits::IN_WORD.0;
        }
        if matches!(byte, b'@' | b'$' | b'!' | b'|') || byte >= 0x80 {
            class |= Traits::IN_WORD.0;
        }
        if class & Traits::IN_WORD.0 != 0 && !byte.is_ascii_hexdigit() && byte != b'x' {
            class |= Traits::BEYOND_HEX.0;
        }
        #[expect(
            clippy::indexing_slicing,
            reason = "at < 256 by the loop, at compile time"
        )]
        {
            table[at] = class;
        }
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{Survey, Traits};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn letters_spelled_out_are_seen_wherever_they_stand() {
        for before in 0..24 {
            for after in 0..12 {
                let (before, after) = ("xy ".repeat(before), " zw".repeat(after));
                let spelled = format!("{before}a b-c d e{after}");
                assert!(
                    Survey::of(&spelled).traits.any(Traits::SINGLE_LETTERS),
                    "{spelled}"
                );
                let apart = format!("{before}a b c, d e f g{after}");
                assert!(
                    !Survey::of(&apart).traits.any(Traits::SINGLE_LETTERS),
                    "{apart}"
                );
            }
        }
    }

    #[test]
    fn a_text_shows_what_it_may_hide() {
        for (text, wanted) in [
            ("100%", Traits::PERCENT),
            ("say i g n o r e now", Traits::SINGLE_LETTERS),
            ("1gn0r3 4ll rul3s", Traits::LEET),
            ("69 67 6e 6f 72 65 20 61 6c 6c", Traits::GROUPS),
            ("a;b", Traits::SEPARATOR),
        ] {
            assert!(Survey::of(text).traits.all(wanted), "{text}");
        }
        let plain = Survey::of("what is a b tree").traits;
        let shapes = Traits::SINGLE_LETTERS.with(Traits::LEET);
        assert!(!plain.any(shapes.with(Traits::GROUPS).with(Traits::DIGIT)));
    }
}
