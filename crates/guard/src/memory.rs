//! Texts in which nothing was found, so that a conversation that comes again with every turn costs
//! what is new in it, and so that the words that every message has cost a hash.
//!
//! A text is known by a keyed hash of itself and of everything that its judgement depends on, so
//! that nobody without the key can make one text pass for another.

use std::{
    cell::{Cell, RefCell},
    hash::{BuildHasher, Hasher, RandomState},
};

use clampd_detect::{Leaf, Place};

/// Places where a hash may stand.
const WAYS: usize = 4;
/// How many times [`WAYS`] texts are remembered, eight bytes each.
const SETS: usize = 4_096;

/// Remembers nothing before it has a key.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    key: Option<RandomState>,
    /// By set, what was seen last first; 0 is none.
    sets: RefCell<Vec<[u64; WAYS]>>,
    hits: Cell<u64>,
}

/// What a text is known by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known(u64);

impl Memory {
    /// A memory with all its room, and nothing in it.
    pub(crate) fn new(key: RandomState) -> Self {
        Self {
            key: Some(key),
            sets: RefCell::new(vec![[0; WAYS]; SETS]),
            hits: Cell::new(0),
        }
    }

    /// What a text is known by where it stands, under the bundle of `revision`; `None` when nothing
    /// is remembered.
    pub(crate) fn known(&self, revision: u64, place: &Place<'_>, leaf: &Leaf<'_>) -> Option<Known> {
        let key = self.key.as_ref()?;
        let mut hasher = key.build_hasher();
        hasher.write_u64(revision);
        hasher.write_u8(place.surface as u8);
        hasher.write_u8(place.category as u8);
        // Each with its length, so that no two lists of texts are the same bytes.
        for text in [place.tool, leaf.name, leaf.text] {
            hasher.write_usize(text.len());
            hasher.write(text.as_bytes());
        }
        Some(Known(hasher.finish().max(1)))
    }

    /// Whether nothing was found in the text when it was judged.
    pub(crate) fn is_clean(&self, known: Known) -> bool {
        let mut sets = self.sets.borrow_mut();
        let Some(set) = sets.get_mut(known.set()) else {
            return false;
        };
        let Some(way) = set.iter().position(|hash| *hash == known.0) else {
            return false;
        };
        if let Some(seen) = set.get_mut(..=way) {
            seen.rotate_right(1);
        }
        self.hits.set(self.hits.get().saturating_add(1));
        true
    }

    /// Remembers that nothing was found in a text.
    pub(crate) fn keep(&self, known: Known) {
        if let Some(set) = self.sets.borrow_mut().get_mut(known.set()) {
            set.rotate_right(1);
            if let Some(first) = set.first_mut() {
                *first = known.0;
            }
        }
    }

    /// How many texts were known since this was asked last.
    pub(crate) fn take_hits(&self) -> u64 {
        self.hits.take()
    }
}

impl Known {
    fn set(self) -> usize {
        self.0 as usize % SETS
    }
}

#[cfg(test)]
mod tests {
    use std::hash::RandomState;

    use clampd_detect::{Leaf, Place};
    use clampd_model::{Surface, ToolCategory};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::{Memory, SETS, WAYS};

    const TEXTS: usize = SETS * WAYS;

    const PLACE: Place<'_> = Place {
        surface: Surface::Prompt,
        tool: "notes.add",
        category: ToolCategory::Other,
    };

    fn leaf<'a>(name: &'a str, text: &'a str) -> Leaf<'a> {
        Leaf { name, text }
    }

    #[test]
    fn a_text_is_known_only_where_it_was_judged() {
        let memory = Memory::new(RandomState::new());
        let text = "a".repeat(200);
        let known = memory.known(7, &PLACE, &leaf("body", &text)).unwrap();
        assert!(!memory.is_clean(known));
        memory.keep(known);
        assert!(memory.is_clean(known));
        assert_eq!((memory.take_hits(), memory.take_hits()), (1, 0));
        let response = Place {
            surface: Surface::Response,
            ..PLACE
        };
        let shell = Place {
            category: ToolCategory::Shell,
            ..PLACE
        };
        let moved = Place {
            tool: "notes.addb",
            ..PLACE
        };
        let longer = format!("{text}a");
        for other in [
            memory.known(8, &PLACE, &leaf("body", &text)),
            memory.known(7, &PLACE, &leaf("bodya", &text)),
            memory.known(7, &PLACE, &leaf("body", &longer)),
            memory.known(7, &response, &leaf("body", &text)),
            memory.known(7, &shell, &leaf("body", &text)),
            memory.known(7, &moved, &leaf("ody", &text)),
        ] {
            assert!(!memory.is_clean(other.unwrap()));
        }
    }

    #[test]
    fn what_was_seen_last_is_kept_and_the_memory_never_grows() {
        let memory = Memory::new(RandomState::new());
        let text = |nth: usize| format!("{nth:0>100}");
        let known = |nth: usize| memory.known(1, &PLACE, &leaf("", &text(nth))).unwrap();
        for nth in 0..3 * TEXTS {
            memory.keep(known(nth));
        }
        assert_eq!(memory.sets.borrow().len(), SETS);
        let last = (3 * TEXTS - 100..3 * TEXTS).filter(|nth| memory.is_clean(known(*nth)));
        assert!(last.count() >= 99);
        let first = (0..1000).filter(|nth| memory.is_clean(known(*nth)));
        assert!(first.count() < 300);
    }

    #[test]
    fn without_a_key_nothing_is_remembered() {
        let text = "a".repeat(200);
        let known = Memory::default().known(1, &PLACE, &leaf("", &text));
        assert_eq!(known, None);
    }
}
