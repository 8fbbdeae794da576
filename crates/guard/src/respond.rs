//! What comes back from an upstream: looked at before the caller sees it.

use clampd_detect::Findings;
use clampd_model::{AuditEvent, ObservedResponse};

use crate::{
    Decision, ErrorCode, Guard, Micros, Refusal, Reply, Snapshot,
    admit::Endpoint,
    format::Format,
    identity::may_act,
    mcp::{Denier, Stage},
    mcp_answer::{McpAnswer, Ruling},
    model::{Hearing, RuledCalls},
    record,
    sse::{Event, SseReader},
    stream::ModelStream,
    tool_call::Admitted,
};

/// An exchange that went on to its upstream and waits for the answer.
#[derive(Debug)]
pub struct Watching {
    pub(crate) admitted: Admitted,
    pub(crate) answer: McpAnswer,
    pub(crate) denier: Denier,
    pub(crate) event: AuditEvent,
    pub(crate) calls: RuledCalls,
    pub(crate) sent_at: Micros,
}

/// The head of an answer.
#[derive(Debug, Clone, Default)]
pub struct ResponseHead {
    /// HTTP status.
    pub status: u16,
    /// `content-type`, empty where there is none or it cannot be read.
    pub content_type: String,
    /// Whether a `content-encoding` other than `identity` hides what it says.
    pub is_encoded: bool,
}

/// What is to be done with an answer.
#[derive(Debug)]
pub enum ResponseStep {
    /// Hold its headers and bring its whole body.
    Collect(Box<Collecting>),
    /// Let its headers go on, without their length, and give each chunk to [`Streaming::push`].
    Stream(Box<Streaming>),
    /// Give this in its place.
    Replace(Reply, Vec<AuditEvent>),
}

/// An answer whose body is being collected.
#[derive(Debug)]
pub struct Collecting {
    watching: Watching,
    head: ResponseHead,
}

/// An answer that is a stream of events.
#[derive(Debug)]
pub struct Streaming {
    watching: Watching,
    /// The model's answer, where a model answers.
    model: Option<(Format, ModelStream)>,
    reader: SseReader,
    status: u16,
    bytes: u64,
    /// Nothing more goes on.
    is_cut: bool,
}

/// A judged body.
#[derive(Debug)]
pub struct ResponseJudgement {
    /// The status and body to give in place of what came; `None` leaves it as it is.
    pub instead: Option<Reply>,
    /// What is to be remembered.
    pub events: Vec<AuditEvent>,
}

/// A judged piece of a stream.
#[derive(Debug, Default)]
pub struct Piece {
    /// What goes on.
    pub bytes: Vec<u8>,
    /// What is to be remembered.
    pub events: Vec<AuditEvent>,
}

impl Watching {
    /// What is to be remembered of an exchange whose answer never came whole.
    pub fn abandoned(self) -> AuditEvent {
        self.event
    }

    /// Adds what was found of personal data and secrets.
    pub(crate) fn note_sensitive(&mut self, findings: &Findings) {
        let response = self.event.response.get_or_insert_default();
        record::add_sensitive(&mut response.pii, findings);
    }

    fn model(&self) -> Option<Format> {
        match self.admitted.endpoint {
            Endpoint::Model(format) => Some(format),
            _ => None,
        }
    }

    fn deny(&self, decision: &Decision) -> Reply {
        let id = &self.admitted.meta.request_id;
        match self.model() {
            Some(format) => format.error(&decision.refusal(), id),
            None => self.denier.deny(Stage::Answer, decision, id),
        }
    }

    fn refuse(&self, refusal: &Refusal) -> Reply {
        let id = &self.admitted.meta.request_id;
        match self.model() {
            Some(format) => format.error(refusal, id),
            None => self.denier.refuse(Stage::Answer, refusal, id),
        }
    }

    fn ended(self, status: u16, bytes: u64, now: Micros) -> AuditEvent {
        let response = ObservedResponse {
            status,
            bytes,
            latency_us: now.saturating_sub(self.sent_at),
            ..self.event.response.unwrap_or_default()
        };
        AuditEvent {
            response: Some(response),
            ..self.event
        }
    }
}

impl Collecting {
    /// What is to be remembered when the rest of the body never comes.
    pub fn abandoned(self) -> AuditEvent {
        self.watching.abandoned()
    }
}

impl Guard {
    /// Looks at the head of an answer.
    pub fn response_head(
        &self,
        watching: Watching,
        head: ResponseHead,
        now: Micros,
    ) -> ResponseStep {
        if head.is_encoded {
            let why = "the upstream's answer is encoded and cannot be inspected";
            let refusal = ErrorCode::UnsupportedEncoding.because(why);
            return replaced(watching, &refusal, head.status, now);
        }
        let media_type = head
            .content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        if media_type.eq_ignore_ascii_case("text/event-stream") {
            let bytes_max = self.config().body_bytes_max;
            let model = watching.model();
            return ResponseStep::Stream(Box::new(Streaming {
                watching,
                model: model.map(|format| (format, ModelStream::new(format, bytes_max))),
                reader: SseReader::new(bytes_max),
                status: head.status,
                bytes: 0,
                is_cut: false,
            }));
        }
        ResponseStep::Collect(Box::new(Collecting { watching, head }))
    }

    /// Judges a whole answer.
    pub fn response_body(
        &self,
        snapshot: Option<&Snapshot>,
        collecting: Collecting,
        body: &[u8],
        now: Micros,
    ) -> ResponseJudgement {
        let Collecting { mut watching, head } = collecting;
        let ruling = match in_force(snapshot, &watching.admitted, now) {
            Ok(_) if body.len() > self.config().body_bytes_max => {
                Ruling::Refuse(ErrorCode::PayloadTooLarge.because("the answer is too large"))
            }
            Ok(snapshot) => match watching.model() {
                Some(format) => {
                    let mut hearing = Hearing {
                        guard: self,
                        snapshot,
                        watching: &mut watching,
                        format,
                        now,
                    };
                    self.rule_on_model_answer(&mut hearing, head.status, body)
                }
                None => self.rule_on_answer(snapshot, &mut watching, body),
            },
            Err(refusal) => Ruling::Refuse(refusal),
        };
        let body_bytes = body.len() as u64;
        let instead = match ruling {
            Ruling::Pass => None,
            Ruling::Rewrite(body) => Some(Reply {
                status: head.status,
                headers: Vec::new(),
                body,
            }),
            Ruling::Deny(decision) => {
                watching.event = record::with_decision(watching.event, &decision);
                Some(watching.deny(&decision))
            }
            Ruling::Refuse(refusal) => {
                watching.event = record::with_refusal(watching.event, &refusal);
                Some(watching.refuse(&refusal))
            }
        };
        let mut events = std::mem::take(&mut watching.calls.events);
        events.push(watching.ended(head.status, body_bytes, now));
        ResponseJudgement { instead, events }
    }
}

impl Streaming {
    /// Judges a chunk: gives the events that may go on. Nothing of an event is given before it is
    /// whole and judged.
    pub fn push(
        &mut self,
        guard: &Guard,
        snapshot: Option<&Snapshot>,
        chunk: &[u8],
        now: Micros,
    ) -> Piece {
        let mut piece = Piece::default();
        self.bytes += chunk.len() as u64;
        if self.is_cut {
            return piece;
        }
        let snapshot = match in_force(snapshot, &self.watching.admitted, now) {
            Ok(snapshot) => snapshot,
            Err(refusal) => {
                self.cut(&refusal, &mut piece, now);
                return piece;
            }
        };
        let mut events = Vec::new();
        let read = self.reader.push(chunk, |event| events.push(event));
        for event in events {
            if !self.is_cut {
                self.judge(guard, snapshot, event, &mut piece, now);
            }
        }
        if read.is_err() && !self.is_cut {
            let why = "the upstream's stream cannot be read";
            self.cut(&ErrorCode::PayloadTooLarge.because(why), &mut piece, now);
        }
        piece
    }

    /// The stream is over: gives what is still to be told, and what is to be remembered.
    pub fn end(mut self, guard: &Guard, snapshot: Option<&Snapshot>, now: Micros) -> Piece {
        let mut piece = Piece::default();
        if !self.is_cut
            && let Ok(snapshot) = in_force(snapshot, &self.watching.admitted, now)
            && let Some((format, model)) = &mut self.model
        {
            let mut hearing = Hearing {
                guard,
                snapshot,
                watching: &mut self.watching,
                format: *format,
                now,
            };
            model.end(&mut hearing, &mut piece.bytes);
        }
        piece.events.append(&mut self.watching.calls.events);
        piece
            .events
            .push(self.watching.ended(self.status, self.bytes, now));
        piece
    }

    fn judge(
        &mut self,
        guard: &Guard,
        snapshot: &Snapshot,
        event: Event,
        piece: &mut Piece,
        now: Micros,
    ) {
        if let Some((format, model)) = &mut self.model {
            let mut hearing = Hearing {
                guard,
                snapshot,
                watching: &mut self.watching,
                format: *format,
                now,
            };
            let read = model.push(event, &mut hearing, &mut piece.bytes);
            piece.events.append(&mut self.watching.calls.events);
            if let Err(refusal) = read {
                self.cut(&refusal, piece, now);
            }
            return;
        }
        let Some(data) = event.data.as_deref().filter(|data| !data.is_empty()) else {
            return event.write(&mut piece.bytes);
        };
        match guard.rule_on_answer(snapshot, &mut self.watching, data.as_bytes()) {
            Ruling::Pass => event.write(&mut piece.bytes),
            Ruling::Rewrite(body) => {
                Event {
                    data: String::from_utf8(body).ok(),
                    ..event
                }
                .write(&mut piece.bytes);
            }
            Ruling::Deny(decision) => {
                self.note(piece, now, |event| record::with_decision(event, &decision));
                let reply = self.watching.deny(&decision);
                self.say_no(reply, piece);
            }
            Ruling::Refuse(refusal) => self.cut(&refusal, piece, now),
        }
    }

    fn cut(&mut self, refusal: &Refusal, piece: &mut Piece, now: Micros) {
        self.note(piece, now, |event| record::with_refusal(event, refusal));
        let reply = self.watching.refuse(refusal);
        self.say_no(reply, piece);
        self.is_cut = true;
    }

    /// Gives the one who waits its answer, a denial, and ends the stream for it. Where nobody
    /// waits the event is left out and the stream goes on.
    fn say_no(&mut self, reply: Reply, piece: &mut Piece) {
        if self.watching.denier.is_for_nobody() && self.model.is_none() {
            return;
        }
        self.is_cut = true;
        let kind = match self.watching.model() {
            Some(Format::Messages | Format::Responses) => "error",
            _ => "",
        };
        Event {
            kind: kind.to_owned(),
            data: String::from_utf8(reply.body).ok(),
            ..Event::default()
        }
        .write(&mut piece.bytes);
    }

    /// Leaves an event of its own for something stopped inside the stream.
    fn note(&self, piece: &mut Piece, now: Micros, how: impl Fn(AuditEvent) -> AuditEvent) {
        let mut event = self.watching.event.clone();
        event.event_id = format!("{}/{}", event.event_id, self.bytes);
        piece.events.push(record::end(how(event), now));
    }
}

/// What may decide now, unless the caller was stopped meanwhile.
fn in_force<'s>(
    snapshot: Option<&'s Snapshot>,
    admitted: &Admitted,
    now: Micros,
) -> Result<&'s Snapshot, Refusal> {
    let snapshot = snapshot
        .filter(|s| s.is_good_at(now))
        .ok_or_else(|| ErrorCode::NotReady.because("no valid bundle is in force"))?;
    may_act(snapshot, &admitted.caller.agent)?;
    Ok(snapshot)
}

fn replaced(watching: Watching, refusal: &Refusal, status: u16, now: Micros) -> ResponseStep {
    let reply = watching.refuse(refusal);
    let event = record::with_refusal(watching.event.clone(), refusal);
    let event = Watching { event, ..watching }.ended(status, 0, now);
    ResponseStep::Replace(reply, vec![event])
}
