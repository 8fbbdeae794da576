//! URLs and the addresses in them, in every spelling that fetchers accept: decimal, octal, hex
//! and short forms (WHATWG URL section 3.5, "IPv4 parser"), IPv6 with embedded IPv4 (RFC 4291
//! section 2.5.5), zone ids, user information before the host, names that resolve to addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use clampd_sweep::{Survey, Traits, runs};

use super::{Signal, Signals};

/// Notes every URL in folded text whose host is an address that no outside service has.
pub(super) fn recognise(text: &str, signals: &mut Signals) {
    let mut from = 0;
    while let Some(at) = runs::next_pair(text.as_bytes(), from, b'/') {
        let authority_at = at + 2;
        let rest = text.get(authority_at..).unwrap_or_default();
        let before = at
            .checked_sub(1)
            .and_then(|before| text.as_bytes().get(before));
        let begins = before.is_none_or(|b| {
            matches!(
                b,
                b':' | b' ' | b'\n' | b'"' | b'\'' | b'=' | b'(' | b'<' | b'/'
            )
        });
        if let Some(signal) = judge(host(rest), has_user(rest)).filter(|_| begins) {
            signals.put(signal, at);
        }
        let authority_before = text.get(..at).unwrap_or_default();
        if begins && is_odd(authority_before, rest) {
            signals.put(Signal::OddUrl, at);
        }
        from = authority_at;
    }
    if is_odd_start(text) {
        signals.put(Signal::OddUrl, 0);
    }
}

/// Notes the address of the metadata services, which is unmistakable without a URL around it.
pub(super) fn recognise_bare(text: &str, survey: &Survey, signals: &mut Signals) {
    let mut from = 0;
    while let Some(at) = survey.next(text.as_bytes(), from, Traits::DIGIT) {
        let run = text.get(at..).unwrap_or_default().bytes();
        from = at + run.take_while(u8::is_ascii_digit).count();
        let last = text.get(from.saturating_sub(3)..).unwrap_or_default();
        if last.starts_with("169.254.169.254") {
            return signals.put(Signal::MetadataAddress, from - 3);
        }
    }
}

/// The host of what follows `//`.
fn host(rest: &str) -> &str {
    let end = |c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '/' | '\\' | '?' | '#' | '"' | '\'' | '<' | '>' | ')' | '`'
            )
    };
    let authority = rest.split(end).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if let Some(bracketed) = host.strip_prefix('[') {
        return bracketed.split(']').next().unwrap_or_default();
    }
    host.split(':')
        .next()
        .unwrap_or_default()
        .trim_end_matches(['.', ',', ';'])
}

/// Whether the authority of a URL, or what stands before its slashes, leaves open which host is
/// meant: a user before a host with a dot, a backslash, a blank, an encoded sign in the host, a
/// number as the host, more slashes than two.
fn is_odd(before: &str, rest: &str) -> bool {
    let scheme = before.ends_with(':');
    let Some(authority) = rest.split(['/', '?', '#', '"', '\'', '\n']).next() else {
        return false;
    };
    let Some(authority) = authority.get(..authority.len().min(120)) else {
        return false;
    };
    if let Some((user, host)) = authority.rsplit_once('@') {
        let odd_host = host.contains('.') || host.contains(':') || number(host).is_some();
        return scheme && odd_host && !user.contains(':') || authority.contains(['\\', ' ', '&']);
    }
    let more_slashes = scheme
        && rest.starts_with('/')
        && !before.ends_with("file:")
        && host(rest.trim_start_matches('/')).contains('.');
    let host = host(rest);
    scheme
        && (more_slashes
            || is_odd_number(host)
            || rest
                .get(authority.len()..)
                .is_some_and(|r| r.starts_with("#@") || r.starts_with("?@"))
            || (host.contains('&') && host.contains('.'))
            || (host.contains('%') && !host.contains("%s"))
            || host.contains("::") && !host.contains('.') && host.len() < 8)
}

/// Whether a host is a number, or numbers, but no address as it is usually written.
fn is_odd_number(host: &str) -> bool {
    let digits = host.starts_with(|c: char| c.is_ascii_digit())
        && host
            .bytes()
            .all(|b| b.is_ascii_hexdigit() || matches!(b, b'x' | b'.'))
        && host
            .split('.')
            .all(|part| number(part).is_some() || part.bytes().all(|b| b.is_ascii_digit()));
    digits && host.len() >= 6 && host.parse::<Ipv4Addr>().is_err()
}

/// The longest text that is taken for a URL.
const URL_BYTES_MAX: usize = 8_192;

/// Whether a whole text is a URL without a scheme or with a broken one: `//host`, `\\host`,
/// `/\host`, `http:host`.
fn is_odd_start(text: &str) -> bool {
    let text = text.trim();
    if text.len() > URL_BYTES_MAX || text.contains(' ') {
        return false;
    }
    let slashes = text
        .bytes()
        .take_while(|b| matches!(b, b'/' | b'\\'))
        .count();
    let host = text.get(slashes..).unwrap_or_default();
    let named =
        host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[' || c == '%' || c == ':');
    if slashes >= 2 {
        return named && host.contains(['.', ':', '%']);
    }
    if slashes == 1
        && (host.starts_with("http")
            || host.starts_with("<>")
            || host.starts_with("%09")
            || host.starts_with("%5c"))
    {
        return host.contains("//");
    }
    let broken = ["https:", "http:", "ftp:"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    broken.is_some_and(|rest| {
        let slashes = rest
            .bytes()
            .take_while(|b| matches!(b, b'/' | b'\\'))
            .count();
        let host = rest.get(slashes..).unwrap_or_default();
        slashes != 2 && (host.contains('.') || number(host).is_some() || host.starts_with('['))
            || rest.starts_with("\\")
            || rest.starts_with("/\\")
    })
}

/// Whether something stands before the host, with an `@` behind it.
fn has_user(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#', ' ', '"', '\'', '<', '>']).next();
    authority.is_some_and(|authority| authority.contains('@'))
}

fn judge(host: &str, has_user: bool) -> Option<Signal> {
    if METADATA_NAMES.contains(&host) {
        return Some(Signal::MetadataAddress);
    }
    if host == "localhost" || host.ends_with(".localhost") {
        return Some(Signal::LoopbackAddress);
    }
    let address = address(host)?;
    if METADATA_ADDRESSES.contains(&address) {
        return Some(Signal::MetadataAddress);
    }
    let plain = matches!(address, IpAddr::V4(v4) if v4.to_string() == host)
        || matches!(address, IpAddr::V6(v6) if v6.is_loopback());
    match address {
        _ if !is_inside(address) => None,
        _ if !plain || has_user => Some(Signal::DisguisedAddress),
        IpAddr::V4(v4) if v4.is_loopback() || v4.is_unspecified() => Some(Signal::LoopbackAddress),
        IpAddr::V6(_) => Some(Signal::LoopbackAddress),
        IpAddr::V4(_) => Some(Signal::PrivateAddress),
    }
}

const METADATA_NAMES: &[&str] = &[
    "metadata.google.internal",
    "metadata.goog",
    "instance-data",
    "instance-data.ec2.internal",
    "metadata",
    "rancher-metadata",
];

const METADATA_ADDRESSES: &[IpAddr] = &[
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// The names under which public resolvers give back the address written in the name.
const REBINDING_SUFFIXES: &[&str] = &[
    ".nip.io",
    ".sslip.io",
    ".xip.io",
    ".lvh.me",
    ".localtest.me",
];

fn address(host: &str) -> Option<IpAddr> {
    for suffix in REBINDING_SUFFIXES {
        if let Some(name) = host.strip_suffix(suffix) {
            if matches!(*suffix, ".lvh.me" | ".localtest.me") {
                return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
            }
            let dotted = name.replace('-', ".");
            let parts: Vec<&str> = dotted.rsplitn(5, '.').collect();
            let last: Vec<&str> = parts.iter().take(4).rev().copied().collect();
            return ipv4(&last.join(".")).or_else(|| ipv4(name)).map(IpAddr::V4);
        }
    }
    if host.contains(':') {
        let bare = host.split('%').next().unwrap_or_default();
        let v6: Ipv6Addr = bare.parse().ok()?;
        return Some(unwrapped(v6));
    }
    ipv4(host).map(IpAddr::V4)
}

/// The IPv4 address inside a mapped, compatible, 6to4 or NAT64 IPv6 address, else itself.
fn unwrapped(v6: Ipv6Addr) -> IpAddr {
    let s = v6.segments();
    let low = |a: u16, b: u16| {
        let [w, x] = a.to_be_bytes();
        let [y, z] = b.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(w, x, y, z))
    };
    match s {
        [0, 0, 0, 0, 0, 0xffff, a, b] | [0x64, 0xff9b, 0, 0, 0, 0, a, b] => low(a, b),
        [0x2002, a, b, ..] => low(a, b),
        [0, 0, 0, 0, 0, 0, a, b] if a != 0 => low(a, b),
        _ => IpAddr::V6(v6),
    }
}

/// An IPv4 address of one to four parts, each decimal, octal or hexadecimal.
fn ipv4(host: &str) -> Option<Ipv4Addr> {
    if host.is_empty() || host.len() > 64 || !host.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let parts: Vec<&str> = host.split('.').collect();
    let (last, front) = parts.split_last()?;
    if front.len() > 3 {
        return None;
    }
    let mut value: u64 = 0;
    for part in front {
        let byte = number(part).filter(|byte| *byte < 256)?;
        value = (value << 8) | byte;
    }
    let room = 8 * (4 - u32::try_from(front.len()).ok()?);
    let last = number(last)?;
    if room < 64 && last >= 1 << room {
        return None;
    }
    u32::try_from((value << room) | last)
        .ok()
        .map(Ipv4Addr::from_bits)
}

fn number(part: &str) -> Option<u64> {
    if let Some(hex) = part.strip_prefix("0x") {
        return if hex.is_empty() {
            Some(0)
        } else {
            u64::from_str_radix(hex, 16).ok()
        };
    }
    if part.len() > 1 && part.starts_with('0') {
        return u64::from_str_radix(part, 8).ok();
    }
    part.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| part.parse().ok())?
}

/// Whether an address is the machine's own or its network's (RFC 6890).
fn is_inside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || a == 0
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Signal, Signals};
    use super::{Survey, recognise, recognise_bare};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn check(url: &str, expected: Option<Signal>) {
        let mut signals = Signals::default();
        recognise(url, &mut signals);
        recognise_bare(url, &Survey::of(url), &mut signals);
        assert_eq!(
            signals.iter().next().map(|(signal, _)| signal),
            expected,
            "{url}"
        );
    }

    #[test]
    fn every_spelling_of_the_metadata_address_is_seen() {
        for host in [
            "169.254.169.254",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "0xa9.0xfe.0xa9.0xfe",
            "169.254.43518",
            "169.16689662",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[64:ff9b::a9fe:a9fe]",
            "[fd00:ec2::254]",
            "169.254.169.254.nip.io",
            "a.169-254-169-254.sslip.io",
            "metadata.google.internal",
            "user:pass@169.254.169.254",
            "example.com@169.254.169.254:80",
            "100.100.100.200",
        ] {
            check(
                &format!("http://{host}/latest/"),
                Some(Signal::MetadataAddress),
            );
        }
    }

    #[test]
    fn the_inside_is_told_from_the_outside() {
        for (inside, signal) in [
            ("127.0.0.1", Signal::LoopbackAddress),
            ("localhost:3000", Signal::LoopbackAddress),
            ("[::1]", Signal::LoopbackAddress),
            ("10.0.0.5", Signal::PrivateAddress),
            ("192.168.1.1:8080", Signal::PrivateAddress),
            ("127.1", Signal::DisguisedAddress),
            ("0", Signal::DisguisedAddress),
            ("0x7f000001", Signal::DisguisedAddress),
            ("[::]", Signal::DisguisedAddress),
            ("[fe80::1%25eth0]", Signal::DisguisedAddress),
            ("017700000001", Signal::DisguisedAddress),
            ("app.lvh.me", Signal::DisguisedAddress),
            ("good.example@127.0.0.1", Signal::DisguisedAddress),
        ] {
            check(&format!("http://{inside}/x"), Some(signal));
        }
        for odd in [
            "http:example.com",
            "//evil.io/x",
            "/\\evil.io",
            "\\\\10.1.2.3\\c$",
            "http://a.example@b.example/",
            "https:///evil.io",
            "http://7147006462/",
            "http://a.example\\@b.example/",
        ] {
            check(odd, Some(Signal::OddUrl));
        }
        for outside in ["example.com", "8.8.8.8", "[2001:db8::1]", "10.example.com"] {
            check(&format!("https://{outside}/x"), None);
        }
        check("a // comment", None);
        check("//", None);
    }
}
