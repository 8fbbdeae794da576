//! The sessions of one agent: how many calls each made, and the tools that it is locked to.
//!
//! A session is forgotten an hour after its last request. A record that is full of others takes no
//! new one.

use super::{Laid, Record, Tally};
use crate::{ErrorCode, Micros};

/// How long a session is remembered after its last request.
const IDLE_SECONDS: u32 = 3_600;
/// The longest record, in bytes: about 310 sessions, or 19 that are locked to 100 tools.
const RECORD_BYTES_MAX: usize = 8 * 1024;
/// In the place of a number of tools: the session is not locked.
const UNLOCKED: u16 = u16::MAX;

/// A charge upon a session.
#[derive(Debug)]
pub(super) struct SessionEntry {
    pub(super) id: [u8; 16],
    pub(super) calls: u32,
    pub(super) calls_max: Option<u32>,
    /// The marks of the tools that the request allows itself.
    pub(super) lock: Option<Vec<u8>>,
}

/// A session as it stands in a record; its tools are marks of four bytes.
#[derive(Debug)]
struct Session<'r> {
    id: [u8; 16],
    seen: u32,
    calls: u32,
    tools: Option<&'r [u8]>,
}

impl SessionEntry {
    pub(super) fn lay(&self, there: Option<&[u8]>, now: Micros) -> Laid {
        let seconds = u32::try_from(now / 1_000_000).unwrap_or(u32::MAX);
        let (mut record, mut known) = (Vec::new(), None);
        let mut rest = Record(there.unwrap_or_default());
        while let Some(session) = Session::take(&mut rest) {
            if seconds.saturating_sub(session.seen) >= IDLE_SECONDS {
                continue;
            }
            if session.id == self.id {
                known = Some(session);
            } else {
                session.put(&mut record);
            }
        }
        if known.is_none() && self.calls_max.is_none() && self.lock.is_none() {
            return Laid::default();
        }
        let (seen, calls, tools) = known.map_or((0, 0, None), |s| (s.seen, s.calls, s.tools));
        let lock = self.lock.as_deref();
        if let (Some(tools), Some(lock)) = (tools, lock)
            && !lock
                .chunks(4)
                .all(|tool| tools.chunks(4).any(|t| t == tool))
        {
            let why = "X-AG-Authorized-Tools names a tool that the session was not begun with";
            return Laid::over(ErrorCode::UnauthorizedTool.because(why));
        }
        let session = Session {
            id: self.id,
            seen: seen.max(seconds),
            calls: calls.saturating_add(self.calls),
            tools: tools.or(lock),
        };
        if let Some(most) = self
            .calls_max
            .filter(|most| self.calls > 0 && session.calls > *most)
        {
            let refusal = ErrorCode::SessionBudgetExceeded
                .because(format!("session is over its {most} calls"))
                .again_in(u64::from(IDLE_SECONDS))
                .bounded_by(u64::from(most));
            return Laid::over(refusal);
        }
        session.put(&mut record);
        if record.len() > RECORD_BYTES_MAX {
            let why = "agent has too many sessions at once";
            return Laid::over(ErrorCode::RateLimited.because(why).again_in(60));
        }
        Laid {
            record: Some(record),
            tally: Tally {
                session_tools: session.tools.map(<[u8]>::to_vec),
                ..Tally::default()
            },
        }
    }
}

impl<'r> Session<'r> {
    fn take(record: &mut Record<'r>) -> Option<Self> {
        let (id, seen) = (record.take()?, record.u32()?);
        let (calls, count) = (record.u32()?, record.u16()?);
        let tools = if count == UNLOCKED {
            None
        } else {
            let (tools, rest) = record.0.split_at_checked(usize::from(count) * 4)?;
            record.0 = rest;
            Some(tools)
        };
        Some(Self {
            id,
            seen,
            calls,
            tools,
        })
    }

    fn put(&self, record: &mut Vec<u8>) {
        record.extend_from_slice(&self.id);
        record.extend_from_slice(&self.seen.to_le_bytes());
        record.extend_from_slice(&self.calls.to_le_bytes());
        // A request names at most 100 tools.
        let count = |tools: &[u8]| u16::try_from(tools.len() / 4).unwrap_or(UNLOCKED);
        record.extend_from_slice(&self.tools.map_or(UNLOCKED, count).to_le_bytes());
        record.extend_from_slice(self.tools.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::{IDLE_SECONDS, RECORD_BYTES_MAX, SessionEntry};
    use crate::{ErrorCode, Micros};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NOW: Micros = 1_800_000_000_000_000;

    fn entry(id: u16, calls_max: Option<u32>, lock: Option<&[u32]>) -> SessionEntry {
        SessionEntry {
            id: u128::from(id).to_le_bytes(),
            calls: 1,
            calls_max,
            lock: lock.map(marks),
        }
    }

    fn marks(tools: &[u32]) -> Vec<u8> {
        tools.iter().flat_map(|tool| tool.to_le_bytes()).collect()
    }

    #[test]
    fn a_session_has_so_many_calls_and_others_have_their_own() {
        let mut record = None;
        let mut call = |id, now| {
            let laid = entry(id, Some(2), None).lay(record.as_deref(), now);
            let over = laid.tally.over.as_ref().map(|over| over.code);
            record = laid.record.or(record.take());
            over
        };
        let over = Some(ErrorCode::SessionBudgetExceeded);
        assert_eq!(
            [call(1, NOW), call(1, NOW), call(1, NOW)],
            [None, None, over]
        );
        assert_eq!(call(2, NOW), None);
        let later = NOW + u64::from(IDLE_SECONDS) * 1_000_000;
        assert_eq!(call(1, later - 1), over);
        assert_eq!(call(1, later), None, "it was forgotten, as another one");
    }

    #[test]
    fn a_session_is_locked_to_the_tools_it_was_begun_with() {
        let begun = entry(1, None, Some(&[5, 6])).lay(None, NOW).record.unwrap();
        let laid = |lock| entry(1, None, lock).lay(Some(&begun), NOW).tally;
        assert_eq!(laid(None).session_tools, Some(marks(&[5, 6])));
        assert_eq!(laid(Some(&[6])).session_tools, Some(marks(&[5, 6])));
        let over = laid(Some(&[6, 7])).over.unwrap();
        assert_eq!(over.code, ErrorCode::UnauthorizedTool);
        assert_eq!(
            entry(2, None, None)
                .lay(Some(&begun), NOW)
                .tally
                .session_tools,
            None
        );
    }

    #[test]
    fn sessions_are_bounded_and_a_new_one_pushes_none_out() {
        let mut record = None;
        let mut refused = 0;
        for id in 0..400 {
            let laid = entry(id, Some(1), None).lay(record.as_deref(), NOW);
            refused += u32::from(laid.is_over());
            record = laid.record.or(record);
        }
        assert!(record.as_ref().unwrap().len() <= RECORD_BYTES_MAX && refused > 80);
        assert!(
            entry(0, Some(1), None)
                .lay(record.as_deref(), NOW)
                .is_over()
        );
    }
}
