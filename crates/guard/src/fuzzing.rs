//! A door for fuzzing, there only with `--cfg fuzzing`: the reader of event streams by itself.
//! Nothing else may use it.

use crate::sse::{Event, SseError, SseReader};

/// The bytes of one event that the reader holds here.
pub const EVENT_BYTES_MAX: usize = 256;

/// What a stream in these chunks reads as: its events, each as it is written anew, and whether
/// the stream was refused.
pub fn events<'c>(chunks: impl IntoIterator<Item = &'c [u8]>) -> (Vec<Vec<u8>>, bool) {
    let mut reader = SseReader::new(EVENT_BYTES_MAX);
    let mut events = Vec::new();
    let mut refused = false;
    for chunk in chunks {
        let each = |event: Event| {
            let mut out = Vec::new();
            event.write(&mut out);
            events.push(out);
        };
        let read: Result<(), SseError> = reader.push(chunk, each);
        refused = read.is_err();
        if refused {
            break;
        }
    }
    (events, refused)
}
