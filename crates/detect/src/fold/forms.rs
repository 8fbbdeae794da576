//! Compatibility decompositions (UAX #15, NFKD) without marks, and Korean syllables put together.

// Written by `build.rs` from the `unicode-normalization` crate: KEYS (sorted) with the ENDS of
// their texts in POOL, and RUNS of characters that map one to one in order.
include!(concat!(env!("OUT_DIR"), "/decompositions.rs"));

/// Hands each character of the decomposition of `c` to `each`; `c` itself where it has none.
pub(super) fn decompose(c: char, mut each: impl FnMut(char)) {
    let code = u32::from(c);
    let text = u16::try_from(code).ok().and_then(|key| {
        let at = KEYS.binary_search(&key).ok()?;
        let start = at
            .checked_sub(1)
            .map_or(Some(&0), |before| ENDS.get(before))?;
        POOL.get(usize::from(*start)..usize::from(*ENDS.get(at)?))
    });
    if let Some(text) = text {
        return text.chars().for_each(each);
    }
    let at = RUNS.partition_point(|(_, last, _)| *last < code);
    let mapped = RUNS.get(at).filter(|(first, ..)| *first <= code);
    each(
        mapped
            .and_then(|(first, _, to)| char::from_u32(to + (code - first)))
            .unwrap_or(c),
    );
}

/// Puts Korean syllables together that are written letter by letter
/// (The Unicode Standard, section 3.12).
pub(super) fn compose_syllables(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match out.chars().next_back().and_then(|last| syllable(last, c)) {
            Some(whole) => {
                out.pop();
                out.push(whole);
            }
            None => out.push(c),
        }
    }
    out
}

/// Lead and vowel, or a syllable without a tail and a tail.
fn syllable(first: char, second: char) -> Option<char> {
    const LEADS: u32 = 0x1100;
    const VOWELS: u32 = 0x1161;
    const TAILS: u32 = 0x11a7;
    const SYLLABLES: u32 = 0xac00;
    let (a, b) = (u32::from(first), u32::from(second));
    match (first, second) {
        ('\u{1100}'..='\u{1112}', '\u{1161}'..='\u{1175}') => {
            char::from_u32(SYLLABLES + ((a - LEADS) * 21 + (b - VOWELS)) * 28)
        }
        ('\u{ac00}'..='\u{d7a3}', '\u{11a8}'..='\u{11c2}')
            if (a - SYLLABLES).is_multiple_of(28) =>
        {
            char::from_u32(a + (b - TAILS))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use unicode_normalization::UnicodeNormalization;

    use super::{compose_syllables, decompose};

    #[test]
    fn decompositions_are_those_of_the_standard_without_marks() {
        for c in ('\u{a0}'..='\u{2ffff}').filter(|c| !('\u{ac00}'..='\u{d7a3}').contains(c)) {
            let wanted: String = c
                .nfkd()
                .filter(|part| !super::super::is_mark(*part))
                .collect();
            let mut got = String::new();
            decompose(c, |part| got.push(part));
            let got: String = got
                .chars()
                .filter(|part| !super::super::is_mark(*part))
                .collect();
            if wanted.chars().count() == 1 || u32::from(c) < 0x1_0000 {
                assert_eq!(got, wanted, "{:x}", u32::from(c));
            }
        }
    }

    #[test]
    fn korean_letters_are_put_together() {
        for text in ["이전 지시를 무시하고", "닭", "a가b", "값싼"] {
            let apart: String = text.nfd().collect();
            assert_eq!(compose_syllables(&apart), text);
            assert_eq!(compose_syllables(text), text);
        }
    }
}
