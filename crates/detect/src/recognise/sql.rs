//! SQL, read as tokens: values that break out of their quotes, conditions that are always true,
//! statements that destroy. After the token classes of libinjection (Galbreath, "SQLi and
//! token folding", 2012), with few fixed shapes in place of its fingerprints.

mod tokens;

use super::{Signal, Signals};
use tokens::{Token, tokens};

/// Notes what a value would do if it were put into a statement as it is.
pub(super) fn recognise_value(text: &str, signals: &mut Signals) {
    for quote in [None, Some(b'\''), Some(b'"')] {
        let Some(read) = in_context(text, quote) else {
            continue;
        };
        let read: Vec<Token<'_>> = read.take(TOKENS_MAX).collect();
        let closed = quote.is_some();
        if read
            .iter()
            .enumerate()
            .any(|(at, _)| is_tautology(read.get(at..).unwrap_or_default(), closed || at > 0))
        {
            signals.put(Signal::SqlTautology, 0);
        }
        if read
            .iter()
            .enumerate()
            .any(|(at, _)| is_condition(read.get(at..).unwrap_or_default(), closed || at > 0))
        {
            signals.put(Signal::SqlCondition, 0);
        }
        if closed && is_cut(&read) {
            signals.put(Signal::SqlCut, 0);
        }
    }
}

/// Tokens of one text that are read.
const TOKENS_MAX: usize = 2_000;

/// The tokens after the text's own value: from its first quote on, or all of them.
fn in_context(text: &str, quote: Option<u8>) -> Option<impl Iterator<Item = Token<'_>>> {
    let from = match quote {
        None => 0,
        Some(quote) => {
            let at = text.bytes().position(|b| b == quote)?;
            // A long text before the quote is no value that a statement would hold.
            if at > 160 {
                return None;
            }
            at + 1
        }
    };
    text.get(from..).map(tokens)
}

/// `or 1=1`, `and 'a'='a`, `|| true`, `or x like '%'`: a condition whose outcome is written in it.
fn is_tautology(read: &[Token<'_>], follows: bool) -> bool {
    let [first, rest @ ..] = read else {
        return false;
    };
    if !(first.is_connective() && (follows || first.is_word("or") || first.is_word("and"))) {
        return false;
    }
    let rest = skip(rest, |token| {
        matches!(token, Token::Open) || token.is_word("not")
    });
    match rest {
        [a, Token::Comparison(_), b, ..] if a.is_literal() && b.is_literal() => same_kind(a, b),
        [a @ Token::Number(_), Token::End | Token::Comment(_), ..] => {
            first.is_word("or") && a.is_true()
        }
        [a, Token::End | Token::Comment(_), ..] => a.is_word("true") && first.is_connective(),
        [a, b, Token::Comparison(_), c, ..] => {
            // 'a'||'b'='ab' and the like
            a.is_literal() && matches!(b, Token::Operator) && c.is_literal()
        }
        _ => false,
    }
}

/// `or name like '%'`, `and id is null`: a condition on a column, put behind a value.
fn is_condition(read: &[Token<'_>], follows: bool) -> bool {
    let [first, rest @ ..] = read else {
        return false;
    };
    if !(follows && first.is_connective()) {
        return false;
    }
    let rest = skip(rest, |token| {
        matches!(token, Token::Open) || token.is_word("not")
    });
    match rest {
        [a, op, b, ..] if op.is_word("like") || op.is_word("regexp") || op.is_word("rlike") => {
            (a.is_name() || a.is_literal()) && b.is_literal()
        }
        [a, op, b, ..] if op.is_word("is") => {
            a.is_name() && (b.is_word("null") || b.is_word("not"))
        }
        [a, op, Token::Open, ..] if op.is_word("in") => a.is_name() || a.is_literal(),
        [a, Token::Comparison(_), b, ..] => {
            a.is_name() && (b.is_literal() || matches!(b, Token::Open))
        }
        _ => false,
    }
}

fn same_kind(a: &Token<'_>, b: &Token<'_>) -> bool {
    use Token::{Number, OpenText, Text};
    match (a, b) {
        (Number(_), Number(_)) => true,
        (Text(x), Text(y) | OpenText(y)) => x.len() <= 64 && y.len() <= 64,
        (Number(_), Text(_) | OpenText(_)) | (Text(_), Number(_)) => true,
        _ => false,
    }
}

/// A value that closes its quote and makes the rest of the statement a comment.
fn is_cut(read: &[Token<'_>]) -> bool {
    let after = skip(read, |token| {
        matches!(token, Token::Close | Token::Semicolon)
    });
    matches!(after, [Token::Comment(comment), Token::End] if !comment.bytes().any(|b| b.is_ascii_alphanumeric()))
}

fn skip<'s, 't>(read: &'s [Token<'t>], drop: impl Fn(&Token<'t>) -> bool) -> &'s [Token<'t>] {
    let count = read.iter().take_while(|token| drop(token)).count();
    read.get(count..).unwrap_or_default()
}

/// Notes the statements of a whole query that change every row.
pub(super) fn recognise_query(text: &str, signals: &mut Signals) {
    let read: Vec<Token<'_>> = tokens(text).take(TOKENS_MAX).collect();
    for statement in read.split(|token| matches!(token, Token::Semicolon | Token::End)) {
        let statement = skip(statement, |token| {
            matches!(token, Token::Comment(_) | Token::Open)
        });
        let Some(first) = statement.first() else {
            continue;
        };
        let changes = (first.is_word("delete")
            && statement.get(1).is_some_and(|t| t.is_word("from")))
            || (first.is_word("update") && statement.iter().any(|t| t.is_word("set")));
        if changes && !is_bounded(statement) {
            signals.put(Signal::SqlUnbounded, 0);
        }
    }
}

/// Whether a condition stands in it that is not always true, or a limit.
fn is_bounded(statement: &[Token<'_>]) -> bool {
    let condition = statement.iter().position(|token| token.is_word("where"));
    let Some(condition) = condition else {
        return statement
            .iter()
            .any(|t| t.is_word("limit") || t.is_word("using") || t.is_word("join"));
    };
    match statement.get(condition + 1..).unwrap_or_default() {
        [a, Token::Comparison("="), b] if a.is_literal() => a != b,
        [a] => !(a.is_word("true") || a.is_true()),
        [] => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Signal, Signals};
    use super::{recognise_query, recognise_value};

    fn of(text: &str, recognise: fn(&str, &mut Signals)) -> Vec<Signal> {
        let mut signals = Signals::default();
        recognise(text, &mut signals);
        signals.iter().map(|(signal, _)| signal).collect()
    }

    #[test]
    fn conditions_that_are_always_true_are_seen() {
        for value in [
            "' or '1'='1",
            "1 or 1=1",
            "x' or 1=1--",
            "') or ('a'='a",
            "\" or \"\"=\"",
            "' || 1=1#",
            "admin' and 'x'='x",
            "' or true--",
            "or 1=1",
            "1) or (1=1",
            "' or 2>1 --",
            "' or 1 --",
        ] {
            assert!(
                of(value, recognise_value).contains(&Signal::SqlTautology),
                "{value}"
            );
        }
        for value in [
            "tea or coffee",
            "o'brien or 5 others",
            "rock and roll 'n' blues",
            "1 or 2 of them",
            "a = 1 and b = 2",
            "it's either 'a' or 'b'",
        ] {
            assert_eq!(of(value, recognise_value), [], "{value}");
        }
    }

    #[test]
    fn a_cut_statement_is_seen() {
        for value in ["admin'--", "x') #", "a\"/*", "';--"] {
            assert_eq!(of(value, recognise_value), [Signal::SqlCut], "{value}");
        }
        for value in ["it's fine -- really", "the dogs' -- and cats'"] {
            assert_eq!(of(value, recognise_value), [], "{value}");
        }
    }

    #[test]
    fn statements_without_bounds_are_seen() {
        for query in [
            "delete from users",
            "select 1; update t set a=1",
            "delete from t where 1=1",
        ] {
            assert_eq!(
                of(query, recognise_query),
                [Signal::SqlUnbounded],
                "{query}"
            );
        }
        for query in [
            "delete from users where id = 3",
            "update t set a = 1 where b = 2",
            "select * from t",
            "update t set a = 1 from u join v on u.x = v.x",
        ] {
            assert_eq!(of(query, recognise_query), [], "{query}");
        }
    }
}
