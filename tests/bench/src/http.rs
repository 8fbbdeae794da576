//! Just enough HTTP/1.1: reads messages whose length a `content-length` tells.

use std::io::{self, ErrorKind, Read};

/// The largest message that is read, in bytes.
const MESSAGE_BYTES_MAX: usize = 1 << 21;

/// Reads messages from one connection.
pub struct Messages<R> {
    from: R,
    buffer: Vec<u8>,
    filled: usize,
}

impl<R: Read> Messages<R> {
    /// Reads from `from`.
    pub fn new(from: R) -> Self {
        Self {
            from,
            buffer: vec![0; 1 << 16],
            filled: 0,
        }
    }

    /// Reads one whole message and gives the second word of its first line (the status of an
    /// answer), or `None` at the end of the connection.
    pub fn next(&mut self) -> io::Result<Option<String>> {
        let head_end = loop {
            if let Some(at) = find(&self.buffer[..self.filled], b"\r\n\r\n") {
                break at + 4;
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&self.buffer[..head_end]).to_lowercase();
        let word = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"))
            .map_or(Ok(0), |value| value.trim().parse::<usize>())
            .map_err(|_| io::Error::from(ErrorKind::InvalidData))?;
        if head.contains("transfer-encoding:") || length > MESSAGE_BYTES_MAX {
            return Err(io::Error::new(ErrorKind::InvalidData, "a length is wanted"));
        }
        let end = head_end + length;
        while self.filled < end {
            if self.fill()? == 0 {
                return Err(io::Error::from(ErrorKind::UnexpectedEof));
            }
        }
        self.buffer.copy_within(end..self.filled, 0);
        self.filled -= end;
        Ok(Some(word))
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let read = self.from.read(&mut self.buffer[self.filled..])?;
        self.filled += read;
        Ok(read)
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}
