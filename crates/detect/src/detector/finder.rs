//! Finds every word of a list in a folded text, in one pass whose cost does not depend on how
//! many words there are.
//!
//! Three bytes and a fourth are asked of a table of bits whether a word may begin with them; only
//! where it says yes are the few words that begin so compared. The table knows bytes by classes,
//! so it may say yes wrongly and never says no wrongly. What a word is for is `index`'s.

use std::ops::Range;

/// Bits of a byte's class.
const CLASS_BITS: u32 = 5;
/// Keeps a class.
const CLASS: u32 = (1 << CLASS_BITS) - 1;
/// How many triples of classes there are.
const TRIPLES: usize = 1 << (3 * CLASS_BITS);
/// Bytes of a word that are compared at once.
const HEAD_BYTES: usize = 8;
/// Places of a text that are looked at before those where the table said yes are.
const BLOCK: usize = 1_024;

/// Ready to find words. A word is known by its place in the list.
#[derive(Debug)]
pub(super) struct Finder {
    /// By the classes of three bytes: which classes may follow for a word to begin there.
    admits: Box<[u32; TRIPLES]>,
    /// By the classes of three bytes: where the words that begin so end among `entries`.
    ends: Vec<u32>,
    /// The words of three bytes or more, by their first three classes.
    entries: Vec<Entry>,
    /// By first byte: where the words of one or two bytes end among `short`.
    short_ends: Vec<u32>,
    /// The words of one or two bytes, by their first.
    short: Vec<Entry>,
    /// What words have beyond [`HEAD_BYTES`], one behind the other.
    tails: Vec<u8>,
}

/// A word.
#[derive(Debug)]
struct Entry {
    /// Its first bytes, the first one lowest.
    head: u64,
    /// Ones where `head` has bytes.
    mask: u64,
    /// The word's place in the list.
    word: u16,
    bytes: u16,
    /// Where its tail begins.
    tail: u32,
}

/// A place of a block where a word may begin, and the classes of its first three bytes.
#[derive(Clone, Copy, Default)]
struct Maybe {
    nth: u16,
    triple: u16,
}

impl Finder {
    /// Makes ready a list of words. An empty word is never found.
    pub(super) fn new<'w>(words: impl Iterator<Item = (u16, &'w str)>) -> Self {
        let mut finder = Self {
            admits: Box::new([0; TRIPLES]),
            ends: Vec::new(),
            entries: Vec::new(),
            short_ends: Vec::new(),
            short: Vec::new(),
            tails: Vec::new(),
        };
        let mut long: Vec<(usize, Entry)> = Vec::new();
        let mut short: Vec<(usize, Entry)> = Vec::new();
        for (word, text) in words {
            let bytes = text.as_bytes();
            let [first, ..] = bytes else { continue };
            finder.admit(bytes);
            let entry = finder.entry(word, bytes);
            match triple(bytes) {
                Some(triple) => long.push((triple, entry)),
                None => short.push((usize::from(*first), entry)),
            }
        }
        (finder.ends, finder.entries) = grouped(long, TRIPLES);
        (finder.short_ends, finder.short) = grouped(short, 256);
        finder
    }

    /// Sets the bits of every four classes that a text may have where the word begins.
    fn admit(&mut self, word: &[u8]) {
        let mut fours = vec![0_u32];
        for nth in 0..4 {
            let range = match word.get(nth) {
                Some(byte) => {
                    let class = class(*byte);
                    class..=class
                }
                None => 0..=CLASS,
            };
            fours = fours
                .into_iter()
                .flat_map(|four| range.clone().map(move |class| four << CLASS_BITS | class))
                .collect();
        }
        for four in fours {
            if let Some(admits) = self.admits.get_mut((four >> CLASS_BITS) as usize) {
                *admits |= 1 << (four & CLASS);
            }
        }
    }

    fn entry(&mut self, word: u16, bytes: &[u8]) -> Entry {
        let (head, tail) = bytes.split_at_checked(HEAD_BYTES).unwrap_or((bytes, &[]));
        let at = self.tails.len();
        self.tails.extend_from_slice(tail);
        Entry {
            head: head_of(head),
            mask: u64::MAX >> (8 * (HEAD_BYTES - head.len())),
            word,
            bytes: u16::try_from(bytes.len()).unwrap_or(u16::MAX),
            tail: u32::try_from(at).unwrap_or(u32::MAX),
        }
    }

    /// Hands to `found` each word that begins in `range` of the text, with its start and end, in
    /// the order of their starts.
    pub(super) fn find(
        &self,
        text: &[u8],
        range: Range<usize>,
        mut found: impl FnMut(u16, usize, usize),
    ) {
        let mut places = [Maybe::default(); BLOCK];
        let end = range.end.min(text.len());
        let mut from = range.start;
        while from < end {
            let to = end.min(from + BLOCK);
            let count = self.places(text, from..to, &mut places);
            for place in places.iter().take(count) {
                let at = from + usize::from(place.nth);
                self.words_at(text, at, usize::from(place.triple), &mut found);
            }
            from = to;
        }
    }

    /// Notes where in `range`, of at most [`BLOCK`] bytes, a word may begin; gives how many.
    fn places(&self, text: &[u8], range: Range<usize>, places: &mut [Maybe; BLOCK]) -> usize {
        let mut roll = 0_u32;
        for nth in 0..3 {
            roll = roll << CLASS_BITS | text.get(range.start + nth).map_or(0, |b| class(*b));
        }
        let mut count = 0;
        let mut note = |nth: usize, class: u32| {
            roll = roll << CLASS_BITS | class;
            let triple = (roll >> CLASS_BITS) as usize % TRIPLES;
            let admits = self.admits.get(triple).copied().unwrap_or(0);
            // No branch: whether a word may begin here is as good as random.
            if let Some(place) = places.get_mut(count % BLOCK) {
                *place = Maybe {
                    nth: nth as u16,
                    triple: triple as u16,
                };
            }
            count += (admits >> (roll & CLASS) & 1) as usize;
        };
        let fourth = text.get(range.start + 3..).unwrap_or_default();
        let fourth = fourth.get(..range.len()).unwrap_or(fourth);
        for (nth, byte) in fourth.iter().enumerate() {
            note(nth, class(*byte));
        }
        // Behind the text stands nothing, which is class 0.
        for nth in fourth.len()..range.len() {
            note(nth, 0);
        }
        count
    }

    /// Hands on the words that begin right at `at`.
    fn words_at(
        &self,
        text: &[u8],
        at: usize,
        triple: usize,
        found: &mut impl FnMut(u16, usize, usize),
    ) {
        let rest = text.get(at..).unwrap_or_default();
        let head = match rest.first_chunk::<HEAD_BYTES>() {
            Some(head) => u64::from_le_bytes(*head),
            None => head_of(rest),
        };
        let mut compare = |entries: &[Entry]| {
            for entry in entries {
                if head & entry.mask == entry.head && self.ends_alike(entry, rest) {
                    found(entry.word, at, at + usize::from(entry.bytes));
                }
            }
        };
        if !self.short.is_empty()
            && let Some(first) = rest.first()
        {
            compare(group(&self.short_ends, &self.short, usize::from(*first)));
        }
        compare(group(&self.ends, &self.entries, triple));
    }

    /// Whether the text goes on as the word does beyond its head.
    fn ends_alike(&self, entry: &Entry, rest: &[u8]) -> bool {
        let bytes = usize::from(entry.bytes);
        let Some(left) = bytes.checked_sub(HEAD_BYTES) else {
            return bytes <= rest.len();
        };
        let tail = self.tails.get(entry.tail as usize..);
        let tail = tail.and_then(|tail| tail.get(..left));
        rest.get(HEAD_BYTES..bytes)
            .is_some_and(|rest| tail == Some(rest))
    }
}

/// The entries sorted by key, and by key where its entries end.
fn grouped(mut keyed: Vec<(usize, Entry)>, keys: usize) -> (Vec<u32>, Vec<Entry>) {
    keyed.sort_by_key(|(key, _)| *key);
    let mut ends = vec![0_u32; keys + 1];
    for (key, _) in &keyed {
        if let Some(end) = ends.get_mut(key + 1) {
            *end += 1;
        }
    }
    let mut sum = 0;
    for end in &mut ends {
        sum += *end;
        *end = sum;
    }
    (ends, keyed.into_iter().map(|(_, entry)| entry).collect())
}

/// The entries of one key.
fn group<'e>(ends: &[u32], entries: &'e [Entry], key: usize) -> &'e [Entry] {
    let at = |key: usize| ends.get(key).map_or(0, |end| *end as usize);
    entries.get(at(key)..at(key + 1)).unwrap_or_default()
}

/// The first bytes of a text as a number, the first one lowest.
fn head_of(bytes: &[u8]) -> u64 {
    let head = bytes.iter().take(HEAD_BYTES).rev();
    head.fold(0, |head, byte| head << 8 | u64::from(*byte))
}

/// The classes of the first three bytes.
fn triple(bytes: &[u8]) -> Option<usize> {
    let [a, b, c, ..] = bytes else { return None };
    let triple = (class(*a) << CLASS_BITS | class(*b)) << CLASS_BITS | class(*c);
    Some(triple as usize)
}

fn class(byte: u8) -> u32 {
    CLASSES
        .get(usize::from(byte))
        .map_or(0, |class| u32::from(*class))
}

/// By byte: its class. Each letter has its own, digits share one, as do signs of a kind; bytes of
/// characters outside ASCII share those of letters, which ASCII texts do not pay for.
static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        let class = match byte {
            b'a'..=b'z' => byte - b'a' + 1,
            b'0'..=b'9' => 27,
            b' ' => 28,
            b'-' | b'_' | b'.' | b'/' => 29,
            b'"' | b'\'' | b'<' | b'(' | b'{' | b'[' | b'$' => 30,
            b'!'..=b'~' => 31,
            0x80.. => byte & 31,
            _ => 0,
        };
        #[expect(
            clippy::indexing_slicing,
            reason = "at < 256 by the loop, at compile time"
        )]
        {
            table[at] = class;
        }
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use aho_corasick::AhoCorasick;

    use super::{BLOCK, Finder};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_word_is_found_at_every_place() {
        let words = [
            "a",
            "'s",
            "sql",
            "drop",
            "drop table",
            "table",
            "union select",
            "удали",
            "无视",
            "無視し",
            "::",
            "<?\n",
            "aaaa",
            "aaaaaaaaa",
        ];
        let finder = Finder::new((0..).zip(words));
        let said = words.concat() + "aaaaaaaaaaaa drop tables 's u sq 无视 |";
        for before in [0, 1, 2, 3, 7, BLOCK - 9, BLOCK - 1, BLOCK] {
            let text = "-".repeat(before) + &said;
            let mut found = Vec::new();
            finder.find(text.as_bytes(), 0..text.len(), |word, start, end| {
                found.push((start, end, word));
            });
            let mut wanted = Vec::new();
            for (nth, word) in (0_u16..).zip(words) {
                let starts = (0..text.len())
                    .filter(|at| text.as_bytes()[*at..].starts_with(word.as_bytes()));
                wanted.extend(starts.map(|start| (start, start + word.len(), nth)));
            }
            assert!(found.is_sorted_by_key(|(start, ..)| *start));
            found.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(found, wanted, "{before}");
        }
    }

    #[test]
    fn only_words_that_begin_in_the_range_are_found() {
        let finder = Finder::new((0..).zip(["all", "allow"]));
        let mut found = Vec::new();
        finder.find(b"all allow all", 1..5, |word, start, _| {
            found.push((word, start))
        });
        assert_eq!(found, [(0, 4), (1, 4)]);
    }

    #[test]
    fn an_automaton_finds_the_same() {
        let mut thrown = 0x9e37_79b9_7f4a_7c15_u64;
        // Numbers that look thrown (xorshift, Marsaglia 2003).
        let mut throw = |sides: usize| {
            thrown ^= thrown << 13;
            thrown ^= thrown >> 7;
            thrown ^= thrown << 17;
            (thrown % sides as u64) as usize
        };
        let letters = ["a", "b", "1", " ", "-", "'", "\n", "é", "视", "а", "z"];
        let mut text_of = |letters: &[&str], count: usize| -> String {
            (0..count).map(|_| letters[throw(letters.len())]).collect()
        };
        let mut count = 0;
        for round in 0..300 {
            let letters = &letters[..2 + round % (letters.len() - 1)];
            let words: Vec<String> = (0..40).map(|nth| text_of(letters, 1 + nth % 12)).collect();
            let mut text = text_of(letters, BLOCK / 2 + round);
            words.iter().for_each(|word| text.push_str(word));
            let finder = Finder::new((0..).zip(words.iter().map(String::as_str)));
            let mut found = Vec::new();
            finder.find(text.as_bytes(), 0..text.len(), |word, start, end| {
                found.push((start, end, usize::from(word)));
            });
            let automaton = AhoCorasick::new(&words).unwrap();
            let wanted = automaton.find_overlapping_iter(&text);
            let mut wanted: Vec<_> = wanted
                .map(|m| (m.start(), m.end(), m.pattern().as_usize()))
                .collect();
            found.sort_unstable();
            wanted.sort_unstable();
            count += wanted.len();
            assert_eq!(found, wanted, "{text:?} {words:?}");
        }
        assert!(count > 100_000, "{count} places prove little");
    }
}
