//! The condition of a Sigma rule: `and`, `or`, `not`, parentheses, `1 of x*`, `all of them`.

use crate::meaning::{DEPTH_MAX, Meaning};

/// Words and parentheses in one condition.
const WORDS_MAX: usize = 256;

/// Reads a condition. `selections` are the names that it may use and what they mean.
///
/// # Errors
/// What is no condition, or one of events in time, which no single text can meet.
pub(crate) fn read(condition: &str, selections: &[(String, Meaning)]) -> Result<Meaning, String> {
    if condition.contains('|') {
        return Err(format!(
            "`{condition}` counts events in time, and a rule judges one text"
        ));
    }
    let spaced = condition.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().take(WORDS_MAX + 1).collect();
    if words.len() > WORDS_MAX {
        return Err(format!("the condition has more than {WORDS_MAX} words"));
    }
    let mut reader = Reader {
        words: &words,
        selections,
        condition,
    };
    let meaning = reader.either(0)?;
    if reader.words.is_empty() {
        Ok(meaning)
    } else {
        Err(reader.odd())
    }
}

struct Reader<'c> {
    words: &'c [&'c str],
    selections: &'c [(String, Meaning)],
    condition: &'c str,
}

impl<'c> Reader<'c> {
    fn odd(&self) -> String {
        let at = self.words.first().unwrap_or(&"its end");
        format!(
            "the condition `{}` cannot be read at `{at}`",
            self.condition
        )
    }

    /// Takes the next word when it is `wanted`.
    fn takes(&mut self, wanted: &str) -> bool {
        match self.words {
            [first, rest @ ..] if first.eq_ignore_ascii_case(wanted) => {
                self.words = rest;
                true
            }
            _ => false,
        }
    }

    fn either(&mut self, depth: usize) -> Result<Meaning, String> {
        let mut parts = vec![self.both(depth)?];
        while self.takes("or") {
            parts.push(self.both(depth)?);
        }
        Ok(joined(parts, Meaning::Any))
    }

    fn both(&mut self, depth: usize) -> Result<Meaning, String> {
        let mut parts = vec![self.one(depth)?];
        while self.takes("and") {
            parts.push(self.one(depth)?);
        }
        Ok(joined(parts, Meaning::Every))
    }

    fn one(&mut self, depth: usize) -> Result<Meaning, String> {
        if depth > DEPTH_MAX {
            return Err(format!("the condition is deeper than {DEPTH_MAX}"));
        }
        if self.takes("not") {
            return Ok(Meaning::Not(Box::new(self.one(depth + 1)?)));
        }
        if self.takes("(") {
            let inner = self.either(depth + 1)?;
            return if self.takes(")") {
                Ok(inner)
            } else {
                Err(self.odd())
            };
        }
        match self.words {
            [many, of, names, rest @ ..] if of.eq_ignore_ascii_case("of") => {
                let join: fn(Vec<Meaning>) -> Meaning = match many.to_ascii_lowercase().as_str() {
                    "1" | "any" => Meaning::Any,
                    "all" => Meaning::Every,
                    _ => return Err(self.odd()),
                };
                let parts = self.named(names);
                if parts.is_empty() {
                    return Err(format!("`{many} of {names}` names no selection"));
                }
                self.words = rest;
                Ok(joined(parts, join))
            }
            [name, rest @ ..] => {
                let known = self.selections.iter().find(|(known, _)| known == name);
                let (_, meaning) = known.ok_or_else(|| self.odd())?;
                self.words = rest;
                Ok(meaning.clone())
            }
            [] => Err(self.odd()),
        }
    }

    /// The selections of a name with `*` in it; `them` are all but those that begin with `_`.
    fn named(&self, name: &str) -> Vec<Meaning> {
        let all = self.selections.iter();
        let fits = |known: &str| match name {
            "them" => !known.starts_with('_'),
            _ => fits(name, known),
        };
        all.filter(|(known, _)| fits(known))
            .map(|(_, meaning)| meaning.clone())
            .collect()
    }
}

fn joined(mut parts: Vec<Meaning>, join: fn(Vec<Meaning>) -> Meaning) -> Meaning {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            join(parts)
        }
    }
}

/// Whether a name is what a pattern with `*` says.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match name.split_once(part) {
            Some((_, after)) => name = after,
            None => return false,
        }
    }
    name.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::{fits, read};
    use crate::meaning::Meaning;

    fn check(condition: &str, wanted: Result<&str, &str>) {
        let names = ["sel_a", "sel_b", "filter", "_hidden"];
        let selections = names.map(|name| (name.to_owned(), Meaning::Lost(name.to_owned())));
        match (read(condition, &selections), wanted) {
            (Ok(meaning), Ok(wanted)) => assert_eq!(said(&meaning), wanted, "{condition}"),
            (Err(reason), Err(wanted)) => assert!(reason.contains(wanted), "{condition}: {reason}"),
            (got, _) => panic!("{condition}: {got:?}"),
        }
    }

    fn said(meaning: &Meaning) -> String {
        let list = |parts: &[Meaning]| parts.iter().map(said).collect::<Vec<_>>().join(" ");
        match meaning {
            Meaning::Every(parts) => format!("and({})", list(parts)),
            Meaning::Any(parts) => format!("or({})", list(parts)),
            Meaning::Not(inner) => format!("not({})", said(inner)),
            Meaning::Lost(name) => name.clone(),
            Meaning::Seen(_) => String::new(),
        }
    }

    #[test]
    fn conditions_are_read_as_the_specification_binds_them() {
        check("sel_a", Ok("sel_a"));
        check(
            "sel_a or sel_b and not filter",
            Ok("or(sel_a and(sel_b not(filter)))"),
        );
        check(
            "(sel_a OR sel_b) AND filter",
            Ok("and(or(sel_a sel_b) filter)"),
        );
        check("1 of sel_*", Ok("or(sel_a sel_b)"));
        check("all of them", Ok("and(sel_a sel_b filter)"));
        check("not 1 of filter*", Ok("not(filter)"));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        check("", Err("its end"));
        check("sel_a sel_b", Err("`sel_b`"));
        check("nothing", Err("`nothing`"));
        check("(sel_a", Err("its end"));
        check("2 of sel_*", Err("`2`"));
        check("1 of other*", Err("names no selection"));
        check("sel_a | count() > 5", Err("in time"));
        check(&"not ".repeat(100), Err("deeper"));
        check(&"1 of them and ".repeat(100), Err("more than"));
        check(&"(".repeat(100), Err("deeper"));
    }

    #[test]
    fn names_are_told_by_their_pattern() {
        assert!(fits("sel*", "sel_a") && fits("*_a", "sel_a") && fits("s*_*a", "sel_b_a"));
        assert!(!fits("sel*", "filter") && !fits("sel", "sel_a") && !fits("a*a", "a"));
    }
}
