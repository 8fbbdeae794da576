//! Server-sent events (WHATWG HTML, section 9.2), read from chunks cut anywhere.
//!
//! What goes on is written anew from what was read, so that a client cannot read an event in
//! another way than it was judged: line ends, comments and unknown fields differ between readers.

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// The event's type; empty for `message`.
    pub(crate) kind: String,
    /// The last event id, where this event sets one.
    pub(crate) id: Option<String>,
    /// The `data` lines, joined by line feeds; `None` where there was none.
    pub(crate) data: Option<String>,
    /// Milliseconds to wait before connecting again.
    pub(crate) retry: Option<u64>,
}

/// The longest type or id of an event, in bytes.
const WORD_BYTES_MAX: usize = 512;

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SseError {
    /// An event is longer than is held.
    TooLong,
    /// A line is not UTF-8.
    NotUtf8,
    /// A type or an id is no word but a text, which nobody would judge.
    NotPlain,
}

/// Reads events from chunks.
#[derive(Debug)]
pub(crate) struct SseReader {
    /// The line that is not yet ended.
    line: Vec<u8>,
    event: Event,
    /// Bytes of the event so far, its unfinished line included.
    bytes: usize,
    bytes_max: usize,
    /// The last byte ended a line with a carriage return; a line feed now belongs to it.
    after_return: bool,
    /// A byte order mark may still come.
    at_start: bool,
}

impl SseReader {
    /// A reader that holds events of at most `bytes_max`.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            line: Vec::new(),
            event: Event::default(),
            bytes: 0,
            bytes_max,
            after_return: false,
            at_start: true,
        }
    }

    /// Reads a chunk and hands each whole event to `each`.
    pub(crate) fn push(
        &mut self,
        chunk: &[u8],
        mut each: impl FnMut(Event),
    ) -> Result<(), SseError> {
        for &byte in chunk {
            let is_rest_of_line_end = std::mem::take(&mut self.after_return) && byte == b'\n';
            if is_rest_of_line_end {
                continue;
            }
            self.bytes += 1;
            if self.bytes > self.bytes_max {
                return Err(SseError::TooLong);
            }
            match byte {
                b'\n' | b'\r' => {
                    self.after_return = byte == b'\r';
                    if let Some(event) = self.end_line()? {
                        each(event);
                    }
                }
                _ => self.line.push(byte),
            }
        }
        Ok(())
    }

    /// Whether an event has begun that is not ended. At the end of a stream it is dropped, as the
    /// standard says.
    #[cfg(test)]
    pub(crate) fn is_inside_event(&self) -> bool {
        self.bytes > 0
    }

    fn end_line(&mut self) -> Result<Option<Event>, SseError> {
        let line = std::mem::take(&mut self.line);
        let line = match line.strip_prefix(b"\xef\xbb\xbf") {
            Some(rest) if self.at_start => rest,
            _ => &line,
        };
        self.at_start = false;
        let line = std::str::from_utf8(line).map_err(|_| SseError::NotUtf8)?;
        if line.is_empty() {
            self.bytes = 0;
            let event = std::mem::take(&mut self.event);
            return Ok((event != Event::default()).then_some(event));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" | "id" if !is_plain(value) => return Err(SseError::NotPlain),
            "event" => value.clone_into(&mut self.event.kind),
            "data" => match &mut self.event.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.event.data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => self.event.id = Some(value.to_owned()),
            "retry" => self.event.retry = value.parse().ok(),
            _ => {}
        }
        Ok(None)
    }
}

/// Whether a value is one word of moderate length.
fn is_plain(value: &str) -> bool {
    value.len() <= WORD_BYTES_MAX && !value.contains(char::is_whitespace)
}

impl Event {
    /// Writes the event.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let mut field = |name: &str, value: &str| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.push(b'\n');
        };
        if !self.kind.is_empty() {
            field("event", &self.kind);
        }
        if let Some(id) = &self.id {
            field("id", id);
        }
        if let Some(retry) = self.retry {
            field("retry", &retry.to_string());
        }
        if let Some(data) = &self.data {
            data.split('\n').for_each(|line| field("data", line));
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, SseError, SseReader};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn read(chunks: &[&[u8]]) -> Result<Vec<Event>, SseError> {
        let mut reader = SseReader::new(64);
        let mut events = Vec::new();
        for chunk in chunks {
            reader.push(chunk, |event| events.push(event))?;
        }
        Ok(events)
    }

    #[test]
    fn events_are_the_same_however_the_stream_is_cut() {
        let stream = "\u{feff}: hello\r\n\r\nevent: a\rid: 1\rdata: x\rdata:y\r\rdata: é\n\ndata\n\nretry: 5\n\ndata: cut";
        let whole = read(&[stream.as_bytes()]).unwrap();
        let data: Vec<_> = whole.iter().map(|e| e.data.as_deref()).collect();
        assert_eq!(data, [Some("x\ny"), Some("é"), Some(""), None]);
        assert_eq!(
            (whole[0].kind.as_str(), whole[0].id.as_deref()),
            ("a", Some("1"))
        );
        assert_eq!(whole[3].retry, Some(5));
        for at in 0..stream.len() {
            let (left, right) = stream.as_bytes().split_at(at);
            assert_eq!(read(&[left, right]).unwrap(), whole, "cut at {at}");
        }
        let bytes: Vec<_> = stream.as_bytes().chunks(1).collect();
        assert_eq!(read(&bytes).unwrap(), whole);
    }

    #[test]
    fn what_is_written_reads_as_it_was() {
        let events = read(&[b"event: a\nid: 1\nretry: 2\ndata: x\ndata: : y\n\n"]).unwrap();
        let mut out = Vec::new();
        events[0].write(&mut out);
        assert_eq!(read(&[&out]).unwrap(), events);
    }

    #[test]
    fn an_event_that_is_too_long_ends_the_stream() {
        assert_eq!(read(&[&[b'x'; 65]]), Err(SseError::TooLong));
        assert_eq!(read(&[&b"data: x\n".repeat(10)]), Err(SseError::TooLong));
        assert!(read(&[&b"data: x\n\n".repeat(100)]).is_ok());
        assert_eq!(read(&[b"data: \xff\n"]), Err(SseError::NotUtf8));
        assert_eq!(read(&[b"event: do as I say\n"]), Err(SseError::NotPlain));
        assert_eq!(read(&[b"id: 1 2\n"]), Err(SseError::NotPlain));
    }

    #[test]
    fn an_unfinished_event_is_held() {
        let mut reader = SseReader::new(64);
        reader.push(b"data: x\n", |_| panic!("not yet")).unwrap();
        assert!(reader.is_inside_event());
    }
}
