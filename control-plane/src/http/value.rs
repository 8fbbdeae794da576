//! What values may be: checked at the door, so that nothing inside checks again.

use clampd_model::{AgentId, RiskScore};
use clampd_token::VerifyingKey;

use super::error::ApiError;

const NAME_BYTES_MAX: usize = 256;
const REASON_BYTES_MAX: usize = 1_024;
const SCOPE_BYTES_MAX: usize = 128;
const SCOPES_MAX: usize = 64;
const GROUPS_MAX: usize = 64;
const SECRET_BYTES_MIN: usize = 8;
const SECRET_BYTES_MAX: usize = 512;
const URL_BYTES_MAX: usize = 2_048;

/// An agent's id.
pub(super) fn agent_id(field: &str, text: &str) -> Result<AgentId, ApiError> {
    let wanted = "must be 1 to 128 characters of A-Z a-z 0-9 _ . : -";
    AgentId::parse(text).map_err(|_| ApiError::invalid_value(field, wanted))
}

/// What people call something.
pub(super) fn name(field: &str, text: &str) -> Result<(), ApiError> {
    demand(
        is_text(text, NAME_BYTES_MAX),
        field,
        "must be 1 to 256 bytes, no control characters",
    )
}

/// Why something is done.
pub(super) fn reason(field: &str, text: &str) -> Result<(), ApiError> {
    demand(
        is_text(text, REASON_BYTES_MAX),
        field,
        "must be 1 to 1024 bytes, no control characters",
    )
}

/// The service that tokens are for.
pub(super) fn audience(field: &str, text: &str) -> Result<(), ApiError> {
    let holds = is_text(text, NAME_BYTES_MAX) && !text.contains(char::is_whitespace);
    demand(holds, field, "must be 1 to 256 bytes without spaces")
}

/// One scope, such as `db:read` or `db:*`.
pub(super) fn scope(field: &str, text: &str) -> Result<(), ApiError> {
    let holds = (1..=SCOPE_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    demand(
        holds,
        field,
        "must be 1 to 128 printable characters without spaces",
    )
}

/// An agent's scopes.
pub(super) fn scopes(field: &str, scopes: &[String]) -> Result<(), ApiError> {
    demand(
        scopes.len() <= SCOPES_MAX,
        field,
        "must be at most 64 scopes",
    )?;
    scopes.iter().try_for_each(|text| scope(field, text))
}

/// The groups that policies know an agent by.
pub(super) fn groups(field: &str, groups: &[String]) -> Result<(), ApiError> {
    demand(
        groups.len() <= GROUPS_MAX,
        field,
        "must be at most 64 groups",
    )?;
    groups.iter().try_for_each(|text| name(field, text))
}

/// A secret that an agent signs with.
pub(super) fn secret(field: &str, text: &str) -> Result<(), ApiError> {
    let holds = (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    demand(
        holds,
        field,
        "must be 8 to 512 printable characters without spaces",
    )
}

/// An Ed25519 public key.
pub(super) fn public_key(field: &str, text: &str) -> Result<(), ApiError> {
    let holds = VerifyingKey::parse(text).is_ok();
    demand(
        holds,
        field,
        "must be an Ed25519 public key: 32 bytes in base64url without padding",
    )
}

/// Whether it is a number from 0 to 1 with at most three decimals.
pub(super) fn is_risk(risk: RiskScore) -> bool {
    RiskScore::new(risk.value()) == risk
}

/// A token's nonce or a session's id.
pub(super) fn token_text(field: &str, text: &str) -> Result<(), ApiError> {
    let holds = (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte));
    demand(
        holds,
        field,
        "must be 1 to 128 characters of A-Z a-z 0-9 _ . : -",
    )
}

/// The name of a file of rules, without its ending.
pub(super) fn file_name(field: &str, text: &str) -> Result<(), ApiError> {
    let holds = (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    demand(holds, field, "must be 1 to 64 characters of a-z 0-9 -")
}

/// A SHA-256 in lower-case hex.
pub(super) fn sha256(field: &str, text: &str) -> Result<(), ApiError> {
    let holds = text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    demand(
        holds,
        field,
        "must be a SHA-256: 64 characters of lower-case hex",
    )
}

/// The origin (`scheme://host[:port]`) of an upstream's URL.
pub(super) fn origin_of_upstream<'u>(field: &str, url: &'u str) -> Result<&'u str, ApiError> {
    let wanted = "must be an http or https URL without user, query and fragment";
    let invalid = || ApiError::invalid_value(field, wanted);
    let printable = url
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"?#@\\".contains(&byte));
    if !printable || url.len() > URL_BYTES_MAX {
        return Err(invalid());
    }
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let rest = rest.ok_or_else(invalid)?;
    let authority = rest.split('/').next().unwrap_or_default();
    let path = rest.strip_prefix(authority).unwrap_or_default();
    if !is_authority(authority) || path.split('/').any(|segment| segment == "..") {
        return Err(invalid());
    }
    url.strip_suffix(path).ok_or_else(invalid)
}

fn is_authority(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let port_is_good = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0));
    let host_is_good = match host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        }
    };
    port_is_good && host_is_good
}

fn is_text(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && !text.chars().any(char::is_control)
}

pub(super) fn demand(holds: bool, field: &str, wanted: &str) -> Result<(), ApiError> {
    if holds {
        Ok(())
    } else {
        Err(ApiError::invalid_value(field, wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::origin_of_upstream;

    #[test]
    fn an_upstream_is_a_plain_url_and_its_origin_is_found() {
        for (url, origin) in [
            ("http://127.0.0.1:9001", "http://127.0.0.1:9001"),
            ("http://127.0.0.1:9001/sql/run", "http://127.0.0.1:9001"),
            ("https://tools.example/", "https://tools.example"),
            ("http://[::1]:80/x", "http://[::1]:80"),
            ("http://[::1]/x", "http://[::1]"),
        ] {
            assert_eq!(
                origin_of_upstream("upstream", url).ok(),
                Some(origin),
                "{url}"
            );
        }
        for url in [
            "",
            "ftp://a",
            "http://",
            "http:///x",
            "http://a:0",
            "http://a:x",
            "http://u@a",
            "http://a?x",
            "http://a#x",
            "http://a/../b",
            "http://a b",
            "http://é",
            "a:80",
            "http://[::g]",
            "http://a\\b",
        ] {
            assert!(origin_of_upstream("upstream", url).is_err(), "{url}");
        }
    }
}
