//! Counting what agents use: what is to be counted, and what the count says.
//!
//! Counts stand in records that all workers share. The guard never reads or writes them: it says
//! what is to be charged ([`Charge`]), how a record becomes the next one ([`Entry::lay`], to be
//! written by compare-and-swap), and takes the [`Tally`] back.

mod risk;
mod sessions;
mod window;

use clampd_model::Boundaries;
use clampd_token::sha256_hex;

use crate::{
    ErrorCode, Micros, Refusal,
    admit::Endpoint,
    mcp::Post,
    tool_call::{Admitted, CallBody},
};
pub use risk::AgentRisk;
use sessions::SessionEntry;
pub use window::AnswerBytes;
use window::{AgentEntry, AnswersEntry};

/// How many records the sessions of one agent are spread over.
const SESSION_RECORDS: u8 = 16;

/// What one request uses.
#[derive(Debug)]
pub struct Charge {
    entries: Vec<Entry>,
}

/// A record that is charged.
#[derive(Debug)]
pub struct Entry {
    key: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Agent(AgentEntry),
    Session(SessionEntry),
    Answers(AnswersEntry),
    Risk,
}

/// What becomes of a record.
#[derive(Debug, Default)]
pub struct Laid {
    /// What is to stand in its place; nothing where it stays.
    pub record: Option<Vec<u8>>,
    tally: Tally,
}

/// What the counts say of a request.
#[derive(Debug, Default)]
pub struct Tally {
    /// Calls of the agent in the last minute, this one among them.
    pub(crate) calls_last_minute: Option<u32>,
    /// Whether the agent has not called this tool before.
    pub(crate) is_first_time: bool,
    /// Whether the agent's judgements of late were risky.
    pub(crate) is_at_risk: bool,
    /// The tools that the session is locked to.
    session_tools: Option<Vec<u8>>,
    over: Option<Refusal>,
}

/// An exchange that waits for its counts.
#[derive(Debug)]
pub struct Counting {
    pub(crate) admitted: Admitted,
    pub(crate) body: Vec<u8>,
    pub(crate) parsed: Parsed,
}

/// What was read of a body before it is counted.
#[derive(Debug)]
pub(crate) enum Parsed {
    Call(Box<CallBody>),
    Post(Post),
    Unread,
}

impl Parsed {
    /// What the request is to the counts.
    pub(crate) fn use_of<'a>(&'a self, admitted: &'a Admitted) -> Use<'a> {
        match (self, admitted.endpoint, &admitted.rest) {
            (Self::Call(body), ..) => Use::CallOf(&body.call.tool),
            (Self::Post(_), Endpoint::A2a, _) | (_, Endpoint::Model(_), _) => Use::Call,
            (Self::Post(post), ..) => match post.call() {
                Ok(Some(call)) => Use::CallOf(&call.tool),
                _ => Use::Bytes,
            },
            (_, _, Some(rest)) => Use::CallOf(&rest.tool),
            _ => Use::Bytes,
        }
    }
}

impl Charge {
    /// What a request uses: its bytes and, where it is one, a call of `tool`.
    pub(crate) fn of(
        admitted: &Admitted,
        bounds: &Boundaries,
        bytes: usize,
        use_: Use<'_>,
    ) -> Self {
        let Admitted { caller, meta, .. } = admitted;
        let calls = u32::from(!matches!(use_, Use::Bytes));
        let tool = match use_ {
            Use::CallOf(tool) => Some(tool_mark(tool)),
            _ => None,
        };
        let mut entries = vec![Entry {
            key: format!("clampd.agent.{}", caller.agent),
            kind: Kind::Agent(AgentEntry {
                calls,
                bytes: bytes as u64,
                tool,
                calls_max: bounds.calls_per_minute,
                bytes_max: bounds.bytes_per_minute,
            }),
        }];
        if calls > 0 {
            entries.push(Entry {
                key: AgentRisk::key(caller.agent.as_str()),
                kind: Kind::Risk,
            });
        }
        if let Some(bytes_max) = bounds.answer_bytes_per_hour.filter(|_| calls > 0) {
            entries.push(Entry {
                key: AnswerBytes::key(caller.agent.as_str()),
                kind: Kind::Answers(AnswersEntry { bytes_max }),
            });
        }
        if let Some(session) = &meta.session_id {
            // Ids are of any length up to 128, so that they are told apart by their hash.
            let id = sha256_hex(session.as_bytes());
            let id = u128::from_str_radix(id.get(..32).unwrap_or_default(), 16).unwrap_or(0);
            let id = id.to_le_bytes();
            let record = id.first().map_or(0, |b| b % SESSION_RECORDS);
            let tools = meta.authorized_tools.as_ref();
            entries.push(Entry {
                key: format!("clampd.sessions.{record}.{}", caller.agent),
                kind: Kind::Session(SessionEntry {
                    id,
                    calls,
                    calls_max: bounds.calls_per_session,
                    lock: tools.map(|tools| {
                        tools
                            .iter()
                            .flat_map(|t| tool_mark(t).to_le_bytes())
                            .collect()
                    }),
                }),
            });
        }
        Self { entries }
    }

    /// The records to charge, in this order. Where one says that the request is over its bounds,
    /// those behind it are left alone.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether what answers bring the agent is bounded.
    pub fn bounds_answers(&self) -> bool {
        let is_answers = |entry: &Entry| matches!(entry.kind, Kind::Answers(_));
        self.entries.iter().any(is_answers)
    }
}

/// What a request is to the counts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Use<'a> {
    /// No call.
    Bytes,
    /// A call of something that is no tool.
    Call,
    /// A call of a tool.
    CallOf(&'a str),
}

impl Entry {
    /// Where the record stands.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What the record becomes, and what it says.
    pub fn lay(&self, there: Option<&[u8]>, now: Micros) -> Laid {
        match &self.kind {
            Kind::Agent(entry) => entry.lay(there, now),
            Kind::Session(entry) => entry.lay(there, now),
            Kind::Answers(entry) => entry.lay(there, now),
            Kind::Risk => AgentRisk::lay(there, now),
        }
    }
}

impl Laid {
    /// Whether the request is over its bounds.
    pub fn is_over(&self) -> bool {
        self.tally.over.is_some()
    }

    fn over(refusal: Refusal) -> Self {
        let tally = Tally {
            over: Some(refusal),
            ..Tally::default()
        };
        Self {
            record: None,
            tally,
        }
    }
}

impl Tally {
    /// Adds what one record said.
    pub fn add(&mut self, laid: Laid) {
        let Tally {
            calls_last_minute,
            is_first_time,
            is_at_risk,
            session_tools,
            over,
        } = laid.tally;
        self.calls_last_minute = self.calls_last_minute.or(calls_last_minute);
        self.is_first_time |= is_first_time;
        self.is_at_risk |= is_at_risk;
        self.session_tools = self.session_tools.take().or(session_tools);
        self.over = self.over.take().or(over);
    }

    /// Refuses what is over its bounds.
    pub(crate) fn checked(mut self) -> Result<Self, Refusal> {
        match self.over.take() {
            Some(refusal) => Err(refusal),
            None => Ok(self),
        }
    }

    /// Refuses a tool that the session is not locked to.
    pub(crate) fn check_tool(&self, tool: &str) -> Result<(), Refusal> {
        match &self.session_tools {
            Some(tools) if !tools.chunks(4).any(|t| t == tool_mark(tool).to_le_bytes()) => {
                let why = "tool is not among those that the session was begun with";
                Err(ErrorCode::UnauthorizedTool.because(why))
            }
            _ => Ok(()),
        }
    }
}

/// The refusal of a request that could not be counted: so many others are being counted.
pub(crate) fn uncounted() -> Refusal {
    ErrorCode::RateLimited
        .because("too many calls at once")
        .again_in(1)
}

/// A tool in a record. Names come from the catalogue, so nobody can look for two that are alike.
fn tool_mark(name: &str) -> u32 {
    let hash = sha256_hex(name.as_bytes());
    u32::from_str_radix(hash.get(..8).unwrap_or_default(), 16).unwrap_or(0)
}

/// Takes numbers off the front of a record; they are in little endian.
#[derive(Debug)]
struct Record<'r>(&'r [u8]);

impl Record<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_at_checked(N)?;
        self.0 = rest;
        taken.try_into().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}
