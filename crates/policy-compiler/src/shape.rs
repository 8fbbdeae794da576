//! How large and how deep a text may be, found before it is parsed: parsing, validating and
//! lowering follow a text's nesting, and whoever wrote it decides how deep that is.

use crate::Remark;

/// The most words, literals and signs that one policy may have, annotations included.
pub(crate) const TOKENS_MAX: usize = 2_000;
/// How deep brackets of all kinds may stand in each other.
const BRACKETS_MAX: usize = 64;

/// Refuses a text that is too large or too deep, at the place where it is.
///
/// Strings and comments are told apart as Cedar's grammar does; in a text that Cedar does not
/// parse, what is counted does not matter.
pub(crate) fn check(text: &str) -> Result<(), Remark> {
    let (mut tokens, mut brackets) = (0_usize, 0_usize);
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            c if c.is_whitespace() => continue,
            '/' if characters.next_if(|(_, next)| *next == '/').is_some() => {
                while characters
                    .next_if(|(_, c)| !matches!(c, '\n' | '\r'))
                    .is_some()
                {}
                continue;
            }
            '"' => {
                while let Some((_, inside)) = characters.next() {
                    match inside {
                        '\\' => drop(characters.next()),
                        '"' => break,
                        _ => {}
                    }
                }
            }
            '(' | '[' | '{' => brackets += 1,
            ')' | ']' | '}' => brackets = brackets.saturating_sub(1),
            c if is_word(c) => while characters.next_if(|(_, c)| is_word(*c)).is_some() {},
            _ => {}
        }
        tokens = if character == ';' { 0 } else { tokens + 1 };
        if tokens > TOKENS_MAX || brackets > BRACKETS_MAX {
            let message = format!(
                "a policy must have at most {TOKENS_MAX} words and signs, and {BRACKETS_MAX} \
                 brackets in each other"
            );
            return Err(Remark::at(text, at, message));
        }
    }
    Ok(())
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::{TOKENS_MAX, check};

    #[test]
    fn strings_and_comments_count_for_what_they_are() {
        let brackets = "(".repeat(100);
        for (text, passes) in [
            (format!("\"{brackets}\""), true),
            (format!("\"\\\"{brackets}\""), true),
            (format!("\"\\\\\"{brackets}"), false),
            (format!("// {brackets}\n"), true),
            (format!("// \r{brackets}"), false),
            (format!("/ {brackets}"), false),
            ("(]".repeat(100), true),
            ("a ".repeat(TOKENS_MAX), true),
            ("a ".repeat(TOKENS_MAX + 1), false),
            ("a; ".repeat(TOKENS_MAX + 1), true),
        ] {
            assert_eq!(check(&text).is_ok(), passes, "{text}");
        }
    }
}
