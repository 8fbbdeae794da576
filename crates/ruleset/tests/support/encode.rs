//! Base64, for tests alone.

/// RFC 4648 section 4.
#[expect(clippy::indexing_slicing, reason = "six bits index sixty-four letters")]
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let mut held = 0_u32;
        for at in 0..3 {
            held = held << 8 | u32::from(chunk.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let index = (held >> (18 - 6 * at)) & 63;
            let letter = ALPHABET[index as usize];
            out.push(if at <= chunk.len() as u32 {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    out
}
