//! The answer of an upstream, on its way back to the caller.

use clampd_guard::{Collecting, Reply, ResponseJudgement, ResponseStep, Streaming, Watching};

use crate::{exchange::Flow, host, worker::Worker};

/// How far an answer has come.
#[derive(Debug, Default)]
pub(crate) enum Answering {
    /// Nobody looks at it: it is our own, or there is nothing to see.
    #[default]
    Unwatched,
    /// Its head has not come.
    Awaited(Box<Watching>),
    /// Its body is being collected.
    Collecting(Box<Collecting>),
    /// It is looked at event by event.
    Streaming(Box<Streaming>),
}

impl Answering {
    /// The head of the answer is here.
    pub(crate) fn headers(self, worker: &Worker, end_of_stream: bool) -> (Self, Flow) {
        let Self::Awaited(watching) = self else {
            return (self, Flow::Go);
        };
        let now = host::now();
        let head = host::response_head();
        match worker.guard.response_head(*watching, head, now) {
            ResponseStep::Collect(collecting) if end_of_stream => {
                judge(worker, *collecting, &[]);
                (Self::Unwatched, Flow::Go)
            }
            ResponseStep::Collect(collecting) => (Self::Collecting(collecting), Flow::Hold),
            ResponseStep::Stream(streaming) if end_of_stream => {
                end(worker, *streaming);
                (Self::Unwatched, Flow::Go)
            }
            ResponseStep::Stream(streaming) => {
                host::forget_response_length();
                (Self::Streaming(streaming), Flow::Go)
            }
            ResponseStep::Replace(reply, events) => {
                worker.record(events, now);
                host::reply(&reply);
                (Self::Unwatched, Flow::Hold)
            }
        }
    }

    /// More of the body has come: all of it so far where it is collected, a chunk of a stream.
    pub(crate) fn body(self, worker: &Worker, bytes: usize, whole: bool) -> (Self, Flow) {
        match self {
            Self::Collecting(collecting) => {
                let too_large = bytes > worker.guard.config().body_bytes_max;
                if !whole && !too_large {
                    return (Self::Collecting(collecting), Flow::Hold);
                }
                let body = host::response_body(bytes);
                if let Some(reply) = judge(worker, *collecting, &body) {
                    if too_large && !whole {
                        // The rest is still to come, so the answer is ended here.
                        host::reply(&reply);
                        return (Self::Unwatched, Flow::Hold);
                    }
                    host::replace_response(bytes, &reply);
                }
                (Self::Unwatched, Flow::Go)
            }
            Self::Streaming(mut streaming) => {
                let chunk = host::response_body(bytes);
                let snapshot = worker.snapshot();
                let now = host::now();
                let piece = streaming.push(&worker.guard, snapshot.as_deref(), &chunk, now);
                worker.record(piece.events, now);
                let mut told = piece.bytes;
                let rest = if whole {
                    told.extend(end(worker, *streaming));
                    Self::Unwatched
                } else {
                    Self::Streaming(streaming)
                };
                host::replace_chunk(bytes, &told);
                (rest, Flow::Go)
            }
            other => (other, Flow::Go),
        }
    }

    /// Trailers end the body.
    pub(crate) fn trailers(self, worker: &Worker) -> (Self, Flow) {
        match self {
            Self::Collecting(collecting) => {
                let body = host::response_body(worker.guard.config().body_bytes_max + 1);
                if let Some(reply) = judge(worker, *collecting, &body) {
                    host::replace_response(body.len(), &reply);
                }
                (Self::Unwatched, Flow::Go)
            }
            Self::Streaming(streaming) => {
                // Nothing can be told any more: what is still held never goes on.
                end(worker, *streaming);
                (Self::Unwatched, Flow::Go)
            }
            other => (other, Flow::Go),
        }
    }

    /// The exchange is over; what was begun is remembered.
    pub(crate) fn abandoned(self, worker: &Worker) {
        let event = match self {
            Self::Unwatched => return,
            Self::Awaited(watching) => watching.abandoned(),
            Self::Collecting(collecting) => collecting.abandoned(),
            Self::Streaming(streaming) => {
                end(worker, *streaming);
                return;
            }
        };
        worker.keep(&event, host::now());
    }
}

/// A stream is over: remembers it, and gives what is still to be told.
fn end(worker: &Worker, streaming: Streaming) -> Vec<u8> {
    let snapshot = worker.snapshot();
    let now = host::now();
    let piece = streaming.end(&worker.guard, snapshot.as_deref(), now);
    worker.record(piece.events, now);
    piece.bytes
}

/// Has a whole body judged; gives what is to stand in its place.
fn judge(worker: &Worker, collecting: Collecting, body: &[u8]) -> Option<Reply> {
    let snapshot = worker.snapshot();
    let now = host::now();
    let ResponseJudgement { instead, events } =
        worker
            .guard
            .response_body(snapshot.as_deref(), collecting, body, now);
    worker.record(events, now);
    instead
}
