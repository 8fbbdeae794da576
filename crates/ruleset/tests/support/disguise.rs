//! Texts in the encodings that detection undoes, for tests alone.

use super::encode::base64;

/// A way to write a text so that a plain reader does not see what it says.
pub(crate) struct Disguise {
    /// What it is called in a failure.
    pub(crate) name: &'static str,
    /// The text in it; `None` when it cannot be written so.
    pub(crate) of: fn(&str) -> Option<String>,
    /// Whom it fools.
    pub(crate) fools: Fools,
}

/// What undoes a disguise, and so where it matters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fools {
    /// Whatever reads the text.
    Everyone,
    /// A database.
    Databases,
    /// A shell.
    Shells,
    /// A person or a model.
    Readers,
}

macro_rules! disguises {
    ($($fools:ident $name:literal $of:expr,)+) => {
        /// Every disguise.
        pub(crate) const DISGUISES: &[Disguise] = &[
            $(Disguise { name: $name, of: $of, fools: Fools::$fools },)+
        ];
    };
}

disguises! {
    Everyone "upper case" |text| Some(text.to_ascii_uppercase()),
    Everyone "percent" |text| Some(percent(text)),
    Everyone "percent of signs alone" percent_of_signs,
    Everyone "percent twice" |text| Some(percent(text).replace('%', "%25")),
    Everyone "entities" |text| Some(each(text, |c| format!("&#{};", c as u32))),
    Everyone "hexadecimal entities" |text| Some(each(text, |c| format!("&#x{:x};", c as u32))),
    Everyone "\\x" |text| Some(bytes(text, |b| format!("\\x{b:02x}"))),
    Everyone "\\u" |text| Some(text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()),
    Everyone "\\u{}" |text| Some(each(text, |c| format!("\\u{{{:x}}}", c as u32))),
    Everyone "octal" |text| text.is_ascii().then(|| bytes(text, |b| format!("\\{b:03o}"))),
    Everyone "base64" |text| run(text, base64(text.as_bytes())),
    Everyone "base64 unpadded" |text| run(text, base64(text.as_bytes()).trim_end_matches('=').to_owned()),
    Everyone "base64 for URLs" |text| run(text, base64(text.as_bytes()).replace('+', "-").replace('/', "_")),
    Everyone "hex" |text| run(text, bytes(text, |b| format!("{b:02x}"))),
    Everyone "full width" full_width,
    Everyone "zero-width" |text| Some(each(text, |c| format!("{c}\u{200b}"))),
    Everyone "bidi" |text| Some(each(text, |c| format!("{c}\u{2069}"))),
    Everyone "homoglyphs" homoglyphs,
    Everyone "tag characters" tags,
    Databases "SQL comments" |text| text.contains(' ').then(|| text.replace(' ', "/**/")),
    Shells "shell quoting" shell_quoting,
    Shells "$IFS" |text| (text.matches(' ').count() >= 2).then(|| text.replace(' ', "${IFS}")),
    Readers "rot13" |text| text.is_ascii().then(|| each(text, |c| rot13(c).to_string())),
    Readers "leetspeak" leet,
    Readers "reversed" |text| text.is_ascii().then(|| text.chars().rev().collect()),
    Readers "spaced letters" spaced,
}

fn each(text: &str, written: impl Fn(char) -> String) -> String {
    text.chars().map(written).collect()
}

fn bytes(text: &str, written: impl Fn(u8) -> String) -> String {
    text.bytes().map(written).collect()
}

fn percent(text: &str) -> String {
    bytes(text, |b| format!("%{b:02X}"))
}

/// As browsers and clients write it.
fn percent_of_signs(text: &str) -> Option<String> {
    let written = bytes(text, |b| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(b).into(),
        _ => format!("%{b:02X}"),
    });
    (written != text).then_some(written)
}

/// A run, for a text that is long enough to be worth one.
fn run(text: &str, written: String) -> Option<String> {
    (text.len() >= 9).then_some(written)
}

fn full_width(text: &str) -> Option<String> {
    let wide = |c| match c {
        '!'..='~' => char::from_u32(c as u32 + 0xfee0).map_or_else(String::new, String::from),
        _ => c.to_string(),
    };
    Some(each(text, wide))
}

/// Each letter that looks like a Cyrillic one, in words that keep some of their own.
fn homoglyphs(text: &str) -> Option<String> {
    let other = |c| match c {
        'a' => 'а',
        'e' => 'е',
        'o' => 'о',
        'i' => 'і',
        'c' => 'с',
        _ => c,
    };
    let written: String = text.chars().map(other).collect();
    (text.is_ascii() && written != text).then_some(written)
}

fn tags(text: &str) -> Option<String> {
    let tag = |c: char| {
        matches!(c, ' '..='~')
            .then(|| char::from_u32(0xe_0000 + c as u32))
            .flatten()
    };
    let hidden: Option<String> = text.chars().map(tag).collect();
    let hidden = hidden.filter(|_| text.len() >= 8)?;
    Some(format!("hello {hidden}"))
}

/// Quotes inside every word of letters.
fn shell_quoting(text: &str) -> Option<String> {
    let mut quoted = 0;
    let words = text.split(' ').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        if word.len() >= 2 && word.bytes().all(|b| b.is_ascii_alphanumeric()) {
            quoted += 1;
            format!("{first}''{rest}")
        } else {
            word.to_owned()
        }
    });
    let words: Vec<String> = words.collect();
    (quoted > 0).then(|| words.join(" "))
}

fn rot13(c: char) -> char {
    let turned = |base: u8| char::from((c as u8 - base + 13) % 26 + base);
    match c {
        'a'..='z' => turned(b'a'),
        'A'..='Z' => turned(b'A'),
        _ => c,
    }
}

fn leet(text: &str) -> Option<String> {
    let digit = |c: char| match c.to_ascii_lowercase() {
        'a' => '4',
        'e' => '3',
        'i' => '1',
        'o' => '0',
        's' => '5',
        't' => '7',
        _ => c,
    };
    let plain = text.is_ascii() && !text.bytes().any(|b| b.is_ascii_digit());
    plain.then(|| text.chars().map(digit).collect())
}

fn spaced(text: &str) -> Option<String> {
    let letters = |word: &str| word.chars().map(String::from).collect::<Vec<_>>().join(" ");
    let words: Vec<String> = text.split(' ').map(letters).collect();
    Some(words.join("   "))
}
