//! The life of one exchange, step by step.

use std::hash::RandomState;

use clampd_detect::Detector;

use crate::{
    Answer, Asking, Charge, Config, Counting, ErrorCode, Head, McpDenial, Micros, Reading, Refusal,
    Reply, Seed, Snapshot, Step, Tally,
    admit::{Endpoint, admit, request_id},
    count::{Parsed, uncounted},
    forward::{Forwarding, Target, host_of},
    identity::may_act,
    mcp::{Denier, Post, Protocol, Stage},
    memory::Memory,
    mint::{self, MintStart, Minted, Minting},
    outcome::{Going, done, go_on, health, not_ready, passed, recorded, refuse, stopped, unread},
    record,
    tool_call::{Admitted, CallBody, JudgedCall, Outlet, ToolCall},
};

/// Judges exchanges. One is built per worker and shared by all its exchanges.
#[derive(Debug)]
pub struct Guard {
    detector: Detector,
    config: Config,
    memory: Memory,
}

impl Guard {
    /// A guard with its detector and configuration.
    pub fn new(detector: Detector, config: Config) -> Self {
        Self {
            detector,
            config,
            memory: Memory::default(),
        }
    }

    /// The same that remembers in which texts nothing was found, by a key that nobody knows.
    pub fn remembering(self, key: RandomState) -> Self {
        Self {
            memory: Memory::new(key),
            ..self
        }
    }

    /// How many texts were not judged again, since this was asked last.
    pub fn take_remembered(&self) -> u64 {
        self.memory.take_hits()
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn detector(&self) -> &Detector {
        &self.detector
    }

    /// Looks at a request's head. `snapshot` is what is in force, if anything is.
    pub fn begin(&self, snapshot: Option<&Snapshot>, head: &Head, seed: &Seed) -> Step {
        let id = request_id(seed);
        let endpoint = match Endpoint::of(head, &self.config) {
            Ok(Endpoint::Metrics) => return Step::Pass,
            Ok(endpoint) => endpoint,
            Err(refusal) => return refuse(None, &refusal, &id),
        };
        let good = snapshot.filter(|snapshot| snapshot.is_good_at(seed.now));
        if endpoint == Endpoint::Unread {
            return unread();
        }
        if endpoint == Endpoint::Health {
            return done(health(snapshot, good));
        }
        let Some(snapshot) = good else {
            return refuse(Some(endpoint), &not_ready(), &id);
        };
        if endpoint == Endpoint::Jwks {
            return done(Reply::json(200, snapshot.jwks()));
        }
        match admit(snapshot, &self.config, head, endpoint, seed, &id) {
            Ok(reading) => Step::Read(Box::new(reading)),
            Err(refusal) => refuse(Some(endpoint), &refusal, &id),
        }
    }

    /// Takes a request's whole body: what it uses is to be counted before it is judged.
    pub fn read(
        &self,
        snapshot: Option<&Snapshot>,
        reading: Reading,
        body: Vec<u8>,
        now: Micros,
    ) -> Step {
        let mut admitted = reading.admitted;
        let Some(snapshot) = snapshot.filter(|s| s.is_good_at(now)) else {
            let endpoint = Some(admitted.endpoint);
            return refuse(endpoint, &not_ready(), &admitted.meta.request_id);
        };
        if body.len() > self.config.body_bytes_max {
            return self.too_large(Reading { admitted });
        }
        if let Some(token) = admitted.micro_token.take() {
            return self.introspect(snapshot, admitted, &token, &body, now);
        }
        let parsed = match self.parse(&admitted, &body) {
            Ok(parsed) => parsed,
            Err(refusal) => return recorded(snapshot, &admitted, &refusal, now),
        };
        let bounds = &admitted.caller.boundaries;
        let charge = Charge::of(&admitted, bounds, body.len(), parsed.use_of(&admitted));
        let counting = Counting {
            admitted,
            body,
            parsed,
        };
        Step::Count(charge, Box::new(counting))
    }

    /// Reads as much of a body as says what it is to the counts.
    fn parse(&self, admitted: &Admitted, body: &[u8]) -> Result<Parsed, Refusal> {
        match admitted.endpoint {
            Endpoint::Proxy | Endpoint::Verify => {
                let delegation = admitted.meta.delegation.clone();
                CallBody::read(body, delegation).map(|body| Parsed::Call(Box::new(body)))
            }
            Endpoint::A2a => Post::read(Protocol::A2a, body, &admitted.mcp_names).map(Parsed::Post),
            Endpoint::Mcp => {
                let protocol = Protocol::Mcp(self.config.mcp_denial);
                Post::read(protocol, body, &admitted.mcp_names).map(Parsed::Post)
            }
            _ => Ok(Parsed::Unread),
        }
    }

    /// Judges a request that was counted; `None` when it could not be.
    pub fn counted(
        &self,
        snapshot: Option<&Snapshot>,
        counting: Counting,
        tally: Option<Tally>,
        now: Micros,
    ) -> Step {
        self.recorded_first(self.judge_counted(snapshot, counting, tally, now))
    }

    fn judge_counted(
        &self,
        snapshot: Option<&Snapshot>,
        counting: Counting,
        tally: Option<Tally>,
        now: Micros,
    ) -> Step {
        let Counting {
            mut admitted,
            body,
            parsed,
        } = counting;
        let body = body.as_slice();
        let Some(snapshot) = snapshot.filter(|s| s.is_good_at(now)) else {
            let endpoint = Some(admitted.endpoint);
            return refuse(endpoint, &not_ready(), &admitted.meta.request_id);
        };
        let tally = tally.ok_or_else(uncounted).and_then(Tally::checked);
        match may_act(snapshot, &admitted.caller.agent).and(tally) {
            Ok(tally) => admitted.meta.tally = tally.into(),
            Err(refusal) => return recorded(snapshot, &admitted, &refusal, now),
        }
        let judged = match admitted.endpoint {
            Endpoint::Rest(_) => return self.read_rest(snapshot, admitted, body, now),
            Endpoint::Model(format) => {
                return self.read_model(snapshot, admitted, format, body, now);
            }
            Endpoint::Inspect => self.inspect(snapshot, &admitted, body, now),
            Endpoint::ScanInput | Endpoint::ScanOutput => self.scan(snapshot, &admitted, body, now),
            Endpoint::McpSession if body.is_empty() => {
                let event = record::begin(&admitted, snapshot, "session");
                let denier = Denier::for_nobody(self.config.mcp_denial);
                return go_on(Going::without_token(admitted, event, denier), now);
            }
            _ => match parsed {
                Parsed::Call(call) => return self.judge_body(snapshot, admitted, *call, now),
                Parsed::Post(post) => return self.judge_post(snapshot, admitted, &post, now),
                Parsed::Unread => {
                    Err(ErrorCode::InvalidBody.because("no body may come with this method"))
                }
            },
        };
        match judged {
            Ok(judgement) => Step::Done(Box::new(judgement)),
            Err(refusal) => recorded(snapshot, &admitted, &refusal, now),
        }
    }

    /// The refusal of a body that is larger than is read; told before it has come whole.
    pub fn too_large(&self, reading: Reading) -> Step {
        let limit = self.config.body_bytes_max;
        let message = format!("body must be at most {limit} bytes");
        refuse(
            Some(reading.admitted.endpoint),
            &ErrorCode::PayloadTooLarge.because(message),
            &reading.admitted.meta.request_id,
        )
    }

    /// Goes on with what a call-out brought; `None` when it brought nothing.
    pub fn answer(
        &self,
        snapshot: Option<&Snapshot>,
        asking: Asking,
        answer: Option<Answer>,
        now: Micros,
    ) -> Step {
        let good = snapshot.filter(|s| s.is_good_at(now));
        let step = match asking {
            Asking::Record(recording) => return recording.acknowledged(good, answer.as_ref(), now),
            Asking::Mint(Minting { call }) => match last_gate(good, &call) {
                Ok(snapshot) => match mint::finish(&self.config, snapshot, &call, answer, now) {
                    Ok(minted) => self.send(call, minted, now),
                    Err(refusal) => call.refuse(&refusal, now),
                },
                Err(refusal) => call.refuse(&refusal, now),
            },
            Asking::Forward(forwarding) => match last_gate(good, &forwarding.call) {
                Ok(snapshot) => self.hand_back(snapshot, forwarding, answer, now),
                Err(refusal) => forwarding.call.refuse(&refusal, now),
            },
            Asking::Introspect(introspecting) => {
                Self::introspected(good, introspecting, answer, now)
            }
        };
        self.recorded_first(step)
    }

    fn judge_body(
        &self,
        snapshot: &Snapshot,
        mut admitted: Admitted,
        body: CallBody,
        now: Micros,
    ) -> Step {
        admitted.meta.delegation = body.delegation;
        admitted.meta.target_host = host_of(&body.target_url);
        let outlet = match self.outlet(snapshot, admitted.endpoint, &body.call, &body.target_url) {
            Ok(outlet) => outlet,
            Err(refusal) => return recorded(snapshot, &admitted, &refusal, now),
        };
        let action = admitted.endpoint.action();
        match self.judge(snapshot, admitted.clone(), &body.call, outlet, action) {
            Ok(call) => self.mint_or_deny(snapshot, call, now),
            Err(refusal) => recorded(snapshot, &admitted, &refusal, now),
        }
    }

    fn outlet(
        &self,
        snapshot: &Snapshot,
        endpoint: Endpoint,
        call: &ToolCall,
        target_url: &str,
    ) -> Result<Outlet, Refusal> {
        if target_url.is_empty() {
            return Ok(Outlet::Caller);
        }
        let tool = snapshot
            .tool(&call.tool)
            .ok_or_else(|| ErrorCode::ToolNotRegistered.because("tool is not in the catalogue"))?;
        let target = Target::check(&self.config, tool, target_url, &call.params)?;
        match endpoint {
            Endpoint::Proxy => Ok(Outlet::Target(target)),
            _ => Ok(Outlet::Caller),
        }
    }

    fn read_rest(
        &self,
        snapshot: &Snapshot,
        mut admitted: Admitted,
        body: &[u8],
        now: Micros,
    ) -> Step {
        let head = admitted.rest.take().unwrap_or_default();
        let tool = head.tool.clone();
        let judged = head.params(body).and_then(|params| {
            let call = ToolCall {
                tool,
                params,
                prompt: None,
                descriptor: Vec::new(),
            };
            let outlet = Outlet::Upstream(Denier::for_nobody(McpDenial::Http));
            self.judge(snapshot, admitted.clone(), &call, outlet, "rest")
        });
        match judged {
            Ok(call) => self.mint_or_deny(snapshot, call, now),
            Err(refusal) => recorded(snapshot, &admitted, &refusal, now),
        }
    }

    fn judge_post(
        &self,
        snapshot: &Snapshot,
        admitted: Admitted,
        post: &Post,
        now: Micros,
    ) -> Step {
        let denier = post.denier();
        let refused = |refusal: &Refusal| {
            let event = record::begin(&admitted, snapshot, post.action());
            let event = record::end(record::with_refusal(event, refusal), now);
            let reply = denier.refuse(Stage::Call, refusal, &admitted.meta.request_id);
            stopped(reply, vec![event])
        };
        let mut marks = Vec::new();
        let stops = self.judge_other_messages(snapshot, &admitted.caller, post, &mut marks);
        let stops = match stops {
            Ok(stops) => stops,
            Err(refusal) => return refused(&refusal),
        };
        if let Some(decision) = stops {
            let mut event = record::begin(&admitted, snapshot, post.action());
            record::mark(&mut event, &marks);
            let event = record::end(record::with_decision(event, &decision), now);
            return stopped(
                denier.deny(Stage::Call, &decision, &admitted.meta.request_id),
                vec![event],
            );
        }
        let call = match post.call() {
            Ok(Some(call)) => call,
            Ok(None) => {
                let mut event = record::begin(&admitted, snapshot, post.action());
                record::mark(&mut event, &marks);
                return go_on(Going::without_token(admitted, event, denier), now);
            }
            Err(refusal) => return refused(&refusal),
        };
        let outlet = Outlet::Upstream(post.denier());
        match self.judge(snapshot, admitted.clone(), call, outlet, "tools/call") {
            Ok(mut call) => {
                record::mark(&mut call.event, &marks);
                self.mint_or_deny(snapshot, call, now)
            }
            Err(refusal) => refused(&refusal),
        }
    }

    fn mint_or_deny(&self, snapshot: &Snapshot, call: JudgedCall, now: Micros) -> Step {
        if !call.decision.verdict.lets_pass() {
            return call.deny(now);
        }
        match mint::start(&self.config, snapshot, &call, now) {
            Ok(MintStart::Minted(minted)) => self.send(call, minted, now),
            Ok(MintStart::Ask(callout)) => {
                Step::Ask(callout, Box::new(Asking::Mint(Minting { call })))
            }
            Err(refusal) => call.refuse(&refusal, now),
        }
    }

    /// An allowed call with its token goes where it was meant to go.
    fn send(&self, mut call: JudgedCall, minted: Minted, now: Micros) -> Step {
        if minted.degraded {
            call.event.degraded_stages.push("token".to_owned());
        }
        match &call.outlet {
            Outlet::Caller => {
                let reply = call.reply(Some(minted.token), None, now);
                passed(call, reply, now)
            }
            Outlet::Target(target) => {
                let callout = target.callout(&self.config, &minted.token, &call);
                let forwarding = Forwarding {
                    call,
                    token: minted.token,
                    sent_at: now,
                };
                Step::Ask(callout, Box::new(Asking::Forward(forwarding)))
            }
            Outlet::Upstream(_) => go_on(Going::with_token(call, minted.token), now),
        }
    }

    /// What the tool answered goes back to the caller, unless it must not.
    fn hand_back(
        &self,
        snapshot: &Snapshot,
        forwarding: Forwarding,
        answer: Option<Answer>,
        now: Micros,
    ) -> Step {
        let Forwarding {
            mut call,
            token,
            sent_at,
        } = forwarding;
        let Some(answer) = answer else {
            call.event.degraded_stages.push("forward".to_owned());
            call.decision.reason = "the call was allowed, but its tool gave no answer".to_owned();
            let reply = call.reply(Some(token), None, now);
            return passed(call, reply, now);
        };
        match self.inspect_answer(snapshot, &mut call, &answer, (sent_at, now)) {
            Ok((response, None)) => {
                let reply = call.reply(Some(token), Some(response), now);
                passed(call, reply, now)
            }
            Ok((_, Some(decision))) => {
                call.event = record::with_decision(call.event, &decision);
                call.event.scope_granted = None;
                call.decision = decision;
                call.deny(now)
            }
            Err(refusal) => call.refuse(&refusal, now),
        }
    }
}

/// The last gate of a call: an agent killed while we waited gets nothing.
pub(crate) fn last_gate<'s>(
    snapshot: Option<&'s Snapshot>,
    call: &JudgedCall,
) -> Result<&'s Snapshot, Refusal> {
    let snapshot = snapshot.ok_or_else(not_ready)?;
    let Admitted { caller, meta, .. } = &call.admitted;
    may_act(snapshot, &caller.agent)?;
    meta.delegation.check(snapshot, &caller.agent)?;
    Ok(snapshot)
}

impl JudgedCall {
    /// The end of a call that was judged and is stopped.
    fn deny(self, now: Micros) -> Step {
        let reply = match &self.outlet {
            Outlet::Upstream(denier) => {
                denier.deny(Stage::Call, &self.decision, &self.admitted.meta.request_id)
            }
            _ => self.reply(None, None, now),
        };
        stopped(reply, vec![record::end(self.event, now)])
    }

    /// The end of a call that may not go on for another reason.
    pub(crate) fn refuse(&self, refusal: &Refusal, now: Micros) -> Step {
        let id = &self.admitted.meta.request_id;
        let reply = match &self.outlet {
            Outlet::Upstream(denier) => denier.refuse(Stage::Call, refusal, id),
            _ => refusal.reply(id),
        };
        let event = record::with_refusal(self.event.clone(), refusal);
        stopped(reply, vec![record::end(event, now)])
    }
}
