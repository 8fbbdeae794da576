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

fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| u32::from(*digit) * weight)
        .sum()
}

fn at(digits: &[u8], index: usize) -> u32 {
    digits.get(index).map_or(0, |digit| u32::from(*digit))
}

fn all_same(digits: &[u8]) -> bool {
    digits.windows(2).all(|pair| pair.first() == pair.last())
}

/// Whether a month and a day can be.
pub(super) fn is_date(month: u32, day: u32) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

/// Verhoeff, "Error Detecting Decimal Codes" (1969); used by UIDAI for Aadhaar.
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    const PERMUTE: [[u8; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    let sum = digits
        .iter()
        .rev()
        .enumerate()
        .fold(0_u8, |sum, (place, digit)| {
            let row = PERMUTE.get(place % 8);
            let value = row
                .and_then(|row| row.get(usize::from(*digit)))
                .copied()
                .unwrap_or(0);
            dihedral(sum, value)
        });
    sum == 0 && !all_same(digits)
}

/// The product in the dihedral group of order ten.
fn dihedral(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - 5 + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

/// Receita Federal: two digits mod 11.
pub(super) fn brazil_cpf(digits: &[u8]) -> bool {
    let check = |n: u32| {
        let weights: Vec<u32> = (2..=n + 1).rev().collect();
        let rest = weighted(digits, &weights) * 10 % 11 % 10;
        rest == at(digits, n as usize)
    };
    digits.len() == 11 && !all_same(digits) && check(9) && check(10)
}

/// Receita Federal: two digits mod 11, weights 2 to 9.
pub(super) fn brazil_cnpj(digits: &[u8]) -> bool {
    const WEIGHTS: &[u32] = &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2];
    let check = |n: usize| {
        let weights = WEIGHTS.get(13 - n..).unwrap_or_default();
        weighted(digits.get(..n).unwrap_or_default(), weights) * 10 % 11 % 10 == at(digits, n)
    };
    digits.len() == 14 && !all_same(digits) && check(12) && check(13)
}

/// INSEE: sex, month, key = 97 - number mod 97.
pub(super) fn french_insee(number: &super::Number) -> bool {
    let body = number
        .digits
        .iter()
        .take(13)
        .fold(0_u64, |v, d| v * 10 + u64::from(*d));
    matches!(number.value(0, 1), 1 | 2)
        && matches!(number.value(3, 5), 1..=12 | 20..=42 | 50..)
        && u64::from(number.value(13, 15)) == 97 - body % 97
}

/// GB 11643-1999: a date, and mod 11-2 (ISO 7064); the check digit may be X, given as 10.
pub(super) fn china_id(digits: &[u8], check: Option<u32>) -> bool {
    const WEIGHTS: &[u32] = &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let two = |from| at(digits, from) * 10 + at(digits, from + 1);
    let sum = weighted(digits, WEIGHTS);
    digits.iter().all(|digit| *digit < 10)
        && matches!(two(6), 19 | 20)
        && is_date(two(10), two(12))
        && (sum + check.unwrap_or_else(|| at(digits, 17))) % 11 == 1
}

/// GS1 general specifications, section 7.9.
pub(super) fn ean13(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .enumerate()
        .map(|(place, digit)| u32::from(*digit) * if place % 2 == 0 { 1 } else { 3 })
        .sum();
    digits.len() == 13 && sum.is_multiple_of(10)
}

/// Resident registration number: weights 2 to 9 then 2 to 5, mod 11.
pub(super) fn korea_rrn(digits: &[u8]) -> bool {
    const WEIGHTS: &[u32] = &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5];
    (11 - weighted(digits, WEIGHTS) % 11) % 10 == at(digits, 12)
}

/// Department of Provincial Administration: weights 13 to 2, mod 11.
pub(super) fn thai_id(digits: &[u8]) -> bool {
    let weights: Vec<u32> = (2..=13).rev().collect();
    !all_same(digits) && (11 - weighted(digits, &weights) % 11) % 10 == at(digits, 12)
}

/// Skatteverket SKV 704: a date and Luhn over the last ten digits.
pub(super) fn swedish_id(number: &super::Number) -> bool {
    let skip = number.digits.len().saturating_sub(10);
    let ten = number.digits.get(skip..).unwrap_or_default();
    is_date(
        number.value(skip + 2, skip + 4),
        number.value(skip + 4, skip + 6) % 60,
    ) && luhn(ten)
}

/// Rodné číslo (Act 133/2000): a date, women's months plus 50, divisible by 11.
pub(super) fn czech_id(number: &super::Number) -> bool {
    let value = number
        .digits
        .iter()
        .fold(0_u64, |v, d| v * 10 + u64::from(*d));
    is_date(number.value(2, 4) % 50, number.value(4, 6)) && value.is_multiple_of(11)
}

/// Ministry of Internal Affairs ordinance 85 of 2014, article 5.
pub(super) fn japan_my_number(digits: &[u8]) -> bool {
    const WEIGHTS: &[u32] = &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2];
    let rest = weighted(digits, WEIGHTS) % 11;
    (if rest <= 1 { 0 } else { 11 - rest }) == at(digits, 11)
}

/// ISO 7064 mod 11,10; one digit stands twice or thrice among the first ten (BZSt).
pub(super) fn german_tax_id(digits: &[u8]) -> bool {
    let product = digits.iter().take(10).fold(10_u32, |product, digit| {
        let sum = match (u32::from(*digit) + product) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    let check = (11 - product) % 10;
    digits.len() == 11 && at(digits, 0) != 0 && !all_same(digits) && check == at(digits, 10)
}

/// PESEL: a date, weights 1 3 7 9.
pub(super) fn polish_pesel(number: &super::Number) -> bool {
    const WEIGHTS: &[u32] = &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1];
    is_date(number.value(2, 4) % 20, number.value(4, 6))
        && weighted(&number.digits, WEIGHTS).is_multiple_of(10)
}

/// T.C. kimlik no: two check digits.
pub(super) fn turkish_id(digits: &[u8]) -> bool {
    let odd: u32 = digits
        .iter()
        .take(9)
        .step_by(2)
        .map(|d| u32::from(*d))
        .sum();
    let even: u32 = digits
        .iter()
        .take(8)
        .skip(1)
        .step_by(2)
        .map(|d| u32::from(*d))
        .sum();
    let ten: u32 = digits.iter().take(10).map(|d| u32::from(*d)).sum();
    at(digits, 0) != 0 && (odd * 7 + 90 - even) % 10 == at(digits, 9) && ten % 10 == at(digits, 10)
}

/// NHS data dictionary: weights 10 to 2, mod 11.
pub(super) fn uk_nhs(digits: &[u8]) -> bool {
    let weights: Vec<u32> = (2..=10).rev().collect();
    (11 - weighted(digits, &weights) % 11) % 11 == at(digits, 9) && !all_same(digits)
}

/// Australian Taxation Office: weights 1 4 3 7 5 8 6 9 10, mod 11.
pub(super) fn australia_tfn(digits: &[u8]) -> bool {
    weighted(digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11) && !all_same(digits)
}

/// The eleven test: weights 9 to 2 and -1.
pub(super) fn dutch_bsn(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]);
    (sum + 11 - at(digits, 8) % 11).is_multiple_of(11) && !all_same(digits)
}

/// Eight digits and the letter of their remainder by 23 (Real Decreto 1553/2005).
pub(super) fn spanish_dni(word: &[u8]) -> bool {
    let Some((letter, digits)) = word.split_last() else {
        return false;
    };
    digits.iter().all(u8::is_ascii_digit) && spanish_letter(digits, *letter)
}

/// A foreigner's number: X, Y or Z stands for 0, 1 or 2.
pub(super) fn spanish_nie(word: &[u8]) -> bool {
    let [first @ b'x'..=b'z', middle @ .., letter] = word else {
        return false;
    };
    let mut digits = vec![first - b'x' + b'0'];
    digits.extend_from_slice(middle);
    middle.iter().all(u8::is_ascii_digit) && spanish_letter(&digits, *letter)
}

fn spanish_letter(digits: &[u8], letter: u8) -> bool {
    let value = digits
        .iter()
        .fold(0_u32, |v, d| v * 10 + u32::from(d - b'0'));
    b"trwagmyfpdxbnjzsqvhlcke".get((value % 23) as usize) == Some(&letter)
}

/// NRIC and FIN: weights 2 7 6 5 4 3 2, letter by series.
pub(super) fn singapore_nric(word: &[u8]) -> bool {
    let [series, digits @ .., letter] = word else {
        return false;
    };
    if !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let values: Vec<u8> = digits.iter().map(|d| d - b'0').collect();
    let sum = weighted(&values, &[2, 7, 6, 5, 4, 3, 2]);
    let (offset, letters): (u32, &[u8; 11]) = match series {
        b's' => (0, b"jzihgfedcba"),
        b't' => (4, b"jzihgfedcba"),
        b'f' => (0, b"xwutrqpnmlk"),
        b'g' => (4, b"xwutrqpnmlk"),
        b'm' => (3, b"xwutrqpnjlk"),
        _ => return false,
    };
    letters.get(((sum + offset) % 11) as usize) == Some(letter)
}

/// Decreto Ministeriale 23/12/1976: six letters, date and place, a check letter.
pub(super) fn italian_tax_code(word: &[u8]) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let [body @ .., check] = word else {
        return false;
    };
    let shape = body.iter().take(6).all(u8::is_ascii_lowercase)
        && body.iter().skip(6).take(2).all(u8::is_ascii_digit)
        && body.get(8).is_some_and(u8::is_ascii_lowercase)
        && body.get(9).is_some_and(u8::is_ascii_digit)
        && body.get(11).is_some_and(u8::is_ascii_lowercase);
    let sum: u32 = body
        .iter()
        .enumerate()
        .map(|(place, byte)| {
            let value = match byte {
                b'0'..=b'9' => byte - b'0',
                _ => byte.saturating_sub(b'a'),
            };
            if place % 2 == 0 {
                ODD.get(usize::from(value)).copied().unwrap_or(0)
            } else {
                u32::from(value)
            }
        })
        .sum();
    shape && word.len() == 16 && u32::from(check.saturating_sub(b'a')) == sum % 26
}
