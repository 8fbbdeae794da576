//! A rule as one row of a table.

use std::borrow::Cow;

use clampd_model::{Severity, SurfaceSet, ToolCategory};

use crate::recognise::Signal;

/// One rule. It matches where one of its literals stands, its pattern (if any) matches around
/// that, one word of each group of `near` stands near that, and its signal (if any) was given by
/// a recogniser. A rule without literals matches wherever its signal is given.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Never renamed, never reused.
    pub id: Cow<'static, str>,
    /// For people.
    pub name: Cow<'static, str>,
    /// The category, such as `destructive-sql`.
    pub category: Cow<'static, str>,
    /// How bad a match is.
    pub severity: Severity,
    /// Where it is looked for.
    pub applies_to: SurfaceSet,
    /// The cheap gate, folded.
    pub literals: Words,
    /// Groups of words, folded; one of each must stand near the literal.
    pub near: Cow<'static, [Words]>,
    /// On which side of the literal they stand.
    pub reach: Reach,
    /// How many bytes may lie between the literal and a word of `near`.
    pub within: u16,
    /// A regular expression in the syntax of `regex-lite`, for folded text.
    pub pattern: Option<Cow<'static, str>>,
    /// How many bytes before the literal the pattern may begin. With 0 it begins with the
    /// literal, which is much the cheapest.
    pub before: u16,
    /// What a recogniser must have seen.
    pub signal: Option<Signal>,
    /// Which texts it is looked for in.
    pub form: Form,
    /// Not looked for in what is written in the own language of tools of these categories.
    pub not_in: ToolSet,
    /// When not empty, only looked for in the own language of tools of these categories.
    pub only_in: ToolSet,
}

impl Rule {
    /// Whether it matters how often it matches: of personal data and secrets.
    pub(crate) fn counts(&self) -> bool {
        matches!(self.category.as_ref(), "pii" | "secret")
    }
}

/// A form of text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Every text.
    #[default]
    Any,
    /// Texts that are not written for people: values, commands, payloads.
    Bare,
    /// Texts that do the thing; not sentences that speak about it.
    Order,
}

impl Form {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Any, Self::Bare, Self::Order];

    /// The word in rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Bare => "bare",
            Self::Order => "order",
        }
    }
}

/// Where the words of `near` stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// On either side of the literal.
    #[default]
    Around,
    /// Behind the literal.
    After,
}

impl Reach {
    /// The word in rule files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Around => "around",
            Self::After => "after",
        }
    }
}

/// A list of words in one string, so that a table of them is small.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Cow<'static, str>);

impl Words {
    /// What stands between two words.
    pub const SEPARATOR: char = '\u{1f}';
    /// No word.
    pub const NONE: Self = Self(Cow::Borrowed(""));

    /// The words of a string in which [`Words::SEPARATOR`] stands between them.
    pub const fn from_static(joined: &'static str) -> Self {
        Self(Cow::Borrowed(joined))
    }

    /// The words.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0
            .split(Self::SEPARATOR)
            .filter(|word| !word.is_empty())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words as one string.
    pub fn joined(&self) -> &str {
        &self.0
    }
}

impl<S: AsRef<str>> FromIterator<S> for Words {
    fn from_iter<I: IntoIterator<Item = S>>(words: I) -> Self {
        let mut joined = String::new();
        for word in words {
            if !joined.is_empty() {
                joined.push(Self::SEPARATOR);
            }
            joined.push_str(word.as_ref());
        }
        Self(Cow::Owned(joined))
    }
}

/// A set of tool categories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolSet(u16);

impl ToolSet {
    /// The set of these bits, in the order of [`ToolCategory::ALL`]; used by generated tables.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether `category` is in it.
    pub fn contains(self, category: ToolCategory) -> bool {
        self.0 & (1 << (category as u16)) != 0
    }

    /// Whether it is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<ToolCategory> for ToolSet {
    fn from_iter<I: IntoIterator<Item = ToolCategory>>(categories: I) -> Self {
        Self(
            categories
                .into_iter()
                .fold(0, |bits, c| bits | 1 << (c as u16)),
        )
    }
}
