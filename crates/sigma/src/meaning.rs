//! What a Sigma rule says, and the nearest thing above it that rules here can say.
//!
//! A rule here finds words that are there: one of these, and near it one of those. What it cannot
//! say is taken as always true, wherever that makes the rule find more and never less, and the
//! reason is kept.

/// What an event must be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Meaning {
    Every(Vec<Meaning>),
    Any(Vec<Meaning>),
    Not(Box<Meaning>),
    Seen(Sign),
    /// What cannot be said, in words.
    Lost(String),
}

/// Something in a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sign {
    /// Folded words, of which one must be there.
    pub(crate) words: Vec<String>,
    /// How the text reads around the word, where the word alone is not enough.
    pub(crate) pattern: Option<String>,
    /// How many bytes before the word the pattern may begin.
    pub(crate) before: u16,
    /// A text that has it.
    pub(crate) example: String,
    /// It stands at the beginning of the text, or at the end.
    pub(crate) at: At,
    /// In what it differs from the Sigma rule without being wider than it.
    pub(crate) note: Option<String>,
}

/// Where in a text something stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum At {
    Start,
    #[default]
    Anywhere,
    End,
    /// It is the whole text.
    All,
}

/// One rule to be: of each group, one sign must be there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Case {
    pub(crate) groups: Vec<Vec<Sign>>,
    /// The second group stands behind the first.
    pub(crate) in_order: bool,
}

/// What a meaning comes to.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Above {
    /// The rules, of which one must hold; `None` where every text would do.
    pub(crate) cases: Option<Vec<Case>>,
    /// What was taken as true.
    pub(crate) lost: Vec<String>,
}

/// Rules that one Sigma rule may become.
const CASES_MAX: usize = 32;
/// Groups of words in one rule.
const GROUPS_MAX: usize = 16;
/// Conditions in conditions.
pub(crate) const DEPTH_MAX: usize = 64;

impl Meaning {
    /// The rules that find all that this finds.
    ///
    /// # Errors
    /// When they would be too many.
    pub(crate) fn above(&self) -> Result<Above, String> {
        match self {
            Self::Seen(sign) => Ok(Above {
                cases: Some(vec![Case {
                    groups: vec![vec![sign.clone()]],
                    in_order: false,
                }]),
                lost: Vec::new(),
            }),
            Self::Lost(what) => Ok(Above {
                cases: None,
                lost: vec![what.clone()],
            }),
            Self::Not(inner) => match inner.as_ref() {
                Self::Not(twice) => twice.above(),
                _ => Self::Lost("what must not be there: a rule finds what is there".to_owned())
                    .above(),
            },
            Self::Any(parts) => any(parts),
            Self::Every(parts) => every(parts),
        }
    }
}

fn any(parts: &[Meaning]) -> Result<Above, String> {
    let mut above = Above {
        cases: Some(Vec::new()),
        lost: Vec::new(),
    };
    let mut single: Vec<Sign> = Vec::new();
    for part in parts {
        let part = part.above()?;
        above.lost.extend(part.lost);
        let Some(cases) = part.cases else {
            above.cases = None;
            continue;
        };
        for case in cases {
            match case.groups.as_slice() {
                [group] => single.extend(group.iter().cloned()),
                _ => above
                    .cases
                    .iter_mut()
                    .for_each(|all| all.push(case.clone())),
            }
        }
    }
    if let Some(cases) = &mut above.cases {
        if !single.is_empty() {
            cases.insert(
                0,
                Case {
                    groups: vec![single],
                    in_order: false,
                },
            );
        }
        few(cases)?;
    }
    Ok(above)
}

fn every(parts: &[Meaning]) -> Result<Above, String> {
    let mut above = Above::default();
    for part in parts {
        let part = part.above()?;
        above.lost.extend(part.lost);
        above.cases = match (above.cases.take(), part.cases) {
            (None, other) | (other, None) => other,
            (Some(left), Some(right)) => {
                let mut both = Vec::new();
                for (a, b) in left.iter().flat_map(|a| right.iter().map(move |b| (a, b))) {
                    if a.in_order || b.in_order {
                        above.lost.push(ORDER.to_owned());
                    }
                    let groups: Vec<_> = a.groups.iter().chain(&b.groups).cloned().collect();
                    both.push(Case {
                        groups,
                        in_order: false,
                    });
                    few(&both)?;
                }
                Some(both)
            }
        };
    }
    Ok(above)
}

pub(crate) const ORDER: &str = "the order of the parts between `*`";

fn few(cases: &[Case]) -> Result<(), String> {
    if cases.len() > CASES_MAX || cases.iter().any(|case| case.groups.len() > GROUPS_MAX) {
        return Err(format!(
            "it would become more than {CASES_MAX} rules, or one with more than {GROUPS_MAX} groups of words"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Above, Meaning, Sign};

    fn seen(word: &str) -> Meaning {
        Meaning::Seen(Sign {
            words: vec![word.to_owned()],
            ..Sign::default()
        })
    }

    /// The words of each case, group by group.
    fn words(above: &Above) -> Vec<Vec<Vec<&str>>> {
        let cases = above.cases.iter().flatten();
        let groups = cases.map(|case| {
            let groups = case.groups.iter();
            groups
                .map(|group| group.iter().map(|sign| sign.words[0].as_str()).collect())
                .collect()
        });
        groups.collect()
    }

    #[test]
    fn alternatives_become_one_group_and_conditions_one_rule() {
        let meaning = Meaning::Every(vec![Meaning::Any(vec![seen("a"), seen("b")]), seen("c")]);
        let above = meaning.above().unwrap();
        assert_eq!(words(&above), [[vec!["a", "b"], vec!["c"]]]);
        assert!(above.lost.is_empty());
        let meaning = Meaning::Any(vec![meaning, seen("d")]);
        assert_eq!(
            words(&meaning.above().unwrap()),
            [vec![vec!["d"]], vec![vec!["a", "b"], vec!["c"]]]
        );
    }

    #[test]
    fn what_cannot_be_said_makes_a_rule_wider_and_never_narrower() {
        let lost = || Meaning::Lost("it".to_owned());
        let condition = Meaning::Every(vec![seen("a"), lost()]).above().unwrap();
        assert_eq!(
            (words(&condition), condition.lost.len()),
            (vec![vec![vec!["a"]]], 1)
        );
        let alternative = Meaning::Any(vec![seen("a"), lost()]).above().unwrap();
        assert_eq!((alternative.cases, alternative.lost.len()), (None, 1));
        let exception = Meaning::Every(vec![seen("a"), Meaning::Not(Box::new(seen("b")))]);
        assert_eq!(exception.above().unwrap().lost.len(), 1);
        let twice = Meaning::Not(Box::new(Meaning::Not(Box::new(seen("a")))));
        assert!(twice.above().unwrap().lost.is_empty());
    }

    #[test]
    fn a_rule_that_would_be_many_is_refused() {
        let pair = || Meaning::Every(vec![seen("a"), seen("b")]);
        let either = || Meaning::Any(vec![pair(), pair(), pair()]);
        assert!(Meaning::Every(vec![either(), either()]).above().is_ok());
        assert!(
            Meaning::Every((0..4).map(|_| either()).collect())
                .above()
                .is_err()
        );
    }
}
