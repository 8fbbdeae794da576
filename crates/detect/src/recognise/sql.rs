//! SQL, read as tokens: values that break out of their quotes, conditions that are always true,
//! statements that destroy. After the token classes of libinjection (Galbreath, "SQLi and
//! token folding", 2012), with few fixed shapes in place of its fingerprints.

mod tokens;

use crate::{effort::Effort, limits::CONNECTIVE_COST_BYTES};

use super::{Signal, Signals};
use tokens::{Token, tokens};

/// Notes what a value would do if it were put into a statement as it is.
pub(super) fn recognise_value(text: &str, signals: &mut Signals, effort: &Effort) {
    if is_cut(text) {
        signals.put(Signal::SqlCut, 0);
    }
    for (at, word) in connectives(text) {
        let before = text
            .get(..at)
            .unwrap_or_default()
            .trim_end_matches([' ', ')', '(', '+', '\n']);
        let last = before.bytes().next_back();
        let closed = matches!(last, Some(b'\'' | b'"' | b'`'));
        // A text that begins with a connective is a piece of a statement too.
        let follows = true;
        let behind = text.get(at..).unwrap_or_default();
        let (read, length) = first_tokens(behind);
        if !effort.spend(length + CONNECTIVE_COST_BYTES) {
            break;
        }
        let mut end = behind.len().min(DOUBLED_BYTES_MAX);
        while !behind.is_char_boundary(end) {
            end -= 1;
        }
        let near = behind.get(..end).unwrap_or_default();
        let doubled = near.contains("\"\"") || near.contains("''");
        let single = doubled.then(|| near.replace("\"\"", "\"").replace("''", "'"));
        let single = single.as_deref().map(|single| first_tokens(single).0);
        let single = single.unwrap_or_default();
        if is_tautology(&read, closed, follows) || is_tautology(&single, closed, follows) {
            signals.put(Signal::SqlTautology, at);
        }
        if word != "where" && is_condition(&read, follows) {
            signals.put(Signal::SqlCondition, at);
        }
    }
}

/// The tokens that a text begins with, and how many bytes they are.
fn first_tokens(text: &str) -> (Vec<Token<'_>>, usize) {
    let mut tokens = tokens(text);
    let mut read = Vec::with_capacity(TOKENS_AFTER_CONNECTIVE);
    read.extend(tokens.by_ref().take(TOKENS_AFTER_CONNECTIVE));
    (read, text.len() - tokens.rest().len())
}

/// Bytes behind a connective in which doubled quotes are also read as single ones.
const DOUBLED_BYTES_MAX: usize = 256;
/// Tokens that are read behind a connective.
const TOKENS_AFTER_CONNECTIVE: usize = 12;

/// Where a connective stands that is no part of a word.
fn connectives(text: &str) -> impl Iterator<Item = (usize, &'static str)> + '_ {
    const WORDS: &[&str] = &["or", "and", "||", "&&", "xor", "having", "where"];
    let bytes = text.as_bytes();
    let starts = bytes.iter().enumerate().filter(move |(at, byte)| {
        let after_letter = at.checked_sub(1).and_then(|before| bytes.get(before));
        matches!(byte, b'o' | b'a' | b'|' | b'&' | b'x' | b'h' | b'w')
            && !(byte.is_ascii_lowercase() && after_letter.is_some_and(u8::is_ascii_lowercase))
    });
    starts.filter_map(move |(at, _)| {
        let rest = bytes.get(at..)?;
        let word = WORDS
            .iter()
            .find(|word| rest.starts_with(word.as_bytes()))?;
        let ends = !rest.get(word.len()).is_some_and(u8::is_ascii_lowercase)
            || word.starts_with(['|', '&']);
        ends.then_some((at, *word))
    })
}

/// `or 1=1`, `and 'a'='a`, `|| true`, `or x like '%'`: a condition whose outcome is written in it.
fn is_tautology(read: &[Token<'_>], closed: bool, follows: bool) -> bool {
    let [first, rest @ ..] = read else {
        return false;
    };
    if !(first.is_connective() && (follows || first.is_word("or") || first.is_word("and"))) {
        return false;
    }
    let rest = bare(rest);
    match rest.as_slice() {
        [a, Token::Comparison(sign), b, ..] if a.is_literal() && b.is_literal() => {
            // Two numbers and an "and" between them are mathematics.
            same_kind(a, b) && (closed || *sign == "=" || first.is_word("or"))
        }
        [
            Token::Word(a),
            Token::Comparison("="),
            Token::Word(b),
            Token::End | Token::Comment(_),
            ..,
        ] => a == b,
        [a @ Token::Number(_), Token::Comment(_), ..] => first.is_word("or") && a.is_true(),
        [a @ Token::Number(_), Token::End, ..] => closed && first.is_word("or") && a.is_true(),
        [Token::Text(a), Token::End, ..] => closed && a.contains('='),
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
    let opened = rest.iter().any(|token| matches!(token, Token::Open));
    let rest = bare(rest);
    match rest.as_slice() {
        [a, op, b, ..] if op.is_word("like") || op.is_word("regexp") || op.is_word("rlike") => {
            (a.is_name() || a.is_literal()) && b.is_literal()
        }
        [a, op, b, ..] if op.is_word("is") => {
            a.is_name() && (b.is_word("null") || b.is_word("not"))
        }
        [a, op, ..] if op.is_word("in") => opened && (a.is_name() || a.is_literal()),
        [
            Token::Word("exists" | "isnull" | "ifnull" | "json" | "unlikely" | "unistr" | "glob"),
            ..,
        ] => opened,
        [a, Token::Comparison(_), b, ..] => {
            a.is_name() && (b.is_literal() || matches!(b, Token::End) || opened)
        }
        _ => false,
    }
}

/// The tokens without parentheses and negations.
fn bare<'t>(read: &[Token<'t>]) -> Vec<Token<'t>> {
    let mut kept = Vec::with_capacity(read.len());
    kept.extend(
        read.iter()
            .copied()
            .filter(|token| !(matches!(token, Token::Open | Token::Close) || token.is_word("not"))),
    );
    kept
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

/// A value that closes its quote and makes the rest of the statement a comment: at its end
/// stand a quote, perhaps parentheses, and the mark of a comment.
fn is_cut(text: &str) -> bool {
    let end = text.trim_end_matches([' ', '\n', '+', '(', ')', ';', '!']);
    let marked = end.trim_end_matches(['-', '#', '*', '/', ' ']);
    let mark = end.get(marked.len()..).unwrap_or_default().trim_start();
    let comments = mark.starts_with("--") || mark.starts_with('#') || mark.starts_with("/*");
    let value = marked.trim_end_matches([' ', ')', ';', '\n', ']']);
    comments && value.ends_with(['\'', '"']) && value.len() <= VALUE_BYTES_MAX
}

/// The longest value that a cut is looked for in.
const VALUE_BYTES_MAX: usize = 160;

fn skip<'s, 't>(read: &'s [Token<'t>], drop: impl Fn(&Token<'t>) -> bool) -> &'s [Token<'t>] {
    let count = read.iter().take_while(|token| drop(token)).count();
    read.get(count..).unwrap_or_default()
}

/// Notes the statements of a whole query that change every row.
pub(super) fn recognise_query(text: &str, signals: &mut Signals) {
    let read: Vec<Token<'_>> = tokens(text).collect();
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
        if is_opened(statement) {
            signals.put(Signal::SqlOpened, 0);
        }
    }
}

/// Whether an `or` behind the statement's condition is followed by what is always true: the
/// condition before it then counts for nothing.
fn is_opened(statement: &[Token<'_>]) -> bool {
    let behind = skip(statement, |token| {
        !(token.is_word("where") || token.is_word("having") || token.is_word("on"))
    });
    let mut rest = behind;
    while let [first, after @ ..] = rest {
        if (first.is_word("or") || first.is_word("||")) && is_always_true(after) {
            return true;
        }
        rest = after;
    }
    false
}

/// Whether the condition that begins here is true for every row.
fn is_always_true(condition: &[Token<'_>]) -> bool {
    let condition = skip(condition, |token| matches!(token, Token::Open));
    let ends = |rest: &[Token<'_>]| {
        rest.first().is_none_or(|next| {
            matches!(
                next,
                Token::Close | Token::Semicolon | Token::Comment(_) | Token::End
            ) || next.is_connective()
                || ["order", "limit", "group", "union"]
                    .iter()
                    .any(|word| next.is_word(word))
        })
    };
    match condition {
        [a, Token::Comparison("=" | "<=" | ">="), b, rest @ ..] => {
            (a.is_literal() || matches!(a, Token::Word(_))) && a.same_as(b) && ends(rest)
        }
        [
            Token::Number(a),
            Token::Comparison(sign),
            Token::Number(b),
            rest @ ..,
        ] => {
            let (a, b) = (a.parse::<f64>(), b.parse::<f64>());
            let (Ok(a), Ok(b)) = (a, b) else {
                return false;
            };
            ends(rest)
                && match *sign {
                    "<" => a < b,
                    ">" => a > b,
                    "<>" | "!=" => (a - b).abs() > f64::EPSILON,
                    _ => false,
                }
        }
        [a, op, b, rest @ ..] if op.is_word("like") => a.is_literal() && a.same_as(b) && ends(rest),
        [op, b, rest @ ..] if op.is_word("not") => {
            (b.is_word("false") || matches!(b, Token::Number("0"))) && ends(rest)
        }
        [a, rest @ ..] => (a.is_word("true") || a.is_true()) && ends(rest),
        [] => false,
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
    let condition = statement.get(condition + 1..).unwrap_or_default();
    let alone = !condition
        .iter()
        .any(|token| token.is_word("and") || token.is_word("&&"));
    !(condition.is_empty() || is_opened(statement) || (alone && is_always_true(condition)))
}

#[cfg(test)]
mod tests {
    use super::super::{Signal, Signals};
    use super::recognise_query;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn value_of(text: &str, signals: &mut Signals) {
        super::recognise_value(text, signals, &super::Effort::for_leaf(text.len()));
    }

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
                of(value, value_of).contains(&Signal::SqlTautology),
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
            assert_eq!(of(value, value_of), [], "{value}");
        }
    }

    #[test]
    fn a_cut_statement_is_seen() {
        for value in ["admin'--", "x') #", "a\"/*", "';--"] {
            assert_eq!(of(value, value_of), [Signal::SqlCut], "{value}");
        }
        for value in ["it's fine -- really", "the dogs' -- and cats'"] {
            assert_eq!(of(value, value_of), [], "{value}");
        }
    }

    #[test]
    fn conditions_that_an_or_makes_true_are_seen() {
        for query in [
            "select * from users where id = 5 or 1=1",
            "select * from users where name = 'x' or 'a'='a' -- ",
            "select * from t where (a = 1 or true) order by b",
            "select * from t where a = 1 or 2 > 1",
            "select * from t where a = 1 or b = b limit 5",
            "select * from t where a = 1 or not false",
        ] {
            assert_eq!(of(query, recognise_query), [Signal::SqlOpened], "{query}");
        }
        for query in [
            "select * from t where 1=1 and a = 2",
            "select * from t where a = 1 or b = 2",
            "select * from t where a = 1 or b = 1 + 1",
            "select * from t join u on t.id = u.id or t.name = u.name",
            "select 1 or 1",
        ] {
            assert_eq!(of(query, recognise_query), [], "{query}");
        }
        let both = of("delete from t where id = 3 or 1=1", recognise_query);
        assert_eq!(both, [Signal::SqlUnbounded, Signal::SqlOpened]);
    }

    #[test]
    fn statements_without_bounds_are_seen() {
        for query in [
            "delete from users",
            "select 1; update t set a=1",
            "delete from t where 1=1",
            "delete from t where true",
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
