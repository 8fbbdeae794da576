//! Folded text as SQL tokens, leniently: what is no token is skipped.

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    Number(&'t str),
    /// Between quotes.
    Text(&'t str),
    /// Behind a quote that is never closed.
    OpenText(&'t str),
    Word(&'t str),
    Comparison(&'t str),
    /// Arithmetic and concatenation.
    Operator,
    Comma,
    Open,
    Close,
    Semicolon,
    /// With its mark.
    Comment(&'t str),
    /// The text is over.
    End,
}

impl Token<'_> {
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(w) if *w == word)
    }

    /// `or`, `and` and what stands for them.
    pub(super) fn is_connective(&self) -> bool {
        matches!(
            self,
            Self::Word("or" | "and" | "xor" | "having" | "where" | "||" | "&&")
        )
    }

    pub(super) fn is_literal(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Text(_) | Self::OpenText(_))
    }

    /// A word that can be a column.
    pub(super) fn is_name(&self) -> bool {
        matches!(self, Self::Word(w) if w.len() >= 2 && w.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.'))
    }

    pub(super) fn is_true(&self) -> bool {
        matches!(self, Self::Number(n) if n.bytes().any(|b| b.is_ascii_digit() && b != b'0'))
    }
}

/// The tokens of a text, with [`Token::End`] last.
pub(super) fn tokens(text: &str) -> Tokens<'_> {
    Tokens(Some(text))
}

/// What of a text is still to be read.
pub(super) struct Tokens<'t>(Option<&'t str>);

impl<'t> Tokens<'t> {
    /// What stands behind the last token.
    pub(super) fn rest(&self) -> &'t str {
        self.0.unwrap_or_default()
    }
}

impl<'t> Iterator for Tokens<'t> {
    type Item = Token<'t>;

    fn next(&mut self) -> Option<Token<'t>> {
        let (token, left) = next(self.0?);
        self.0 = (token != Token::End).then_some(left);
        Some(token)
    }
}

fn next(text: &str) -> (Token<'_>, &str) {
    let text = text.trim_start_matches(|c: char| c.is_whitespace());
    let bytes = text.as_bytes();
    let (token, length) = match bytes {
        [] => return (Token::End, ""),
        [quote @ (b'\'' | b'"' | b'`'), ..] => quoted(text, *quote),
        [b'-', b'-', ..] | [b'#', ..] => comment(text, line(text)),
        [b'/', b'*', ..] => comment(text, text.find("*/").map_or(text.len(), |at| at + 2)),
        [b'|', b'|', ..] => (Token::Word("||"), 2),
        [b'&', b'&', ..] => (Token::Word("&&"), 2),
        [b'|', ..] => (Token::Word("|"), 1),
        [b'&', ..] => (Token::Word("&"), 1),
        [b'(', ..] => (Token::Open, 1),
        [b')', ..] => (Token::Close, 1),
        [b',', ..] => (Token::Comma, 1),
        [b';', ..] => (Token::Semicolon, 1),
        [b'=' | b'<' | b'>' | b'!', ..] => {
            let length = bytes
                .iter()
                .take(3)
                .take_while(|b| b"=<>!".contains(b))
                .count();
            (
                Token::Comparison(text.get(..length).unwrap_or_default()),
                length,
            )
        }
        [b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'~', ..] => (Token::Operator, 1),
        [b'0'..=b'9', ..] => {
            let length = word_length(bytes);
            (
                Token::Number(text.get(..length).unwrap_or_default()),
                length,
            )
        }
        [b, ..] if b.is_ascii_alphabetic() || matches!(b, b'_' | b'@' | b'$') => {
            let length = word_length(bytes).max(1);
            (Token::Word(text.get(..length).unwrap_or_default()), length)
        }
        _ => (
            Token::Operator,
            text.chars().next().map_or(1, char::len_utf8),
        ),
    };
    (token, text.get(length..).unwrap_or_default())
}

fn word_length(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'@' | b'$'))
        .count()
}

/// A quoted text; the quote itself is doubled or escaped inside.
fn quoted(text: &str, quote: u8) -> (Token<'_>, usize) {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        if *byte == b'\\' {
            at += 2;
        } else if *byte == quote {
            if bytes.get(at + 1) == Some(&quote) && at > 1 {
                at += 2;
                continue;
            }
            return (Token::Text(text.get(1..at).unwrap_or_default()), at + 1);
        } else {
            at += 1;
        }
    }
    (
        Token::OpenText(text.get(1..).unwrap_or_default()),
        text.len(),
    )
}

/// The length of the line that the text begins with.
fn line(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

fn comment(text: &str, length: usize) -> (Token<'_>, usize) {
    (
        Token::Comment(text.get(..length).unwrap_or_default()),
        length,
    )
}
