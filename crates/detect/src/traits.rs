//! Which characters and shapes a folded text has, in one pass: what tells the decoders and the
//! recognisers whether there is anything for them to read.

/// Signs in a text; each is what some decoder or recogniser asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traits(u32);

impl Traits {
    pub(crate) const PERCENT: Self = Self(1);
    pub(crate) const AMPERSAND: Self = Self(1 << 1);
    pub(crate) const BACKSLASH: Self = Self(1 << 2);
    pub(crate) const EQUALS: Self = Self(1 << 3);
    pub(crate) const DIGIT: Self = Self(1 << 4);
    pub(crate) const QUOTE: Self = Self(1 << 5);
    pub(crate) const SLASH: Self = Self(1 << 6);
    pub(crate) const STAR: Self = Self(1 << 7);
    pub(crate) const DOLLAR: Self = Self(1 << 8);
    pub(crate) const ANGLE: Self = Self(1 << 9);
    pub(crate) const PAREN: Self = Self(1 << 10);
    pub(crate) const SEPARATOR: Self = Self(1 << 11);
    pub(crate) const LEET_SIGN: Self = Self(1 << 12);
    pub(crate) const DOT: Self = Self(1 << 13);
    pub(crate) const COLON: Self = Self(1 << 14);
    pub(crate) const HASH: Self = Self(1 << 18);
    pub(crate) const HYPHEN: Self = Self(1 << 19);
    const LETTER: Self = Self(1 << 15);
    /// In a word, and neither a hexadecimal digit nor the `x` before some.
    const BEYOND_HEX: Self = Self(1 << 16);
    const IN_WORD: Self = Self(1 << 31);

    /// Five words of one letter in a row, with one sign between each two.
    pub(crate) const SINGLE_LETTERS: Self = Self(1 << 21);
    /// Two words of four or more in which letters and digits or signs stand mixed, and a tenth
    /// of all words.
    pub(crate) const LEET: Self = Self(1 << 22);
    /// Eight short groups of digits or hexadecimal digits in a row.
    pub(crate) const GROUPS: Self = Self(1 << 23);
    /// It holds the mirror image of an order's word.
    pub(crate) const REVERSED: Self = Self(1 << 24);
    /// It holds an order's word moved by thirteen letters.
    pub(crate) const ROT13: Self = Self(1 << 25);
    /// Four digits or more in all: the fewest that a number of a person has.
    pub(crate) const NUMBER: Self = Self(1 << 26);

    /// All of them, as no text has.
    #[cfg(fuzzing)]
    pub(crate) const EVERY: Self = Self(u32::MAX);

    /// Both together.
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of `wanted` is there.
    pub(crate) const fn any(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }

    /// Whether all of `wanted` is there.
    pub(crate) const fn all(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// The traits of a folded text.
    pub(crate) fn of(folded: &str) -> Self {
        let seen = folded.bytes().fold(0, |seen, byte| seen | class(byte));
        let mut traits = Self(seen & !Self::IN_WORD.0);
        if has_single_letters(folded.as_bytes()) {
            traits = traits.with(Self::SINGLE_LETTERS);
        }
        if traits.any(Self::DIGIT.with(Self::LEET_SIGN)) {
            traits = traits.with(Words::read(folded).traits());
        }
        traits
    }
}

/// Words of one byte in a row that are spelled out letters.
const SINGLES_MIN: usize = 5;

/// Whether so many words of one byte stand in a row, with one other byte between each two.
fn has_single_letters(text: &[u8]) -> bool {
    let in_word = |at: usize| {
        text.get(at)
            .is_some_and(|b| class(*b) & Traits::IN_WORD.0 != 0)
    };
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

/// What the words of a text with digits or signs come to.
#[derive(Default)]
struct Words {
    count: u32,
    digits: u32,
    /// Those of four or more in which letters and digits or signs stand mixed.
    mixed: u32,
    /// Those in a row that may be the code of a character.
    codes: u32,
    codes_longest: u32,
    /// The word that is being read.
    length: u32,
    seen: u32,
}

impl Words {
    fn read(folded: &str) -> Self {
        let mut words = Self::default();
        for byte in folded.bytes() {
            let class = class(byte);
            words.digits += class >> DIGIT_BIT & 1;
            if class & Traits::IN_WORD.0 != 0 {
                words.length += 1;
                words.seen |= class;
            } else if words.length > 0 {
                words.end();
            }
        }
        words.end();
        words
    }

    fn end(&mut self) {
        let has = |trait_: Traits| self.seen & trait_.0 != 0;
        let letters = has(Traits::LETTER);
        let is_code = matches!(self.length, 2..=4 | 8) && !has(Traits::BEYOND_HEX);
        self.codes = if is_code { self.codes + 1 } else { 0 };
        self.codes_longest = self.codes_longest.max(self.codes);
        let is_mixed = letters && (has(Traits::DIGIT) || has(Traits::LEET_SIGN));
        self.mixed += u32::from(is_mixed && self.length >= 4 && self.length != 8);
        self.count += 1;
        self.length = 0;
        self.seen = 0;
    }

    fn traits(&self) -> Traits {
        let mut traits = Traits::default();
        for (holds, trait_) in [
            (
                self.mixed >= 2 && self.mixed * 10 >= self.count,
                Traits::LEET,
            ),
            (self.codes_longest >= 8, Traits::GROUPS),
            (self.digits >= 4, Traits::NUMBER),
        ] {
            if holds {
                traits = traits.with(trait_);
            }
        }
        traits
    }
}

fn class(byte: u8) -> u32 {
    CLASS.get(usize::from(byte)).copied().unwrap_or(0)
}

/// The bit of [`Traits::DIGIT`].
const DIGIT_BIT: u32 = 4;

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
    use super::Traits;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn letters_spelled_out_are_seen_wherever_they_stand() {
        for before in 0..24 {
            for after in 0..12 {
                let (before, after) = ("xy ".repeat(before), " zw".repeat(after));
                let spelled = format!("{before}a b-c d e{after}");
                assert!(
                    Traits::of(&spelled).any(Traits::SINGLE_LETTERS),
                    "{spelled}"
                );
                let apart = format!("{before}a b c, d e f g{after}");
                assert!(!Traits::of(&apart).any(Traits::SINGLE_LETTERS), "{apart}");
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
            assert!(Traits::of(text).all(wanted), "{text}");
        }
        let plain = Traits::of("what is a b tree");
        let shapes = Traits::SINGLE_LETTERS.with(Traits::LEET);
        assert!(!plain.any(shapes.with(Traits::GROUPS).with(Traits::DIGIT)));
    }
}
