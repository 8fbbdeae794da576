//! The life of an exchange: admit, read, detect, decide, record.
//!
//! The guard returns what should be done and is never handed someone to do it with. An exchange
//! is a value: [`Guard::begin`] looks at the headers and answers with a [`Step`]; whoever carries
//! steps out (the filter, or a test) brings back a body or an answer and gets the next one, until
//! [`Step::Done`]. No I/O, clock, environment or randomness is here: they are arguments.

mod admit;
mod bounds;
mod circuit;
mod config;
mod consult;
mod count;
mod decide;
mod delegation;
mod exchange;
mod format;
mod forward;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod inspection;
mod introspect;
mod json;
mod leaves;
mod masking;
mod mcp;
mod mcp_answer;
mod memory;
mod mint;
mod model;
mod outcome;
mod own_rules;
mod peer;
mod record;
mod recording;
mod refusal;
mod reply;
mod respond;
mod rest;
mod scan;
mod snapshot;
mod sse;
mod step;
mod stream;
mod tool_call;
mod trace;
mod verified;
mod weigh;
mod whole_bundle;

pub use circuit::{Circuit, Permit};
pub use config::{
    AuditMode, Config, ConfigError, ControlPlane, McpDenial, Mint, MintFailure, Mode, Trace,
};
pub use count::{AgentRisk, AnswerBytes, Charge, Counting, Entry, Laid, Tally};
pub use decide::{Decision, judge_text};
pub use exchange::Guard;
pub use json::{JSON_DEPTH_MAX, parse_strict};
pub use leaves::{LEAVES_MAX, leaves_of};
pub use model::MODEL_CALL;
pub use own_rules::OwnRules;
pub use peer::Peers;
pub use refusal::{ErrorCode, Refusal};
pub use reply::{Denial, ProxyResponse, Reply, ScanResponse};
pub use respond::{
    Collecting, Piece, ResponseHead, ResponseJudgement, ResponseStep, Streaming, Watching,
};
pub use rest::RestRoute;
pub use snapshot::{Snapshot, SnapshotError};
pub use step::{
    Answer, Asking, Callout, Head, HeaderChanges, Judgement, Micros, Reading, Seed, Step,
};
pub use trace::{access_note, pipeline_lines};
pub use weigh::{EXEMPTED, WOULD_BLOCK};
pub use whole_bundle::WholeBundle;
