//! Finds every word of a list in a folded text, in one pass whose cost does not depend on how
//! many words there are.
//!
//! Three bytes and a fourth are asked of a table of bits whether a word may begin with them; where
//! it says yes, the next two are asked whether one of the words that begin so may go on with them;
//! and only then are these words compared. The tables know bytes by classes, so they may say yes
//! wrongly and never say no wrongly. What a word is for is `index`'s.

use std::ops::Range;

/// Bits of a byte's class.
const CLASS_BITS: u32 = 5;
/// Keeps a class.
const CLASS: u32 = (1 << CLASS_BITS) - 1;
/// How many triples of classes there are.
const TRIPLES: usize = 1 << (3 * CLASS_BITS);
/// Bits of a group of words of four bytes or more, made from their first four.
const GROUP_BITS: u32 = 13;
/// Bytes of a word that are compared at once.
const HEAD_BYTES: usize = 8;
/// Places of a text that are looked at before those where the table said yes are.
const BLOCK: usize = 256;

/// Ready to find words. A word is known by its place in the list.
#[derive(Debug)]
pub struct Finder {
    /// By the classes of three bytes: which classes may follow for a word to begin there.
    admits: Box<[u32; TRIPLES]>,
    /// The words of four bytes or more, by their first four.
    long: Groups,
    /// The words of three bytes or less, by their first.
    short: Groups,
    /// What words have beyond [`HEAD_BYTES`], one behind the other.
    tails: Vec<u8>,
}

/// A word.
#[derive(Clone, Debug, Default)]
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

/// Words in groups of those that may begin alike.
#[derive(Debug, Default)]
struct Groups {
    /// By group: where its words end among `entries`.
    ends: Vec<u16>,
    entries: Vec<Entry>,
    /// By group: the classes that may stand at two places further on in one of its words.
    further: Vec<[u32; 2]>,
}

/// Places of a block where words may begin.
type Places = [u8; BLOCK];

impl Finder {
    /// Makes ready a list of words. An empty word is never found.
    pub fn new<'w>(words: impl Iterator<Item = (u16, &'w str)>) -> Self {
        let mut finder = Self {
            admits: Box::new([0; TRIPLES]),
            long: Groups::default(),
            short: Groups::default(),
            tails: Vec::new(),
        };
        let mut long: Vec<(usize, Entry)> = Vec::new();
        let mut short: Vec<(usize, Entry)> = Vec::new();
        for (word, text) in words {
            let bytes = text.as_bytes();
            let [first, ..] = bytes else { continue };
            finder.admit(bytes);
            let entry = finder.entry(word, bytes);
            match bytes.first_chunk::<4>() {
                Some(head) => long.push((group_of(*head), entry)),
                None => short.push((usize::from(*first), entry)),
            }
        }
        finder.long = Groups::new(long, 1 << GROUP_BITS, 4);
        finder.short = Groups::new(short, 1 << u8::BITS, 1);
        finder
    }

    /// Sets the bits of every four classes that a text may have where the word begins.
    fn admit(&mut self, word: &[u8]) {
        let mut fours = vec![0];
        for nth in 0..4 {
            let range = match word.get(nth).map(|byte| class(*byte)) {
                Some(class) => class..=class,
                None => 0..=CLASS,
            };
            let longer = |four: u32| range.clone().map(move |class| four << CLASS_BITS | class);
            fours = fours.into_iter().flat_map(longer).collect();
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
    // Not generic, so that it is compiled here, for speed.
    pub fn find(&self, text: &[u8], range: Range<usize>, found: &mut dyn FnMut(u16, usize, usize)) {
        let mut places = [0; BLOCK];
        let end = range.end.min(text.len());
        let mut from = range.start;
        while from < end {
            let to = end.min(from + BLOCK);
            let count = self.places(text, from..to, &mut places);
            for place in places.iter().take(count) {
                self.words_at(text, from + usize::from(*place), found);
            }
            from = to;
        }
    }

    /// Notes where in `range`, of at most [`BLOCK`] bytes, a word may well begin; gives how many.
    fn places(&self, text: &[u8], range: Range<usize>, places: &mut Places) -> usize {
        let from = range.start;
        let admitted = self.admitted(text, range, places);
        let mut count = 0;
        for nth in 0..admitted {
            let place = places.get(nth).copied().unwrap_or_default();
            let goes_on = self.goes_on(text.get(from + usize::from(place)..).unwrap_or_default());
            if let Some(kept) = places.get_mut(count) {
                *kept = place;
            }
            count += usize::from(goes_on);
        }
        count
    }

    /// Whether by the first six bytes a word may begin here.
    fn goes_on(&self, rest: &[u8]) -> bool {
        let six = match rest.first_chunk::<6>() {
            Some(six) => *six,
            None => {
                let mut six = [0; 6];
                six.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                six
            }
        };
        let [first, second, third, fourth, fifth, sixth] = six;
        let group = group_of([first, second, third, fourth]);
        self.long.admits(group, fifth, sixth)
            || self.short.admits(usize::from(first), second, third)
    }

    /// Notes where in `range`, of at most [`BLOCK`] bytes, a word may begin with the four bytes that
    /// stand there; gives how many.
    fn admitted(&self, text: &[u8], range: Range<usize>, places: &mut Places) -> usize {
        let mut roll = 0_u32;
        for nth in 0..3 {
            roll = roll << CLASS_BITS | text.get(range.start + nth).map_or(0, |b| class(*b));
        }
        let mut count = 0;
        let mut note = |nth: usize, class: u32| {
            let triple = roll as usize % TRIPLES;
            roll = roll << CLASS_BITS | class;
            let admits = self.admits.get(triple).copied().unwrap_or(0);
            // No branch: whether a word may begin here is as good as random.
            if let Some(place) = places.get_mut(count % BLOCK) {
                *place = nth as u8;
            }
            count += (admits >> class & 1) as usize;
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
    fn words_at(&self, text: &[u8], at: usize, found: &mut dyn FnMut(u16, usize, usize)) {
        let rest = text.get(at..).unwrap_or_default();
        let head = match rest.first_chunk::<HEAD_BYTES>() {
            Some(head) => u64::from_le_bytes(*head),
            None => head_of(rest),
        };
        let [first, second, third, fourth, ..] = head.to_le_bytes();
        let short = self.short.group(usize::from(first));
        let long = self.long.group(group_of([first, second, third, fourth]));
        for entries in [short, long] {
            for entry in entries {
                if head & entry.mask == entry.head && self.ends_alike(entry, rest) {
                    found(entry.word, at, at + usize::from(entry.bytes));
                }
            }
        }
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

impl Groups {
    /// The words in the order of their groups. These are small numbers, so they are counted, which
    /// is a tenth of a sort's code.
    /// Words are in one group by their first `known` bytes.
    fn new(words: Vec<(usize, Entry)>, groups: usize, known: u32) -> Self {
        let mut ends = vec![0_u16; groups + 1];
        let mut further = vec![[0; 2]; groups];
        for (group, entry) in &words {
            if let Some(end) = ends.get_mut(group + 1) {
                *end += 1;
            }
            if let Some(classes) = further.get_mut(*group) {
                for (nth, classes) in (known..).zip(classes) {
                    let byte = (entry.head >> (8 * nth)) as u8;
                    let is_there = entry.mask >> (8 * nth) & 1 != 0;
                    *classes |= if is_there { 1 << class(byte) } else { u32::MAX };
                }
            }
        }
        let mut sum = 0;
        for end in &mut ends {
            sum += *end;
            *end = sum;
        }
        let mut free = ends.clone();
        let mut entries = vec![Entry::default(); words.len()];
        for (group, entry) in words {
            if let Some(at) = free.get_mut(group)
                && let Some(place) = entries.get_mut(usize::from(*at))
            {
                *place = entry;
                *at += 1;
            }
        }
        Self {
            ends,
            entries,
            further,
        }
    }

    /// Whether a word of a group may go on with two bytes, by their classes.
    fn admits(&self, group: usize, first: u8, second: u8) -> bool {
        let [firsts, seconds] = self.further.get(group).copied().unwrap_or_default();
        (firsts >> class(first) & seconds >> class(second) & 1) != 0
    }

    fn group(&self, group: usize) -> &[Entry] {
        let Some([from, to]) = self.ends.get(group..group + 2) else {
            return &[];
        };
        let range = usize::from(*from)..usize::from(*to);
        self.entries.get(range).unwrap_or_default()
    }
}

/// The first bytes of a text as a number, the first one lowest.
fn head_of(bytes: &[u8]) -> u64 {
    let head = bytes.iter().take(HEAD_BYTES).rev();
    head.fold(0, |head, byte| head << 8 | u64::from(*byte))
}

/// The group of the words that begin with four bytes.
fn group_of(four: [u8; 4]) -> usize {
    // Multiplicative hashing (Knuth, volume 3, section 6.4).
    (u32::from_le_bytes(four).wrapping_mul(0x9e37_79b1) >> (u32::BITS - GROUP_BITS)) as usize
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
            finder.find(text.as_bytes(), 0..text.len(), &mut |word, start, end| {
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
        finder.find(b"all allow all", 1..5, &mut |word, start, _| {
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
            finder.find(text.as_bytes(), 0..text.len(), &mut |word, start, end| {
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
