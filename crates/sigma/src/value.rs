//! One value of a Sigma rule under its modifiers (Sigma modifiers appendix 2.1), as a meaning.

use base64::{Engine, engine::general_purpose::STANDARD};
use clampd_detect::fold;

use crate::{
    meaning::{At, Meaning, ORDER, Sign},
    pattern,
    source::Field,
};

/// A field's name with its modifiers: `CommandLine|contains|all`.
#[derive(Clone, Debug)]
pub(crate) struct Key<'k> {
    field: Field,
    name: &'k str,
    modifiers: Vec<&'k str>,
}

/// Modifiers that say where the value stands, or how several of them are joined.
const PLACES: &[&str] = &["contains", "startswith", "endswith", "all"];
/// Modifiers that say how the value is written.
const FORMS: &[&str] = &[
    "re",
    "i",
    "m",
    "s",
    "cased",
    "windash",
    "base64",
    "base64offset",
    "wide",
    "utf16le",
    "utf16be",
    "utf16",
];
/// Signs that Windows programs take for each other; the longer dashes are folded to the first.
const DASHES: &[char] = &['-', '/'];
/// Dashes in one value that are varied.
const DASHES_MAX: usize = 4;

impl<'k> Key<'k> {
    /// Reads a key; the empty one is that of a list of texts.
    pub(crate) fn read(key: &'k str) -> Self {
        let mut parts = key.split('|');
        let name = parts.next().unwrap_or_default();
        Self {
            field: Field::of(name),
            name,
            modifiers: parts.collect(),
        }
    }

    pub(crate) fn has(&self, modifier: &str) -> bool {
        self.modifiers.contains(&modifier)
    }

    /// What this field with this value means; `None` is an empty field.
    pub(crate) fn meaning(&self, value: Option<&str>) -> Meaning {
        let known = |modifier: &&&str| !PLACES.contains(modifier) && !FORMS.contains(modifier);
        if let Some(unknown) = self.modifiers.iter().find(known) {
            return Meaning::Lost(format!("the modifier `{unknown}` of `{}`", self.name));
        }
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Meaning::Lost(format!("that `{}` is empty", self.name));
        };
        let said = match self.field {
            Field::Elsewhere => {
                Meaning::Lost(format!("the field `{}`, which no call carries", self.name))
            }
            Field::Program => self.program(value),
            Field::Whole | Field::Part => self.text(value),
        };
        if self.has("cased") {
            let case = Meaning::Lost("upper and lower case: texts are folded".to_owned());
            return Meaning::Every(vec![said, case]);
        }
        said
    }

    fn text(&self, value: &str) -> Meaning {
        let utf16 = ["wide", "utf16le", "utf16be", "utf16"]
            .iter()
            .find(|m| self.has(m));
        if self.has("re") {
            let flags = ["m", "s"]
                .into_iter()
                .filter(|flag| self.has(flag))
                .collect::<String>();
            return pattern::meaning(value, &flags);
        }
        if self.has("base64") || self.has("base64offset") {
            return self.base64(value, utf16.copied());
        }
        if let Some(utf16) = utf16 {
            return Meaning::Lost(format!("`{utf16}` without base64: texts are no bytes here"));
        }
        if self.has("windash") {
            return match dashed(value) {
                Some(values) => Meaning::Any(values.iter().map(|value| self.wild(value)).collect()),
                None => Meaning::Lost(format!("more than {DASHES_MAX} dashes under `windash`")),
            };
        }
        self.wild(value)
    }

    /// A value with `*` and `?` in it, where the modifiers say that it stands.
    fn wild(&self, value: &str) -> Meaning {
        let mut start = !(self.name.is_empty() || self.has("contains") || self.has("endswith"));
        let mut end = !(self.name.is_empty() || self.has("contains") || self.has("startswith"));
        let parts = parts(value);
        let mut pieces: Vec<&[Unit]> = parts.split(|unit| *unit == Unit::Many).collect();
        if pieces.len() > 1 {
            start &= pieces.first().is_some_and(|piece| !piece.is_empty());
            end &= pieces.last().is_some_and(|piece| !piece.is_empty());
        }
        pieces.retain(|piece| !piece.is_empty());
        let bound = (start || end) && self.field == Field::Part;
        if bound {
            (start, end) = (false, false);
        }
        let last = pieces.len().saturating_sub(1);
        let signs = pieces.iter().enumerate();
        let signs = signs.map(|(nth, piece)| sign(piece, start && nth == 0, end && nth == last));
        let mut said: Vec<Meaning> = signs.collect();
        if pieces.is_empty() {
            said.push(Meaning::Lost(format!(
                "a value of `*` alone in `{}`",
                self.name
            )));
        } else if pieces.len() > 1 {
            said.push(Meaning::Lost(ORDER.to_owned()));
        }
        if bound {
            said.push(Meaning::Lost(format!(
                "where in the text `{}` begins or ends",
                self.name
            )));
        }
        match said.as_slice() {
            [_] => said.remove(0),
            _ => Meaning::Every(said),
        }
    }

    /// A program by the last part of its path, as a word of a command.
    fn program(&self, value: &str) -> Meaning {
        if self.has("contains") || self.has("startswith") || self.has("re") {
            return Meaning::Lost(format!("a part of the path in `{}`", self.name));
        }
        let parts = parts(value);
        let is_slash = |unit: &Unit| matches!(unit, Unit::Char('\\' | '/'));
        let name = parts.rsplit(is_slash).next().unwrap_or_default();
        let name: Option<String> = name.iter().map(|unit| unit.char()).collect();
        let directories = parts.iter().filter(|unit| is_slash(unit)).count();
        let folded = name.map(|name| fold(&name)).unwrap_or_default();
        let stem = folded.strip_suffix(".exe").unwrap_or(&folded);
        let plain = !stem.is_empty()
            && stem
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'));
        if !plain {
            return Meaning::Lost(format!("the program that `{value}` names"));
        }
        let escaped = regex_lite::escape(stem);
        let program = Meaning::Seen(Sign {
            words: vec![stem.to_owned()],
            pattern: Some(format!(
                r#"(?:^|[\s;|&"'(`\\/=]){escaped}(?:\.exe)?(?:$|[\s"';|&)`])"#
            )),
            before: 1,
            example: stem.to_owned(),
            at: At::Anywhere,
            note: Some(format!(
                "`{}` is read as the name of a program in the command",
                self.name
            )),
        });
        if directories > 1 {
            let directory = format!("the directory of `{value}`");
            return Meaning::Every(vec![program, Meaning::Lost(directory)]);
        }
        program
    }

    fn base64(&self, value: &str, utf16: Option<&str>) -> Meaning {
        let bytes = match utf16 {
            None => value.as_bytes().to_vec(),
            Some("utf16be") => value.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Some("utf16") => {
                let marked = std::iter::once(0xfeff).chain(value.encode_utf16());
                marked.flat_map(u16::to_le_bytes).collect()
            }
            Some(_) => value.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        };
        let shifts = if self.has("base64offset") { 0..3 } else { 0..1 };
        let runs: Vec<String> = shifts
            .filter_map(|shift| shifted(&bytes, shift, self.has("base64offset")))
            .collect();
        if runs.is_empty() || value.contains(['*', '?']) {
            return Meaning::Lost(format!("`{value}` in base64"));
        }
        let signs = runs.into_iter().map(|run| {
            let units: Vec<Unit> = run.chars().map(Unit::Char).collect();
            let note = "base64 is compared without regard to case".to_owned();
            match sign(&units, false, false) {
                Meaning::Seen(sign) => Meaning::Seen(Sign {
                    note: Some(note),
                    ..sign
                }),
                other => other,
            }
        });
        Meaning::Any(signs.collect())
    }
}

/// The part of the base64 of `bytes`, behind `shift` others, that does not depend on what stands
/// around them.
fn shifted(bytes: &[u8], shift: usize, cut: bool) -> Option<String> {
    let mut padded = vec![b' '; shift];
    padded.extend_from_slice(bytes);
    let encoded = STANDARD.encode(&padded);
    if !cut {
        return Some(encoded);
    }
    let from = (shift * 8).div_ceil(6);
    let to = padded.len() * 8 / 6;
    encoded
        .get(from..to)
        .filter(|run| run.len() >= 3)
        .map(str::to_owned)
}

/// Every way to write a value with other dashes; `None` when they would be too many.
fn dashed(value: &str) -> Option<Vec<String>> {
    let mut after_word = false;
    let mut written = vec![String::new()];
    let mut dashes = 0;
    for c in value.chars() {
        // A dash inside a word is none of a flag.
        let varied = DASHES.contains(&c) && !after_word;
        after_word = c.is_alphanumeric();
        if varied {
            dashes += 1;
            if dashes > DASHES_MAX {
                return None;
            }
            let longer = written
                .iter()
                .flat_map(|text| DASHES.iter().map(move |dash| format!("{text}{dash}")));
            written = longer.collect();
        } else {
            written.iter_mut().for_each(|text| text.push(c));
        }
    }
    Some(written)
}

/// One unit of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Char(char),
    /// `?`
    One,
    /// `*`
    Many,
}

impl Unit {
    fn char(self) -> Option<char> {
        match self {
            Self::Char(c) => Some(c),
            _ => None,
        }
    }
}

/// The units of a value; a backslash makes `*`, `?` and itself plain.
fn parts(value: &str) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut chars = value.chars().peekable();
    while let Some(c) = chars.next() {
        units.push(match c {
            '\\' => match chars.next_if(|next| matches!(next, '*' | '?' | '\\')) {
                Some(next) => Unit::Char(next),
                None => Unit::Char('\\'),
            },
            '*' => Unit::Many,
            '?' => Unit::One,
            _ => Unit::Char(c),
        });
    }
    units
}

/// Characters with perhaps single unknown ones between them.
fn sign(piece: &[Unit], start: bool, end: bool) -> Meaning {
    let runs = piece.split(|unit| *unit == Unit::One);
    let text = |run: &[Unit]| {
        fold(
            &run.iter()
                .filter_map(|unit| unit.char())
                .collect::<String>(),
        )
    };
    let runs: Vec<String> = runs.map(text).collect();
    let longest = runs
        .iter()
        .enumerate()
        .rev()
        .max_by_key(|(_, run)| run.len());
    let Some((nth, word)) = longest.filter(|(_, word)| !word.trim().is_empty()) else {
        return Meaning::Lost("a value without a letter or sign".to_owned());
    };
    let read: Vec<String> = runs.iter().map(|run| regex_lite::escape(run)).collect();
    let around = start || end || runs.len() > 1;
    let (from, to) = (if start { "^" } else { "" }, if end { "$" } else { "" });
    // Four bytes for each unknown character, one more so that `^` is looked at.
    let before = runs
        .iter()
        .take(nth)
        .map(|run| run.len() + 4)
        .sum::<usize>()
        + usize::from(start);
    let example: Vec<&str> = runs.iter().map(String::as_str).collect();
    Meaning::Seen(Sign {
        words: vec![word.clone()],
        pattern: around.then(|| format!("{from}{}{to}", read.join("(?s:.)"))),
        before: u16::try_from(before).unwrap_or(u16::MAX),
        example: example.join("x"),
        at: match (start, end) {
            (true, true) => At::All,
            (true, false) => At::Start,
            (false, true) => At::End,
            (false, false) => At::Anywhere,
        },
        note: None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Key, dashed, shifted};
    use crate::meaning::{At, Meaning, Sign};

    /// The signs of a meaning and what it loses.
    fn flat(meaning: &Meaning) -> (Vec<Sign>, Vec<String>) {
        let mut found = (Vec::new(), Vec::new());
        let mut open = vec![meaning];
        while let Some(next) = open.pop() {
            match next {
                Meaning::Every(parts) | Meaning::Any(parts) => open.extend(parts.iter().rev()),
                Meaning::Not(inner) => open.push(inner),
                Meaning::Seen(sign) => found.0.push(sign.clone()),
                Meaning::Lost(what) => found.1.push(what.clone()),
            }
        }
        found
    }

    fn check(key: &str, value: &str, words: &[&str], pattern: Option<&str>, lost: &[&str]) {
        let (signs, told) = flat(&Key::read(key).meaning(Some(value)));
        let got: Vec<&str> = signs
            .iter()
            .flat_map(|s| s.words.iter().map(String::as_str))
            .collect();
        assert_eq!(got, words, "{key}: {value}");
        let first = signs.first().and_then(|sign| sign.pattern.as_deref());
        assert_eq!(first, pattern, "{key}: {value}");
        assert_eq!(told.len(), lost.len(), "{key}: {value}: {told:?}");
        for (told, lost) in told.iter().zip(lost) {
            assert!(told.contains(lost), "{key}: {told}");
        }
    }

    #[test]
    fn a_value_stands_where_its_modifiers_say() {
        check("CommandLine|contains", " -Enc ", &[" -enc "], None, &[]);
        check("CommandLine", "whoami", &["whoami"], Some("^whoami$"), &[]);
        check(
            "CommandLine|startswith",
            "net ",
            &["net "],
            Some("^net "),
            &[],
        );
        check(
            "CommandLine|endswith",
            "/all",
            &["/all"],
            Some("/all$"),
            &[],
        );
        check("CommandLine", "*a.b*", &["a.b"], None, &[]);
        check("CommandLine", r"a\*b", &["a*b"], Some(r"^a\*b$"), &[]);
        check(
            "CommandLine|contains",
            "prog?.exe",
            &["prog"],
            Some(r"prog(?s:.)\.exe"),
            &[],
        );
        check("", "EvilService", &["evilservice"], None, &[]);
        check(
            "cs-uri-query|endswith",
            "a=b",
            &["a=b"],
            None,
            &["begins or ends"],
        );
        let (signs, _) = flat(&Key::read("CommandLine").meaning(Some("ipconfig*")));
        assert_eq!(signs[0].at, At::Start);
    }

    #[test]
    fn what_cannot_be_said_is_told() {
        check(
            "CommandLine|contains",
            "get*http",
            &["get", "http"],
            None,
            &["order"],
        );
        check(
            "CommandLine|contains|cased",
            "Foo",
            &["foo"],
            None,
            &["case"],
        );
        check("User|contains", "admin", &[], None, &["`User`"]);
        check("CommandLine|cidr", "10.0.0.0/8", &[], None, &["`cidr`"]);
        check("CommandLine|contains", "*", &[], None, &["alone"]);
        check("CommandLine|contains", "", &[], None, &["empty"]);
        check("CommandLine|contains|wide", "cmd", &[], None, &["`wide`"]);
        check(
            "CommandLine|contains|windash",
            "-a -b -c -d -e",
            &[],
            None,
            &["dashes"],
        );
    }

    #[test]
    fn a_program_is_a_word_of_the_command() {
        let (signs, lost) = flat(&Key::read("Image|endswith").meaning(Some(r"\Curl.exe")));
        assert_eq!(
            (signs[0].words.as_slice(), lost.len()),
            (&["curl".to_owned()][..], 0)
        );
        let regex = regex_lite::Regex::new(signs[0].pattern.as_deref().unwrap()).unwrap();
        for command in [
            "curl -o x",
            "a; curl.exe",
            r"c:\windows\curl.exe x",
            "(curl)",
            "/usr/bin/curl x",
        ] {
            assert!(regex.is_match(command), "{command}");
        }
        for command in ["libcurl x", "curly", "curl-config"] {
            assert!(!regex.is_match(command), "{command}");
        }
        check(
            "Image",
            r"C:\Windows\System32\cmd.exe",
            &["cmd"],
            signs[0]
                .pattern
                .as_ref()
                .map(|p| p.replace("curl", "cmd"))
                .as_deref(),
            &["directory"],
        );
        check(
            "Image|contains",
            r"\Temp\",
            &[],
            None,
            &["part of the path"],
        );
    }

    #[test]
    fn base64_is_told_from_its_neighbours() {
        // The same eight letters behind nothing, one and two others.
        for (shift, around) in [(0, "cmd.exe."), (1, ".cmd.exe."), (2, "..cmd.exe.")] {
            use base64::Engine;
            let whole = base64::engine::general_purpose::STANDARD.encode(around);
            let run = shifted(b"cmd.exe", shift, true).unwrap();
            assert!(whole.contains(&run), "{run} in {whole}");
        }
        let (signs, lost) =
            flat(&Key::read("CommandLine|wide|base64offset|contains").meaning(Some("IEX")));
        assert_eq!((signs.len(), lost.len()), (3, 0));
        assert!(signs[0].note.is_some());
    }

    #[test]
    fn a_dash_is_any_dash() {
        assert_eq!(dashed(" -f a-b").unwrap(), [" -f a-b", " /f a-b"]);
        assert_eq!(dashed("-a /b").unwrap().len(), 4);
        assert_eq!(dashed("-a -b -c -d -e"), None);
    }
}
