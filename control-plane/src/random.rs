//! Random keys, secrets and identifiers from the operating system.

use std::fmt::Write as _;

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoEntropy;

/// `N` random bytes.
///
/// # Errors
/// [`NoEntropy`] when the operating system has none.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], NoEntropy> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| NoEntropy)?;
    Ok(bytes)
}

/// `2 * N` characters of random lower-case hex.
///
/// # Errors
/// [`NoEntropy`] when the operating system has none.
pub(crate) fn hex<const N: usize>() -> Result<String, NoEntropy> {
    Ok(to_hex(&bytes::<N>()?))
}

/// A random UUID (RFC 9562 version 4).
///
/// # Errors
/// [`NoEntropy`] when the operating system has none.
pub(crate) fn uuid() -> Result<String, NoEntropy> {
    let number = u128::from_be_bytes(bytes::<16>()?);
    let number = number & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let parts = [
        (number >> 96, 8),
        (number >> 80 & 0xffff, 4),
        (number >> 64 & 0xffff, 4),
        (number >> 48 & 0xffff, 4),
        (number & 0xffff_ffff_ffff, 12),
    ];
    Ok(parts
        .map(|(part, width)| format!("{part:0width$x}"))
        .join("-"))
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_identifier_is_a_version_4_uuid() {
        let uuid = super::uuid().unwrap();
        let characters: Vec<char> = uuid.chars().collect();
        assert_eq!((characters.len(), characters[14]), (36, '4'));
        assert!("89ab".contains(characters[19]), "{uuid}");
        assert_ne!(uuid, super::uuid().unwrap());
    }
}
