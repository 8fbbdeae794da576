//! Lines of bounded length out of a reader.

use std::io::{self, BufRead};

/// The longest line that is judged, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Reads line by line and never holds more than [`LINE_BYTES_MAX`] and the reader's own buffer.
pub(super) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    /// Whether the reader has bytes at hand that were not looked at yet.
    has_more: bool,
}

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<'a> {
    /// A line, without its line feed.
    Line(&'a [u8]),
    /// A line that is too long; it was passed over.
    TooLong,
    /// Nothing more.
    End,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            line: Vec::new(),
            has_more: false,
        }
    }

    /// Whether the next line may have to be waited for.
    pub(super) fn may_wait(&self) -> bool {
        !self.has_more
    }

    /// The next line.
    pub(super) fn next(&mut self) -> io::Result<Next<'_>> {
        self.line.clear();
        let mut too_long = false;
        let mut any = false;
        loop {
            let bytes = match self.reader.fill_buf() {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            if bytes.is_empty() {
                self.has_more = false;
                break;
            }
            any = true;
            let (piece, used, ends) = match bytes.iter().position(|byte| *byte == b'\n') {
                Some(at) => (bytes.get(..at).unwrap_or_default(), at + 1, true),
                None => (bytes, bytes.len(), false),
            };
            if self.line.len() + piece.len() > LINE_BYTES_MAX {
                too_long = true;
                self.line.clear();
            }
            if !too_long {
                self.line.extend_from_slice(piece);
            }
            self.has_more = used < bytes.len();
            self.reader.consume(used);
            if ends {
                break;
            }
        }
        Ok(match (any, too_long) {
            (false, _) => Next::End,
            (true, true) => Next::TooLong,
            (true, false) => Next::Line(&self.line),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::{LINE_BYTES_MAX, Lines, Next};

    #[test]
    fn a_line_over_the_limit_is_passed_over_and_the_next_is_read() {
        let mut input = b"first\n".to_vec();
        input.extend(vec![b'x'; LINE_BYTES_MAX + 1]);
        input.extend(b"\n");
        input.extend(vec![b'y'; LINE_BYTES_MAX]);
        input.extend(b"\n\nlast");
        let mut lines = Lines::new(BufReader::with_capacity(1024, Cursor::new(input)));
        assert_eq!(lines.next().unwrap(), Next::Line(b"first"));
        assert_eq!(lines.next().unwrap(), Next::TooLong);
        assert!(matches!(lines.next().unwrap(), Next::Line(line) if line.len() == LINE_BYTES_MAX));
        assert_eq!(lines.next().unwrap(), Next::Line(b""));
        assert_eq!(lines.next().unwrap(), Next::Line(b"last"));
        assert_eq!(lines.next().unwrap(), Next::End);
        assert!(lines.may_wait());
    }
}
