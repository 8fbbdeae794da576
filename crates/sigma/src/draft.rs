//! One case of a Sigma rule as a rule of ours: which words open it, which stand near, which
//! pattern is looked for, and the texts that show it.

use clampd_model::{Severity, ToolCategory};

use crate::meaning::{At, Case, Sign};

/// A rule to be written.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) severity: Severity,
    pub(crate) why: String,
    pub(crate) references: Vec<String>,
    pub(crate) tools: &'static [ToolCategory],
    pub(crate) literals: Vec<String>,
    pub(crate) near: Vec<Vec<String>>,
    pub(crate) in_order: bool,
    pub(crate) pattern: Option<String>,
    pub(crate) before: u16,
    pub(crate) should_match: Vec<String>,
    /// What is tried as a counter-example, the nearest first.
    pub(crate) nearly: Vec<String>,
    pub(crate) should_not_match: Option<String>,
}

/// A case in the parts of a rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    pub(crate) literals: Vec<String>,
    pub(crate) near: Vec<Vec<String>>,
    pub(crate) pattern: Option<String>,
    pub(crate) before: u16,
    pub(crate) should_match: Vec<String>,
    pub(crate) nearly: Vec<String>,
    /// What was taken as true.
    pub(crate) lost: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// Examples of one rule.
const EXAMPLES_MAX: usize = 5;
/// Any character: the word is found inside others too, as Sigma's `contains` finds it.
const ANY: &str = "(?s:.)";

impl Shape {
    /// Shapes a case.
    pub(crate) fn of(case: &Case) -> Self {
        let mut shape = Self::default();
        let opens = opening(case);
        for (nth, group) in case.groups.iter().enumerate() {
            let words = words(group);
            for sign in group {
                shape.notes.extend(sign.note.clone());
            }
            if nth == opens {
                (shape.pattern, shape.before) = pattern(group, &words);
                shape.literals = words;
                continue;
            }
            if group.iter().any(|sign| sign.pattern.is_some()) {
                shape.lost.push(format!(
                    "what stands around `{}`: beside another part only words are looked for",
                    words.join("`, `")
                ));
            }
            if let Some(word) = words
                .iter()
                .find(|word| word.starts_with(|c: char| c.is_ascii_alphanumeric()))
            {
                shape.notes.push(format!(
                    "words such as `{word}` are only found at the beginning of a word"
                ));
            }
            shape.near.push(words);
        }
        let of_opening = case.groups.get(opens).map_or(0, Vec::len);
        for nth in 0..of_opening.min(EXAMPLES_MAX) {
            shape.should_match.push(example(case, opens, nth, None));
        }
        if case.groups.len() > 1 {
            let all = 0..case.groups.len();
            shape.nearly = all
                .rev()
                .map(|without| example(case, opens, 0, Some(without)))
                .collect();
        }
        shape.notes.sort_unstable();
        shape.notes.dedup();
        shape
    }
}

/// The group whose words open the rule: the one with a pattern, else the one whose shortest word
/// is longest. In a case with an order it is the first.
fn opening(case: &Case) -> usize {
    let worth = |group: &[Sign]| {
        let patterned = group.iter().any(|sign| sign.pattern.is_some());
        let shortest = group
            .iter()
            .flat_map(|sign| &sign.words)
            .map(String::len)
            .min();
        (patterned, shortest.unwrap_or(0))
    };
    if case.in_order {
        return 0;
    }
    let groups = case.groups.iter().enumerate();
    groups
        .rev()
        .max_by_key(|(_, group)| worth(group))
        .map_or(0, |(nth, _)| nth)
}

fn words(group: &[Sign]) -> Vec<String> {
    let mut words: Vec<String> = group.iter().flat_map(|sign| sign.words.clone()).collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// The pattern of the group that opens the rule, and how far before its words it may begin.
fn pattern(group: &[Sign], words: &[String]) -> (Option<String>, u16) {
    if group.iter().all(|sign| sign.pattern.is_none()) {
        let inside = words
            .iter()
            .any(|word| word.starts_with(|c: char| c.is_ascii_alphanumeric()));
        return (inside.then(|| ANY.to_owned()), 0);
    }
    let mut alternatives: Vec<String> = Vec::new();
    for sign in group {
        match &sign.pattern {
            Some(pattern) => alternatives.push(pattern.clone()),
            None => alternatives.extend(sign.words.iter().map(|word| regex_lite::escape(word))),
        }
    }
    alternatives.dedup();
    let joined = match alternatives.as_slice() {
        [only] => only.clone(),
        several => format!("(?:{})", several.join(")|(?:")),
    };
    (
        Some(joined),
        group.iter().map(|sign| sign.before).max().unwrap_or(0),
    )
}

/// A text with one sign of each group but `without`; of the opening group, the `nth`.
fn example(case: &Case, opens: usize, nth: usize, without: Option<usize>) -> String {
    let groups = case
        .groups
        .iter()
        .enumerate()
        .filter(|(at, _)| Some(*at) != without);
    let signs = groups.filter_map(|(at, group)| group.get(if at == opens { nth } else { 0 }));
    let mut signs: Vec<&Sign> = signs.collect();
    // What stands at the beginning comes first, and what stands at the end last.
    signs.sort_by_key(|sign| match sign.at {
        At::Start | At::All => 0,
        At::Anywhere => 1,
        At::End => 2,
    });
    let texts: Vec<&str> = signs.iter().map(|sign| sign.example.as_str()).collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::Shape;
    use crate::meaning::{At, Case, Sign};

    fn sign(word: &str, pattern: Option<&str>, at: At) -> Sign {
        Sign {
            words: vec![word.to_owned()],
            pattern: pattern.map(str::to_owned),
            example: word.to_owned(),
            at,
            ..Sign::default()
        }
    }

    fn shape(groups: Vec<Vec<Sign>>) -> Shape {
        Shape::of(&Case {
            groups,
            in_order: false,
        })
    }

    #[test]
    fn the_longest_words_open_a_rule_and_the_others_stand_near() {
        let plain = |word| vec![sign(word, None, At::Anywhere)];
        let shape = shape(vec![plain("-f"), plain("certutil"), plain("http")]);
        assert_eq!(shape.literals, ["certutil"]);
        assert_eq!(shape.near, [["-f"], ["http"]]);
        assert_eq!(shape.should_match, ["-f certutil http"]);
        assert_eq!(shape.nearly[0], "-f certutil");
        assert!(shape.notes[0].contains("`http`") && shape.lost.is_empty());
    }

    #[test]
    fn only_one_part_can_have_a_pattern() {
        let anchored = |word, at| vec![sign(word, Some("^x"), at)];
        let shape = shape(vec![anchored("a", At::End), anchored("longer", At::Start)]);
        assert_eq!(shape.literals, ["longer"]);
        assert!(shape.lost[0].contains("`a`"));
        assert_eq!(shape.should_match, ["longer a"]);
    }
}
