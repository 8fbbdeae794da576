//! ASCII, eight bytes at once.

/// Ones in the lowest bit of each of eight bytes.
const EACH: u64 = u64::MAX / 0xff;
/// Ones in their highest bits.
const HIGH: u64 = EACH << 7;

/// Appends ASCII in lower case, eight bytes at once.
pub fn push_lower(out: &mut String, ascii: &str) {
    let mut lower = [0; 64];
    for piece in ascii.as_bytes().chunks(lower.len()) {
        let (eights, last) = piece.as_chunks::<8>();
        let (to, to_last) = lower.as_chunks_mut::<8>().0.split_at_mut(eights.len());
        for (to, eight) in to.iter_mut().zip(eights) {
            let eight = u64::from_le_bytes(*eight);
            let from_a = eight + EACH * (0x80 - b'A' as u64);
            let behind_z = eight + EACH * (0x7f - b'Z' as u64);
            *to = (eight | (from_a & !behind_z & HIGH) >> 2).to_le_bytes();
        }
        for (to, byte) in to_last.iter_mut().flatten().zip(last) {
            *to = byte.to_ascii_lowercase();
        }
        let lower = lower.get(..piece.len()).map(str::from_utf8);
        out.push_str(lower.and_then(Result::ok).unwrap_or_default());
    }
}

/// How many bytes of ASCII stand at the beginning that are visible, single blanks between them
/// included.
pub fn plain_length(ascii: &[u8]) -> usize {
    let mut length = 0;
    // Eight bytes at once. No byte has its high bit, so no sum carries into the next byte.
    let mut after_blank = true;
    while let Some(eight) = ascii.get(length..).and_then(<[u8]>::first_chunk::<8>) {
        let eight = u64::from_le_bytes(*eight);
        let blanks = !(eight + EACH * (0x7f - b' ' as u64)) & HIGH;
        let controls = (!(eight + EACH * (0x80 - b' ' as u64)) | (eight + EACH)) & HIGH;
        let doubled = blanks & (blanks << 8 | u64::from(after_blank) << 7);
        if controls | doubled != 0 {
            break;
        }
        after_blank = blanks >> 63 != 0;
        length += 8;
    }
    let is_graphic = |at: usize| ascii.get(at).is_some_and(u8::is_ascii_graphic);
    // The last blank counts only when something visible stands behind it.
    if after_blank && length > 0 && !is_graphic(length) {
        return length - 1;
    }
    while is_graphic(length)
        || (length > 0 && ascii.get(length) == Some(&b' ') && is_graphic(length + 1))
    {
        length += 1;
    }
    length
}
