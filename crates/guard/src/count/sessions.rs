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
    pub(super) id: u128,
    pub(super) calls: u32,
    pub(super) calls_max: Option<u32>,
    /// The tools that the request allows itself.
    pub(super) lock: Option<Vec<u32>>,
}

#[derive(Debug)]
struct Session {
    id: u128,
    seen: u32,
    calls: u32,
    tools: Option<Vec<u32>>,
}

impl SessionEntry {
    pub(super) fn lay(&self, there: Option<&[u8]>, now: Micros) -> Laid {
        let seconds = u32::try_from(now / 1_000_000).unwrap_or(u32::MAX);
        let mut others = read(there.unwrap_or_default());
        others.retain(|session| seconds.saturating_sub(session.seen) < IDLE_SECONDS);
        let at = others.iter().position(|session| session.id == self.id);
        let known = at.map(|at| others.swap_remove(at));
        if known.is_none() && self.calls_max.is_none() && self.lock.is_none() {
            return Laid::default();
        }
        let mut session = known.unwrap_or(Session {
            id: self.id,
            seen: seconds,
            calls: 0,
            tools: None,
        });
        let adds = |tools: &[u32], lock: &[u32]| lock.iter().any(|tool| !tools.contains(tool));
        match (&session.tools, &self.lock) {
            (Some(tools), Some(lock)) if adds(tools, lock) => {
                let why = "X-AG-Authorized-Tools names a tool that the session was not begun with";
                return Laid::over(ErrorCode::UnauthorizedTool.because(why));
            }
            (None, Some(lock)) => session.tools = Some(lock.clone()),
            _ => {}
        }
        session.calls = session.calls.saturating_add(self.calls);
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
        session.seen = session.seen.max(seconds);
        let tools = session.tools.clone();
        others.push(session);
        let record = to_record(&others);
        if record.len() > RECORD_BYTES_MAX {
            let why = "agent has too many sessions at once";
            return Laid::over(ErrorCode::RateLimited.because(why).again_in(60));
        }
        Laid {
            record: Some(record),
            tally: Tally {
                session_tools: tools,
                ..Tally::default()
            },
        }
    }
}

fn read(record: &[u8]) -> Vec<Session> {
    let mut record = Record(record);
    std::iter::from_fn(|| {
        let (id, seen) = (u128::from_le_bytes(record.take()?), record.u32()?);
        let (calls, count) = (record.u32()?, record.u16()?);
        let tools = (count != UNLOCKED)
            .then(|| (0..count).map(|_| record.u32()).collect::<Option<Vec<_>>>());
        let tools = match tools {
            Some(tools) => Some(tools?),
            None => None,
        };
        Some(Session {
            id,
            seen,
            calls,
            tools,
        })
    })
    .collect()
}

fn to_record(sessions: &[Session]) -> Vec<u8> {
    let mut record = Vec::new();
    for session in sessions {
        record.extend(session.id.to_le_bytes());
        record.extend(session.seen.to_le_bytes());
        record.extend(session.calls.to_le_bytes());
        let count = |tools: &Vec<u32>| u16::try_from(tools.len()).unwrap_or(UNLOCKED - 1);
        let count = session.tools.as_ref().map_or(UNLOCKED, count);
        record.extend(count.to_le_bytes());
        let tools = session.tools.iter().flatten();
        record.extend(tools.flat_map(|tool| tool.to_le_bytes()));
    }
    record
}

#[cfg(test)]
mod tests {
    use super::{IDLE_SECONDS, RECORD_BYTES_MAX, SessionEntry};
    use crate::{ErrorCode, Micros};

    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const NOW: Micros = 1_800_000_000_000_000;

    fn entry(id: u128, calls_max: Option<u32>, lock: Option<&[u32]>) -> SessionEntry {
        SessionEntry {
            id,
            calls: 1,
            calls_max,
            lock: lock.map(<[u32]>::to_vec),
        }
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
        assert_eq!(laid(None).session_tools, Some(vec![5, 6]));
        assert_eq!(laid(Some(&[6])).session_tools, Some(vec![5, 6]));
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
