//! What a query over PostgreSQL may say.
//!
//! The role that it runs as may read one view, but any role may call most functions: to sleep, to
//! change settings, to run SQL from a text. So a query is cut into tokens, and what is not known to
//! be harmless is refused: every name before a parenthesis is on a list, and the names of our tables
//! and of the server's own occur nowhere outside a quoted text.

use std::str::Bytes;

/// Functions that compute and touch nothing, and whose results do not outgrow their arguments.
const FUNCTIONS: &[&str] = &[
    "abs",
    "avg",
    "bool_and",
    "bool_or",
    "btrim",
    "cast",
    "ceil",
    "ceiling",
    "char_length",
    "coalesce",
    "concat",
    "concat_ws",
    "count",
    "cume_dist",
    "date_part",
    "date_trunc",
    "dense_rank",
    "extract",
    "first_value",
    "floor",
    "greatest",
    "json_array_elements",
    "json_array_elements_text",
    "json_array_length",
    "json_extract_path",
    "json_extract_path_text",
    "json_typeof",
    "lag",
    "last_value",
    "lead",
    "least",
    "left",
    "length",
    "lower",
    "ltrim",
    "max",
    "md5",
    "min",
    "mod",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "percentile_cont",
    "percentile_disc",
    "position",
    "rank",
    "right",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substring",
    "sum",
    "to_char",
    "to_timestamp",
    "trim",
    "trunc",
    "upper",
];

/// Words of the language that may stand before a parenthesis.
const WORDS: &[&str] = &[
    "all",
    "and",
    "any",
    "as",
    "between",
    "by",
    "case",
    "decimal",
    "distinct",
    "else",
    "except",
    "exists",
    "filter",
    "from",
    "group",
    "having",
    "ilike",
    "in",
    "intersect",
    "is",
    "join",
    "like",
    "limit",
    "materialized",
    "not",
    "numeric",
    "offset",
    "on",
    "or",
    "over",
    "select",
    "some",
    "then",
    "union",
    "using",
    "values",
    "varchar",
    "when",
    "where",
];

/// Parts of names that say that something other than the view is meant.
const REFUSED_NAMES: [&str; 5] = ["cp_", "pg_", "information_schema", "clampd_query", "public"];

/// Words that make more of a query than a reading of the view: a loop, a table, a lock, a name.
const REFUSED_WORDS: [&str; 12] = [
    "recursive",
    "into",
    "table",
    "update",
    "share",
    "tablesample",
    "user",
    "current_user",
    "session_user",
    "current_role",
    "current_catalog",
    "current_schema",
];

/// Characters of operators that PostgreSQL itself has, and of what lists and casts are made of.
const OPERATORS: &[u8] = b"+-*/<>=~!%^|,:[]";

enum Token {
    /// A name or a word, in lower case unless it was quoted.
    Word(String),
    Dot,
    Open,
    Close,
    Other,
}

/// The query without the semicolon at its end, if it says nothing that it must not.
///
/// # Errors
/// Why it is refused.
pub(super) fn fence(sql: &str) -> Result<&str, String> {
    let sql = sql.trim();
    let sql = sql.strip_suffix(';').unwrap_or(sql).trim_end();
    let tokens = tokens(sql)?;
    match tokens.first() {
        Some(Token::Word(word)) if word == "select" || word == "with" => {}
        _ => return Err("only one SELECT over audit_logs may run".to_owned()),
    }
    let mut depth = 0_usize;
    let mut before: Option<&str> = None;
    for token in &tokens {
        match token {
            Token::Word(word) => check_word(word)?,
            Token::Open => {
                depth += 1;
                let is_known = before.is_none_or(|word| {
                    FUNCTIONS.binary_search(&word).is_ok() || WORDS.binary_search(&word).is_ok()
                });
                if !is_known {
                    let name = before.unwrap_or_default();
                    return Err(format!("function `{name}` is not allowed"));
                }
            }
            Token::Close => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| "parentheses do not match".to_owned())?;
            }
            Token::Dot | Token::Other => {}
        }
        before = match (token, before) {
            // One of another schema's functions is none of those on the list.
            (Token::Word(_), Some(".")) => Some("a schema's"),
            (Token::Word(word), _) => Some(word),
            (Token::Dot, _) => Some("."),
            _ => None,
        };
    }
    if depth == 0 {
        Ok(sql)
    } else {
        Err("parentheses do not match".to_owned())
    }
}

fn check_word(word: &str) -> Result<(), String> {
    let lower = word.to_ascii_lowercase();
    if let Some(name) = REFUSED_NAMES.iter().find(|name| lower.contains(**name)) {
        return Err(format!("it must not contain `{name}`"));
    }
    if REFUSED_WORDS.contains(&lower.as_str()) {
        return Err(format!("`{lower}` is not allowed"));
    }
    Ok(())
}

fn tokens(sql: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut bytes = sql.bytes();
    let mut last = b' ';
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'\'' => {
                // E'', U&'' and their like read what stands in them in ways of their own.
                if is_of_a_word(last) || last == b'&' {
                    return Err("texts with a prefix are not allowed".to_owned());
                }
                quoted(&mut bytes, b'\'')?;
                tokens.push(Token::Other);
            }
            b'"' => {
                if is_of_a_word(last) || last == b'&' {
                    return Err("names with a prefix are not allowed".to_owned());
                }
                tokens.push(Token::Word(quoted(&mut bytes, b'"')?));
            }
            b'(' => tokens.push(Token::Open),
            b')' => tokens.push(Token::Close),
            b'.' => tokens.push(Token::Dot),
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
                let word = word(byte, &mut bytes);
                last = b'a';
                tokens.push(if byte.is_ascii_digit() {
                    Token::Other
                } else {
                    Token::Word(word)
                });
                continue;
            }
            b'-' | b'*' if (byte, last) == (b'-', b'-') || (byte, last) == (b'*', b'/') => {
                return Err("comments are not allowed".to_owned());
            }
            operator if OPERATORS.contains(&operator) => tokens.push(Token::Other),
            b';' => return Err("more than one statement".to_owned()),
            _ => return Err("it has a character that is not allowed outside quotes".to_owned()),
        }
        last = byte;
    }
    Ok(tokens)
}

fn is_of_a_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The rest of a word or number.
fn word(first: u8, bytes: &mut Bytes<'_>) -> String {
    let mut word = String::from(char::from(first.to_ascii_lowercase()));
    let mut ahead = bytes.clone();
    while let Some(byte) = ahead.next().filter(|byte| is_of_a_word(*byte)) {
        word.push(char::from(byte.to_ascii_lowercase()));
        *bytes = ahead.clone();
    }
    word
}

/// What stands between quotes; the opening one was taken.
fn quoted(bytes: &mut Bytes<'_>, quote: u8) -> Result<String, String> {
    let mut text = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == 0 {
            return Err("it holds a NUL".to_owned());
        }
        if byte != quote {
            text.push(byte);
            continue;
        }
        let mut ahead = bytes.clone();
        if ahead.next() != Some(quote) {
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
        // Two of them mean one.
        text.push(quote);
        *bytes = ahead;
    }
    Err("a quote is not closed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{FUNCTIONS, WORDS, fence};

    #[test]
    fn lists_are_sorted_so_that_their_words_are_found() {
        assert!(FUNCTIONS.is_sorted() && WORDS.is_sorted());
    }

    #[test]
    fn an_honest_query_passes_as_it_was_written() {
        for sql in [
            "SELECT tool_name, blocked, assessed_risk, denial_reason\nFROM audit_logs LIMIT 8",
            "SELECT count(*) FILTER (WHERE blocked) AS \"how many\" FROM audit_logs a",
            "WITH b AS (SELECT * FROM audit_logs WHERE blocked) SELECT max(risk_score) FROM b",
            "select labels::json->>0, denial_reason || '; --' from audit_logs where agent_id in ('it''s')",
            "SELECT sum(latency_us) OVER (PARTITION BY agent_id ORDER BY seq) FROM audit_logs",
            "SELECT CASE WHEN (blocked) THEN 1 ELSE 2 END, cast(seq AS numeric(10, 2)) FROM audit_logs",
        ] {
            assert_eq!(fence(&format!(" {sql} ;")), Ok(sql));
        }
    }

    #[test]
    fn whatever_could_reach_further_is_refused() {
        for sql in [
            "",
            "DELETE FROM audit_logs",
            "TABLE audit_logs",
            "VALUES (1)",
            "SELECT pg_sleep(10)",
            "SELECT PG_SLEEP (10)",
            "SELECT \"pg_sleep\"(10)",
            "SELECT set_config('role', 'none', true)",
            "SELECT query_to_xml('SELECT 1', true, true, '')",
            "SELECT current_setting('x')",
            "SELECT repeat('x', 1000000000)",
            "SELECT public.f(1)",
            "SELECT elsewhere.lower('x')",
            "SELECT elsewhere . \"lower\" ('x')",
            "SELECT * FROM cp_agents",
            "SELECT * FROM \"cp_agents\"",
            "SELECT * FROM U&\"cp\\005fagents\"",
            "SELECT E'\\'' || (SELECT 1)",
            "SELECT U&'x'",
            "SELECT $$x$$",
            "SELECT $1",
            "SELECT * FROM pg_catalog.pg_authid",
            "SELECT * FROM information_schema.tables",
            "SELECT 1; SELECT 2",
            "SELECT 1 /* x */",
            "SELECT 1 -- x",
            "SELECT 1) AS q (c0), cp_agents AS (x",
            "SELECT (1",
            "SELECT * INTO t FROM audit_logs",
            "SELECT * FROM audit_logs FOR UPDATE",
            "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT 1 FROM r) SELECT 1 FROM r",
            "SELECT current_user",
            "SELECT 'x",
            "SELECT \u{a0}1",
        ] {
            assert!(fence(sql).is_err(), "{sql}");
        }
    }
}
