//! When and where an agent may act, by its boundaries.

use clampd_model::{Action, Boundaries};

use crate::{consult::Asked, leaves::leaves_of};

/// Schemes whose URLs name a host with or without `//`.
const SCHEMES: [&[u8]; 5] = [b"http", b"https", b"ws", b"wss", b"ftp"];

/// Why a call or a prompt lies outside its agent's boundaries: a word and a sentence.
pub(crate) fn outside(asked: &Asked<'_>) -> Option<(&'static str, &'static str)> {
    if !matches!(asked.action, Action::Call | Action::Prompt) {
        return None;
    }
    let bounds = &asked.admitted.caller.boundaries;
    if !bounds.contain_time(asked.admitted.meta.started / 1_000_000) {
        return Some(("outside-hours", "the agent may not act at this time"));
    }
    if bounds.domains.is_empty() {
        return None;
    }
    leaves_of(asked.params)
        .iter()
        .any(|leaf| names_another(leaf.text, bounds))
        .then_some((
            "outside-domains",
            "the call names a host that the agent may not reach",
        ))
}

/// Whether a URL in a text names a host outside the boundaries.
fn names_another(text: &str, bounds: &Boundaries) -> bool {
    let text = text.trim_ascii().as_bytes();
    let is_slash = |b: Option<&u8>| matches!(b, Some(b'/' | b'\\'));
    let begins_with_host = is_slash(text.first()) && is_slash(text.get(1));
    if begins_with_host && !reaches(text, bounds) {
        return true;
    }
    let colons = text.iter().enumerate().filter(|(_, b)| **b == b':');
    colons
        .map(|(at, _)| text.split_at(at))
        .any(|(before, after)| {
            let after = after.get(1..).unwrap_or_default();
            // Readers of URLs take one slash, none or backslashes after these for two slashes.
            let is_known = SCHEMES.iter().any(|scheme| {
                let rest = before.len().checked_sub(scheme.len());
                let (rest, end) = before.split_at(rest.unwrap_or(before.len()));
                let is_whole = rest.last().is_none_or(|b| !b.is_ascii_alphanumeric());
                is_whole && end.eq_ignore_ascii_case(scheme)
            });
            let is_known = is_known && after.first().is_some_and(|b| !b.is_ascii_whitespace());
            (is_known || after.starts_with(b"//")) && !reaches(after, bounds)
        })
}

/// Whether the host of a URL, told from behind its scheme, is one that may be reached. What is no
/// plain host could be read in two ways and is in no list.
fn reaches(url: &[u8], bounds: &Boundaries) -> bool {
    let url = url.iter().skip_while(|b| is_one_of(b"/\\", **b));
    let host: Vec<u8> = url
        .take_while(|b| !is_one_of(b" \t\r\n/?#\"'<>()|,;`{}", **b))
        .map(u8::to_ascii_lowercase)
        .collect();
    let host = String::from_utf8(host).unwrap_or_default();
    let host = host.trim_end_matches('.');
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => host,
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || is_one_of(b"-.:[]", b);
    host.bytes().all(plain) && bounds.contain_host(host)
}

fn is_one_of(bytes: &[u8], byte: u8) -> bool {
    bytes.contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::names_another;

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn check(text: &str, stays: bool) {
        let bounds = serde_json::from_str(r#"{"domains": ["a.com", "[::1]"]}"#).unwrap();
        assert_eq!(!names_another(text, &bounds), stays, "{text}");
    }

    #[test]
    fn a_host_is_found_however_its_url_is_written() {
        for (begin, end) in [
            ("see https://", "/x, or"),
            ("HTTPS:", ""),
            ("https:\\\\", "/x"),
            (" //", "/x"),
            ("\\/", ""),
            ("gopher://", "."),
            ("http://", ":8080."),
            ("http://a.com and https://", "?q"),
            ("x=ws:", ""),
        ] {
            check(&format!("{begin}A.com{end}"), true);
            check(&format!("{begin}b.org{end}"), false);
            check(&format!("{begin}a.com.b.org{end}"), false);
        }
        check("http://[::1]:80/", true);
        check("http://[::2]:80/", false);
    }

    #[test]
    fn what_two_readers_could_read_differently_is_in_no_list() {
        for url in [
            "http://a.com@b.org/",
            "http://a.com\\@b.org/",
            "http://a.com%2eb.org",
            "http://\u{ff41}.com",
            "http:///",
        ] {
            check(url, false);
        }
    }

    #[test]
    fn a_text_without_urls_names_nobody() {
        check("at 10:30: note", true);
        check("SELECT a::text FROM b", true);
        check("ahttp:b.org", true);
        check("speaks http: or https:", true);
    }
}
