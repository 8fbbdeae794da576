//! The answer of an upstream, on its way back to the caller.

use clampd_guard::{Collecting, ResponseJudgement, ResponseStep, Streaming, Watching};

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
        let head = host::response_head();
        match worker.guard.response_head(*watching, head, host::now()) {
            ResponseStep::Collect(collecting) if end_of_stream => {
                judge(worker, *collecting, &[]);
                (Self::Unwatched, Flow::Go)
            }
            ResponseStep::Collect(collecting) => (Self::Collecting(collecting), Flow::Hold),
            ResponseStep::Stream(streaming) if end_of_stream => {
                worker.record(vec![streaming.end(host::now())]);
                (Self::Unwatched, Flow::Go)
            }
            ResponseStep::Stream(streaming) => {
                host::forget_response_length();
                (Self::Streaming(streaming), Flow::Go)
            }
            ResponseStep::Replace(reply, events) => {
                worker.record(events);
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
                let replaced = judge(worker, *collecting, &body);
                if let Some(body) = replaced {
                    if too_large && !whole {
                        // The rest is still to come, so the answer is ended here.
                        host::reply_json(&body);
                        return (Self::Unwatched, Flow::Hold);
                    }
                    host::replace_response(bytes, &body);
                }
                (Self::Unwatched, Flow::Go)
            }
            Self::Streaming(mut streaming) => {
                let chunk = host::response_body(bytes);
                let snapshot = worker.snapshot();
                let now = host::now();
                let piece = streaming.push(&worker.guard, snapshot.as_deref(), &chunk, now);
                host::replace_chunk(bytes, &piece.bytes);
                worker.record(piece.events);
                if whole {
                    worker.record(vec![streaming.end(now)]);
                    return (Self::Unwatched, Flow::Go);
                }
                (Self::Streaming(streaming), Flow::Go)
            }
            other => (other, Flow::Go),
        }
    }

    /// Trailers end the body.
    pub(crate) fn trailers(self, worker: &Worker) -> (Self, Flow) {
        match self {
            Self::Collecting(collecting) => {
                let body = host::response_body(worker.guard.config().body_bytes_max + 1);
                if let Some(replaced) = judge(worker, *collecting, &body) {
                    host::replace_response(body.len(), &replaced);
                }
                (Self::Unwatched, Flow::Go)
            }
            Self::Streaming(streaming) => {
                worker.record(vec![streaming.end(host::now())]);
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
            Self::Streaming(streaming) => streaming.end(host::now()),
        };
        worker.keep(&event);
    }
}

/// Has a whole body judged; gives what is to stand in its place.
fn judge(worker: &Worker, collecting: Collecting, body: &[u8]) -> Option<Vec<u8>> {
    let snapshot = worker.snapshot();
    let ResponseJudgement { body, events } =
        worker
            .guard
            .response_body(snapshot.as_deref(), collecting, body, host::now());
    worker.record(events);
    body
}
