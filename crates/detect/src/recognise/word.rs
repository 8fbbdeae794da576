//! Where words end.

use super::prose::is_unspaced;

/// Whether no word goes on at `end`. Scripts without spaces have no such place, so there a word
/// may end anywhere.
pub(super) fn ends(text: &str, end: usize) -> bool {
    let last = text
        .get(..end)
        .and_then(|before| before.chars().next_back());
    let next = text.get(end..).and_then(|behind| behind.chars().next());
    !(last.is_some_and(is_in_word) && next.is_some_and(is_in_word))
}

fn is_in_word(c: char) -> bool {
    c == '_' || (c.is_alphanumeric() && !is_unspaced(c))
}

#[cfg(test)]
mod tests {
    use super::ends;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn a_word_ends_where_no_letter_follows() {
        for (text, word, wanted) in [
            ("the bluefin is out", "bluefin", true),
            ("bluefin", "bluefin", true),
            ("bluefinance", "bluefin", false),
            ("bluefin_2", "bluefin", false),
            ("bluefin-2", "bluefin", true),
            ("c++x", "c++", true),
            ("белуга", "белу", false),
            ("белу.", "белу", true),
            ("青鰭計画書", "青鰭計画", true),
            ("프로젝트는", "프로젝트", true),
        ] {
            assert_eq!(
                ends(text, text.find(word).unwrap() + word.len()),
                wanted,
                "{text}"
            );
        }
        assert!(ends("é", 1), "an offset inside a letter is no harm");
    }
}
