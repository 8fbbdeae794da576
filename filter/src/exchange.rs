//! One HTTP exchange: brings the guard what it asks for and does what it says.

use std::rc::Rc;

use clampd_guard::{Answer, Asking, Callout, Micros, Reading, Reply, Snapshot, Step};
use proxy_wasm::{
    traits::{Context, HttpContext},
    types::Action,
};

use crate::{answer::Answering, host, shared, worker::Worker};

/// An exchange. `worker` is missing when the VM could not be configured; then nothing passes.
#[derive(Debug)]
pub(crate) struct Exchange {
    worker: Option<Rc<Worker>>,
    state: State,
    answering: Answering,
    /// The names of the headers that the request came with.
    came_with: Vec<String>,
}

#[derive(Debug)]
enum State {
    /// Nothing was seen of the request yet.
    New,
    /// The body is being collected.
    Reading(Box<Reading>),
    /// A call-out is on its way.
    Asking(u32, Box<Asking>),
    /// It was let through.
    Passed,
    /// It was answered here, or is stuck and must not go on.
    Stopped,
}

/// What Envoy is to do with the request or the answer now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    Go,
    Hold,
}

impl Exchange {
    pub(crate) fn new(worker: Option<Rc<Worker>>) -> Self {
        Self {
            worker,
            state: State::New,
            answering: Answering::Unwatched,
            came_with: Vec::new(),
        }
    }

    /// Carries steps out until one has to wait or the exchange is judged, all under the same bundle
    /// and at the same moment.
    fn carry_out(
        &mut self,
        worker: &Worker,
        snapshot: Option<&Snapshot>,
        mut step: Step,
        now: Micros,
    ) -> Flow {
        loop {
            match step {
                Step::Pass => {
                    self.state = State::Passed;
                    return Flow::Go;
                }
                Step::Read(reading) => {
                    self.state = State::Reading(reading);
                    return Flow::Hold;
                }
                Step::Count(charge, counting) => {
                    let tally = worker.charge(&charge, now);
                    step = worker.guard.counted(snapshot, *counting, tally, now);
                }
                Step::Ask(callout, asking) => {
                    if let Some(call) = made(worker, &callout, &asking, now) {
                        self.state = State::Asking(call, asking);
                        return Flow::Hold;
                    }
                    step = worker.guard.answer(snapshot, *asking, None, now);
                }
                Step::Done(mut judgement) => {
                    worker.judged(&judgement);
                    worker.record(std::mem::take(&mut judgement.events), now);
                    if let Some(reply) = &judgement.reply {
                        self.state = State::Stopped;
                        host::reply(reply);
                        return Flow::Hold;
                    }
                    host::change_request_headers(&judgement.headers, &self.came_with);
                    if let Some(watching) = judgement.watching {
                        self.answering = Answering::Awaited(watching);
                    }
                    self.state = State::Passed;
                    return Flow::Go;
                }
            }
        }
    }

    /// The body is whole: have it judged.
    fn read_body(&mut self, reading: Reading) -> Flow {
        let Some(worker) = self.worker.clone() else {
            return Flow::Hold;
        };
        let body = host::request_body(worker.guard.config().body_bytes_max + 1);
        let (snapshot, now) = (worker.snapshot(), host::now());
        let step = worker.guard.read(snapshot.as_deref(), reading, body, now);
        self.carry_out(&worker, snapshot.as_deref(), step, now)
    }

    /// Takes the answer a step further.
    fn answer(&mut self, step: impl FnOnce(Answering, &Worker) -> (Answering, Flow)) -> Action {
        let Some(worker) = self.worker.clone() else {
            return Action::Continue;
        };
        let (answering, flow) = step(std::mem::take(&mut self.answering), &worker);
        self.answering = answering;
        flow.into()
    }

    /// More of the request has come; `whole` when it is all there.
    fn more(&mut self, bytes: usize, whole: bool) -> Flow {
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::Passed => {
                self.state = State::Passed;
                Flow::Go
            }
            State::Reading(reading) => {
                let Some(worker) = self.worker.clone() else {
                    return Flow::Hold;
                };
                if bytes > worker.guard.config().body_bytes_max {
                    let step = worker.guard.too_large(*reading);
                    return self.carry_out(&worker, None, step, host::now());
                }
                if whole {
                    return self.read_body(*reading);
                }
                self.state = State::Reading(reading);
                Flow::Hold
            }
            held => {
                self.state = held;
                Flow::Hold
            }
        }
    }
}

/// Makes a call, unless it is known that nobody would answer.
fn made(worker: &Worker, callout: &Callout, asking: &Asking, now: Micros) -> Option<u32> {
    if !asking.is_of_control_plane() {
        return host::call(callout);
    }
    if !shared::may_ask(callout.timeout_ms, now) {
        return None;
    }
    let call = host::call(callout);
    if call.is_none() {
        worker.asked_control_plane(false);
    }
    call
}

impl HttpContext for Exchange {
    fn on_http_request_headers(&mut self, _headers: usize, end_of_stream: bool) -> Action {
        let (Some(worker), Some(seed)) = (self.worker.clone(), host::seed()) else {
            self.state = State::Stopped;
            host::reply(&unconfigured());
            return Action::Pause;
        };
        let mut head = host::request_head();
        if !worker.guard.config().peers.is_empty() {
            head = head.from_peer(host::peer_uri());
        }
        let snapshot = worker.snapshot();
        let step = worker.guard.begin(snapshot.as_deref(), &head, &seed);
        self.came_with = head.into_names();
        let flow = match self.carry_out(&worker, snapshot.as_deref(), step, seed.now) {
            Flow::Hold if end_of_stream => self.more(0, true),
            flow => flow,
        };
        flow.into()
    }

    fn on_http_request_body(&mut self, body_bytes: usize, end_of_stream: bool) -> Action {
        self.more(body_bytes, end_of_stream).into()
    }

    fn on_http_request_trailers(&mut self, _trailers: usize) -> Action {
        // With trailers the body's last callback does not say that it is the last.
        self.more(0, true).into()
    }

    fn on_http_response_headers(&mut self, _headers: usize, end_of_stream: bool) -> Action {
        self.answer(|answering, worker| answering.headers(worker, end_of_stream))
    }

    fn on_http_response_body(&mut self, body_bytes: usize, end_of_stream: bool) -> Action {
        self.answer(|answering, worker| answering.body(worker, body_bytes, end_of_stream))
    }

    fn on_http_response_trailers(&mut self, _trailers: usize) -> Action {
        self.answer(Answering::trailers)
    }

    fn on_log(&mut self) {
        if let Some(worker) = self.worker.clone() {
            std::mem::take(&mut self.answering).abandoned(&worker);
        }
    }
}

impl Context for Exchange {
    fn on_http_call_response(&mut self, call: u32, headers: usize, body_bytes: usize, _: usize) {
        let Some(worker) = self.worker.clone() else {
            return;
        };
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::Asking(ours, asking) if ours == call => {
                let answer = host::answer(headers, body_bytes);
                if asking.is_of_control_plane() {
                    worker.asked_control_plane(answer.as_ref().is_some_and(Answer::is_there));
                }
                let (snapshot, now) = (worker.snapshot(), host::now());
                let step = worker
                    .guard
                    .answer(snapshot.as_deref(), *asking, answer, now);
                if self.carry_out(&worker, snapshot.as_deref(), step, now) == Flow::Go {
                    host::resume_request();
                }
            }
            state => self.state = state,
        }
    }
}

impl From<Flow> for Action {
    fn from(flow: Flow) -> Self {
        match flow {
            Flow::Go => Self::Continue,
            Flow::Hold => Self::Pause,
        }
    }
}

fn unconfigured() -> Reply {
    let body = serde_json::json!({
        "error": "the filter has no configuration", "error_code": "not_ready", "request_id": "",
    });
    Reply::json(503, &body)
}
