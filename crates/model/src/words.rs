//! Enums that are words in JSON.
//!
//! All of them are read by one function: what `derive` makes of each is a kilobyte of the filter.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};

/// Where what is read stands among `words`.
pub(crate) fn position<'de, D: Deserializer<'de>>(
    deserializer: D,
    words: &'static [&'static str],
) -> Result<usize, D::Error> {
    deserializer.deserialize_str(OneOf(words))
}

struct OneOf(&'static [&'static str]);

impl Visitor<'_> for OneOf {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of {}", self.0.join(", "))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<usize, E> {
        let found = self.0.iter().position(|known| *known == word);
        found.ok_or_else(|| E::unknown_variant(word, self.0))
    }
}

/// Declares an enum by its variants and their words, with `ALL`, `as_str` and `parse`.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            const WORDS: &[&str] = &[$($word,)+];

            /// All of them, in their order.
            pub const ALL: [Self; $name::WORDS.len()] = [$(Self::$variant,)+];

            /// The word that stands for it in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// What that word stands for.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|one| one.as_str() == word)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let at = $crate::words::position(deserializer, Self::WORDS)?;
                let found = Self::ALL.get(at).copied();
                found.ok_or_else(|| serde::de::Error::custom("no such word"))
            }
        }
    };
}

pub(crate) use words;
