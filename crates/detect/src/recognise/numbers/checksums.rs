//! Check digits, each by the standard that defines it.

/// A payment card: issuer range and length (ISO/IEC 7812-1, the schemes' published ranges), Luhn.
pub(super) fn is_card(digits: &[u8]) -> bool {
    let number = |n: usize| {
        digits
            .iter()
            .take(n)
            .fold(0_u32, |v, d| v * 10 + u32::from(*d))
    };
    let known = match digits.len() {
        13 => number(1) == 4 && digits.iter().any(|d| *d != 0),
        14 => matches!(number(2), 36 | 38 | 39) || matches!(number(3), 300..=305),
        15 => matches!(number(2), 34 | 37) || matches!(number(4), 2131 | 1800),
        16 => {
            number(1) == 4
                || matches!(number(2), 51..=55 | 65)
                || matches!(number(4), 2221..=2720 | 3528..=3589 | 6011)
                || matches!(number(3), 644..=649)
                || matches!(number(2), 62 | 60 | 50 | 56..=58 | 63 | 67)
        }
        19 => matches!(number(2), 62 | 50 | 56..=58 | 60 | 63 | 67) || number(1) == 4,
        _ => false,
    };
    known && luhn(digits)
}

/// ISO/IEC 7812-1 annex B.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let value = u32::from(*digit);
            match at % 2 {
                0 => value,
                _ if value > 4 => value * 2 - 9,
                _ => value * 2,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// ISO 13616: the country's length, and mod 97 of the rearranged number is 1.
pub(super) fn is_iban(compact: &[u8]) -> bool {
    let [a, b, rest @ ..] = compact else {
        return false;
    };
    let country = [*a, *b];
    let length = IBAN_LENGTHS
        .iter()
        .find(|(code, _)| code.as_bytes() == country);
    if length.is_none_or(|(_, length)| usize::from(*length) != compact.len()) {
        return false;
    }
    let rearranged = rest.iter().skip(2).chain(compact.iter().take(4));
    let mut remainder = 0_u32;
    for byte in rearranged {
        remainder = match byte {
            b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
            b'a'..=b'z' => (remainder * 100 + u32::from(byte - b'a') + 10) % 97,
            _ => return false,
        };
    }
    remainder == 1
}

/// SWIFT's IBAN registry, release 99.
const IBAN_LENGTHS: &[(&str, u8)] = &[
    ("ad", 24),
    ("ae", 23),
    ("al", 28),
    ("at", 20),
    ("az", 28),
    ("ba", 20),
    ("be", 16),
    ("bg", 22),
    ("bh", 22),
    ("br", 29),
    ("by", 28),
    ("ch", 21),
    ("cr", 22),
    ("cy", 28),
    ("cz", 24),
    ("de", 22),
    ("dk", 18),
    ("do", 28),
    ("ee", 20),
    ("eg", 29),
    ("es", 24),
    ("fi", 18),
    ("fo", 18),
    ("fr", 27),
    ("gb", 22),
    ("ge", 22),
    ("gi", 23),
    ("gl", 18),
    ("gr", 27),
    ("gt", 28),
    ("hr", 21),
    ("hu", 28),
    ("ie", 22),
    ("il", 23),
    ("iq", 23),
    ("is", 26),
    ("it", 27),
    ("jo", 30),
    ("kw", 30),
    ("kz", 20),
    ("lb", 28),
    ("lc", 32),
    ("li", 21),
    ("lt", 20),
    ("lu", 20),
    ("lv", 21),
    ("ly", 25),
    ("mc", 27),
    ("md", 24),
    ("me", 22),
    ("mk", 19),
    ("mr", 27),
    ("mt", 31),
    ("mu", 30),
    ("nl", 18),
    ("no", 15),
    ("pk", 24),
    ("pl", 28),
    ("ps", 29),
    ("pt", 25),
    ("qa", 29),
    ("ro", 24),
    ("rs", 22),
    ("sa", 24),
    ("sc", 31),
    ("se", 24),
    ("si", 19),
    ("sk", 24),
    ("sm", 27),
    ("st", 25),
    ("sv", 28),
    ("tl", 23),
    ("tn", 24),
    ("tr", 26),
    ("ua", 29),
    ("va", 22),
    ("vg", 24),
    ("xk", 20),
];
