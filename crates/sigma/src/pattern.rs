//! A regular expression of a Sigma rule: which words must be there wherever it matches, and
//! whether it is short enough to be looked for around them.

use clampd_detect::fold;
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::meaning::{At, Meaning, Sign};

/// The bytes that a pattern may take: what a rule sees around a word.
const BYTES_MAX: usize = 120;
/// Words of which one must be there.
const WORDS_MAX: usize = 64;
/// A word shorter than this tells nothing.
const WORD_BYTES_MIN: usize = 2;

/// What a regular expression with the flags `m` and `s` means.
pub(crate) fn meaning(pattern: &str, flags: &str) -> Meaning {
    let lost = |what: &str| Meaning::Lost(format!("the regular expression `{pattern}`: {what}"));
    let trimmed = without_margins(pattern);
    let flagged = if flags.is_empty() {
        trimmed.to_owned()
    } else {
        format!("(?{flags}){trimmed}")
    };
    // The engine's reader comes first: what the other reads depends on how it was built.
    let folded = format!("(?i{flags}){trimmed}");
    if regex_lite::Regex::new(&folded).is_err() {
        return lost("it cannot be read by the engine");
    }
    let Ok(read) = regex_syntax::Parser::new().parse(&flagged) else {
        return lost("it cannot be read");
    };
    let Some(words) = needed(&read).filter(|words| words.len() <= WORDS_MAX) else {
        return lost("no word must be there wherever it matches");
    };
    let example = example(&read);
    let sign = |pattern: Option<String>, note: Option<String>| {
        Meaning::Seen(Sign {
            words: words.clone(),
            before: if pattern.is_some() {
                u16::try_from(BYTES_MAX).unwrap_or(u16::MAX)
            } else {
                0
            },
            pattern,
            example: example.clone(),
            at: At::Anywhere,
            note,
        })
    };
    if bytes_max(&read).is_none_or(|bytes| bytes > BYTES_MAX) {
        let long = lost("it may take more than a rule looks at, so only its words are looked for");
        return Meaning::Every(vec![sign(None, None), long]);
    }
    let note = "a regular expression is matched without regard to case".to_owned();
    sign(Some(folded), Some(note))
}

/// Without what matches anything at its two ends: it changes nothing.
fn without_margins(pattern: &str) -> &str {
    let front = pattern.trim_start_matches(".*");
    match front.strip_suffix(".*") {
        Some(rest) if !rest.ends_with('\\') && !rest.is_empty() => rest,
        _ => front,
    }
}

/// Folded words of which one is in every match: the best set that can be told.
fn needed(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => word(letters(hir)?),
        HirKind::Capture(capture) => needed(&capture.sub),
        HirKind::Repetition(repeated) if repeated.min > 0 => needed(&repeated.sub),
        HirKind::Alternation(parts) => {
            let each: Option<Vec<Vec<String>>> = parts.iter().map(needed).collect();
            Some(each?.concat())
        }
        HirKind::Concat(parts) => {
            let mut best: Option<Vec<String>> = None;
            let mut run = String::new();
            let mut offer = |words: Option<Vec<String>>| {
                if let Some(words) = words
                    && best.as_ref().is_none_or(|best| worth(best) < worth(&words))
                {
                    best = Some(words);
                }
            };
            for part in parts {
                match letters(part) {
                    Some(letters) => run.push_str(&letters),
                    None => {
                        offer(word(std::mem::take(&mut run)));
                        offer(needed(part));
                    }
                }
            }
            offer(word(run));
            best
        }
        _ => None,
    }
}

/// How much a set of words tells: by its shortest.
fn worth(words: &[String]) -> usize {
    words.iter().map(String::len).min().unwrap_or(0)
}

fn word(letters: String) -> Option<Vec<String>> {
    let folded = fold(&letters);
    (folded.trim().len() >= WORD_BYTES_MIN).then(|| vec![folded])
}

/// The text that this is, when it is but one, case aside.
fn letters(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => String::from_utf8(literal.0.to_vec()).ok(),
        HirKind::Class(Class::Unicode(class)) => {
            let mut chars = class
                .iter()
                .flat_map(|range| range.start()..=range.end())
                .take(5);
            let first = chars.next()?;
            let one = |c: char| c.to_lowercase().eq(first.to_lowercase());
            chars.all(one).then(|| first.to_lowercase().collect())
        }
        _ => None,
    }
}

/// The most bytes of folded text that it takes; `None` where there is no bound.
fn bytes_max(hir: &Hir) -> Option<usize> {
    match hir.kind() {
        HirKind::Repetition(repeated) => {
            // A run of blanks is one after folding.
            let times = match (is_blank(&repeated.sub), repeated.max) {
                (true, max) => max.unwrap_or(1).min(1),
                (false, max) => max?,
            };
            bytes_max(&repeated.sub)?.checked_mul(usize::try_from(times).ok()?)
        }
        HirKind::Capture(capture) => bytes_max(&capture.sub),
        HirKind::Concat(parts) => parts
            .iter()
            .try_fold(0_usize, |sum, part| sum.checked_add(bytes_max(part)?)),
        HirKind::Alternation(parts) => parts
            .iter()
            .try_fold(0_usize, |most, part| Some(most.max(bytes_max(part)?))),
        _ => hir.properties().maximum_len(),
    }
}

fn is_blank(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(Class::Unicode(class)) => {
            let mut ranges = class.iter().peekable();
            ranges.peek().is_some()
                && ranges.all(|range| range.start().is_whitespace() && range.end().is_whitespace())
        }
        HirKind::Literal(literal) => literal.0.iter().all(u8::is_ascii_whitespace),
        HirKind::Capture(capture) => is_blank(&capture.sub),
        _ => false,
    }
}

/// The longest text that is made up for a repetition.
const EXAMPLE_TIMES_MAX: usize = 64;

/// A text that it matches, as far as that can be told from its parts.
fn example(hir: &Hir) -> String {
    match hir.kind() {
        HirKind::Literal(literal) => String::from_utf8_lossy(&literal.0).into_owned(),
        HirKind::Class(Class::Unicode(class)) => {
            let has = |c: &char| {
                class
                    .iter()
                    .any(|range| range.start() <= *c && *c <= range.end())
            };
            let usual = ['a', '1', ' ', '-', '/'].into_iter().find(has);
            let first = class.iter().next().map(|range| range.start());
            usual.or(first).map(String::from).unwrap_or_default()
        }
        HirKind::Repetition(repeated) => {
            let times = usize::try_from(repeated.min).unwrap_or(usize::MAX);
            example(&repeated.sub).repeat(times.min(EXAMPLE_TIMES_MAX))
        }
        HirKind::Capture(capture) => example(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(example).collect(),
        HirKind::Alternation(parts) => parts.first().map(example).unwrap_or_default(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::meaning;
    use crate::meaning::Meaning;

    fn check(pattern: &str, words: &[&str], lost: Option<&str>) {
        let (said, told) = match meaning(pattern, "") {
            Meaning::Seen(sign) => (Some(sign), None),
            Meaning::Lost(what) => (None, Some(what)),
            Meaning::Every(parts) => match parts.as_slice() {
                [Meaning::Seen(sign), Meaning::Lost(what)] => {
                    (Some(sign.clone()), Some(what.clone()))
                }
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        assert_eq!(
            said.as_ref()
                .map(|sign| sign.words.clone())
                .unwrap_or_default(),
            words,
            "{pattern}"
        );
        match (&told, lost) {
            (Some(told), Some(lost)) => assert!(told.contains(lost), "{told}"),
            (told, lost) => assert_eq!(told.is_some(), lost.is_some(), "{pattern}: {told:?}"),
        }
        if let Some(sign) = said.filter(|_| told.is_none()) {
            let regex = regex_lite::Regex::new(sign.pattern.as_deref().unwrap()).unwrap();
            assert!(regex.is_match(&sign.example), "{pattern}: {}", sign.example);
        }
    }

    #[test]
    fn the_words_that_must_be_there_are_told() {
        check(
            r"Invoke-(?:Expression|Command)\s+\$[a-z]{1,8}",
            &["invoke-"],
            None,
        );
        check(r"(?:curl|wget)\s{1,9}https", &["https"], None);
        check(r"(?:curl|wget) \S{1,20}", &["curl", "wget"], None);
        check(r".*\bnc(?:at)? -e", &[" -e"], None);
        check(r"[Dd]rop", &["drop"], None);
    }

    #[test]
    fn what_cannot_be_looked_for_is_told() {
        check(r"curl.*\| ?sh", &["curl"], Some("only its words"));
        check(r"[a-z]{1,9}", &[], Some("no word"));
        check(r"(?:curl|[0-9]+)", &[], Some("no word"));
        check(r"a(?=b)cdef", &[], Some("cannot be read"));
        check(r"(", &[], Some("cannot be read"));
        check(r"\p{Greek}abc", &[], Some("cannot be read"));
    }
}
