//! Markup that runs script: handlers, script URLs, elements that fetch or run (WHATWG HTML,
//! OWASP XSS filter evasion). It reads what a lenient browser reads, also where a tag is only
//! begun.

use crate::{effort::Effort, limits::TAG_COST_BYTES};

use super::{Signal, Signals};

/// Notes what would run in folded text.
pub(super) fn recognise(text: &str, signals: &mut Signals, effort: &Effort) {
    let bytes = text.as_bytes();
    let starts = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'<');
    for (start, _) in starts {
        let rest = bytes.get(start + 1..).unwrap_or_default();
        if !effort.spend(tag(rest, start, signals).saturating_add(TAG_COST_BYTES)) {
            break;
        }
    }
}

/// Reads what follows a `<`; gives how many bytes that is.
fn tag(rest: &[u8], start: usize, signals: &mut Signals) -> usize {
    let skip = rest
        .iter()
        .take(4)
        .take_while(|b| !b.is_ascii_alphabetic())
        .count();
    let skipped = rest.get(..skip).unwrap_or_default();
    if skipped.contains(&b'/') {
        return 0;
    }
    let after = rest.get(skip..).unwrap_or_default();
    let name_length = after
        .iter()
        .take(32)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-'))
        .count();
    if name_length == 0 {
        return 0;
    }
    let name = after.get(..name_length).unwrap_or_default();
    let end = tag_end(after);
    let attributes = after.get(name_length..end).unwrap_or_default();
    if skipped.iter().all(|b| *b == b';') && runs(name, attributes) {
        signals.put(Signal::ActiveElement, start);
    }
    if has_handler(attributes) {
        signals.put(Signal::EventHandler, start);
    }
    end
}

/// Where the tag ends: at a `>` outside quotes, or where the text does.
fn tag_end(bytes: &[u8]) -> usize {
    let mut quote = None;
    for (at, byte) in bytes.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at,
            // The next tag is read by itself.
            (None, b'<') if bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic) => return at,
            (None, b'"' | b'\'' | b'`') => quote = Some(*byte),
            (Some(open), _) if open == *byte => quote = None,
            _ => {}
        }
    }
    bytes.len()
}

/// Whether an element of this name, with these attributes, runs or fetches by itself.
fn runs(name: &[u8], attributes: &[u8]) -> bool {
    let has = |wanted: &str| {
        attributes
            .windows(wanted.len())
            .any(|window| window == wanted.as_bytes())
    };
    match name {
        b"script" | b"applet" | b"bgsound" | b"xss" | b"isindex" => true,
        b"iframe" | b"frame" | b"embed" => has("src") || has("code"),
        b"object" => has("data") || has("classid") || has("type"),
        b"base" => has("href"),
        b"meta" => {
            has("http-equiv") && (has("refresh") || has("set-cookie") || has("javascript"))
                || has("utf-7")
        }
        b"link" => has("javascript") || has("import") || (has("stylesheet") && has("http")),
        b"layer" | b"ilayer" => has("src"),
        _ => false,
    }
}

/// Whether an `on…=` attribute stands in a tag's attributes.
fn has_handler(attributes: &[u8]) -> bool {
    let mut at = 0;
    while let Some(found) = attributes.get(at..).and_then(find_on) {
        let start = at + found;
        let before = start
            .checked_sub(1)
            .and_then(|before| attributes.get(before));
        let apart = before.is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'-' && *b != b'.');
        let rest = attributes.get(start + 2..).unwrap_or_default();
        let name = rest
            .iter()
            .take(32)
            .take_while(|b| b.is_ascii_lowercase())
            .count();
        let gap = rest
            .iter()
            .skip(name)
            .take(8)
            .take_while(|b| !b.is_ascii_graphic())
            .count();
        if apart && name >= 3 && rest.get(name + gap) == Some(&b'=') {
            return true;
        }
        at = start + 2;
    }
    false
}

fn find_on(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|pair| pair == b"on")
}

#[cfg(test)]
mod tests {
    use super::super::{Signal, Signals};
    use super::{Effort, recognise};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn markup_that_runs_is_told_from_markup() {
        for (text, signal) in [
            ("<img src=x onerror=alert(1)>", Some(Signal::EventHandler)),
            ("<svg/onload=alert(1)", Some(Signal::EventHandler)),
            (
                "<p title=\"a>b\" onclick = 'x'>",
                Some(Signal::EventHandler),
            ),
            ("<script src=//x.io>", Some(Signal::ActiveElement)),
            ("<iframe src=x>", Some(Signal::ActiveElement)),
            ("<p class=one>on=off</p>", None),
            ("<a href='/about' data-once=1>", None),
            ("a < b and c on = d", None),
            ("<", None),
            ("<>", None),
        ] {
            let mut signals = Signals::default();
            recognise(text, &mut signals, &Effort::for_leaf(text.len()));
            assert_eq!(
                signals.iter().next().map(|(signal, _)| signal),
                signal,
                "{text}"
            );
        }
    }
}
