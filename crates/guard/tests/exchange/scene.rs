//! A gateway in one value: a guard, what is in force, and what the world answers.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    hash::RandomState,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clampd_detect::Detector;
use clampd_guard::{
    Answer, AnswerBytes, Callout, Charge, Config, Guard, Head, HeaderChanges, Judgement, Reply,
    ResponseHead, ResponseStep, Seed, Snapshot, Step, Tally, Watching,
};
use clampd_model::{AgentClaims, AgentId, AuditEvent, Secret, Verdict};
use clampd_token::{agent_hmac_key, sha256_hex, sign_agent_jwt_hs256, tool_binding};
use serde_json::{Value, json};

pub(crate) const NOW: u64 = 1_800_000_000_000_000;
const ROOT: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

pub(crate) struct Scene {
    guard: Guard,
    snapshot: Option<Snapshot>,
    /// What is in force once a call-out has come back.
    later: Option<Snapshot>,
    peer: Option<String>,
    exchange: Option<(u16, String)>,
    tool: (u16, String),
    route_mode: Option<&'static str>,
    calls: RefCell<Vec<Callout>>,
    events: RefCell<Vec<AuditEvent>>,
    verdicts: RefCell<Vec<Verdict>>,
    watching: RefCell<Option<Box<Watching>>>,
    records: RefCell<HashMap<String, Vec<u8>>>,
    now: Cell<u64>,
}

/// The body of `/v1/proxy`.
pub(crate) fn call(tool: &str, params: Value) -> Value {
    json!({"tool": tool, "params": params, "target_url": ""})
}

pub(crate) fn jwt(agent: &str) -> String {
    jwt_from(agent, "test")
}

pub(crate) fn jwt_from(agent: &str, iss: &str) -> String {
    let now = NOW / 1_000_000;
    let claims = AgentClaims {
        sub: AgentId::parse(agent).unwrap(),
        iss: Some(iss.into()),
        iat: Some(now),
        exp: now + 3600,
        aud: None,
        scopes: None,
    };
    sign_agent_jwt_hs256(
        &claims,
        &agent_hmac_key(&Secret::new(format!("ags_{agent}"))),
    )
}

pub(crate) fn bearer(agent: &str) -> String {
    format!("Bearer {}", jwt(agent))
}

/// The claims of a token, unverified.
pub(crate) fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(r#""mint":"exchange""#)
    }

    /// A scene with one more field in the configuration.
    pub(crate) fn with(extra: &str) -> Self {
        Self::configured(extra, "result")
    }

    pub(crate) fn denying_mcp_by(denial: &str) -> Self {
        Self::configured(r#""mint":"exchange""#, denial)
    }

    fn configured(extra: &str, denial: &str) -> Self {
        let json = format!(
            r#"{{"mode":"gateway","trust_root_env":"ROOT",
            "control_plane":{{"cluster":"cp","authority":"cp","key_env":"KEY"}},
            "upstreams":{{"http://127.0.0.1:9001":"sql"}},"mcp":{{"paths":["/mcp"],"denial":"{denial}"}},{extra}}}"#
        );
        let config = Config::parse(json.as_bytes(), |name| {
            let value = match name {
                "ROOT" => ROOT,
                "TOOL_KEY" => "ag_live_tool",
                _ => "ag_live_proxy",
            };
            Some(value.to_owned())
        });
        let detector = Detector::new(*clampd_ruleset::RULES).unwrap();
        Self {
            guard: Guard::new(detector, config.unwrap()).remembering(RandomState::new()),
            snapshot: Some(snapshot(&["dead"], NOW / 1_000_000 + 3600)),
            later: None,
            peer: None,
            exchange: Some((200, r#"{"access_token":"minted.by.exchange"}"#.into())),
            tool: (200, "{}".into()),
            route_mode: None,
            calls: RefCell::default(),
            events: RefCell::default(),
            verdicts: RefCell::default(),
            watching: RefCell::default(),
            records: RefCell::default(),
            now: Cell::new(NOW),
        }
    }

    /// The same under other policies, which have the compact form.
    pub(crate) fn under(self, policies: &Value) -> Self {
        let expires_at = NOW / 1_000_000 + 3600;
        Self {
            snapshot: Some(snapshot_with(&["dead"], expires_at, policies)),
            ..self
        }
    }

    pub(crate) fn killing_in_flight(self, agent: &str) -> Self {
        Self {
            later: Some(snapshot(&["dead", agent], NOW / 1_000_000 + 3600)),
            ..self
        }
    }

    /// The peer shows a certificate with this URI.
    pub(crate) fn over_mtls(self, uri: &str) -> Self {
        Self {
            peer: Some(uri.to_owned()),
            ..self
        }
    }

    /// The scene with more settings and rules of the organisation's own.
    pub(crate) fn set(self, settings: &Value, rules: &Value) -> Self {
        let mut bundle = bundle(&["dead"], NOW / 1_000_000 + 3600, &base());
        let entries = bundle["sections"]["settings"]["entries"].as_object_mut();
        let more = settings.as_object().unwrap().clone();
        entries.unwrap().extend(more);
        bundle["sections"]["rules"]["entries"] = rules.clone();
        Self {
            snapshot: Some(read(&bundle)),
            ..self
        }
    }

    pub(crate) fn without_bundle(self) -> Self {
        Self {
            snapshot: None,
            ..self
        }
    }

    /// On a route that names its mode.
    pub(crate) fn on_route(self, mode: &'static str) -> Self {
        Self {
            route_mode: Some(mode),
            ..self
        }
    }

    pub(crate) fn expired(self) -> Self {
        Self {
            snapshot: Some(snapshot(&[], NOW / 1_000_000)),
            ..self
        }
    }

    pub(crate) fn exchanging(self, answer: Option<(u16, &str)>) -> Self {
        Self {
            exchange: answer.map(|(status, body)| (status, body.to_owned())),
            ..self
        }
    }

    pub(crate) fn answering(self, status: u16, body: &str) -> Self {
        Self {
            tool: (status, body.to_owned()),
            ..self
        }
    }

    /// The headers of an honest request.
    pub(crate) fn headers(&self) -> Vec<(&'static str, String)> {
        self.headers_of("scout")
    }

    /// The headers of an honest request of that agent.
    pub(crate) fn headers_of(&self, agent: &str) -> Vec<(&'static str, String)> {
        vec![
            ("x-ag-key", "ag_test_acme".to_owned()),
            ("authorization", format!("Bearer {}", jwt(agent))),
        ]
    }

    /// What that agent gets for a POST.
    pub(crate) fn post_as(&self, agent: &str, path: &str, body: &Value) -> Value {
        let body = body.to_string();
        let headers = self.headers_of(agent);
        self.send("POST", path, headers, body.as_bytes()).1
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send("POST", path, self.headers(), body.to_string().as_bytes())
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: Vec<(&str, String)>,
        body: &[u8],
    ) -> (u16, Value) {
        let reply = self
            .exchange(method, path, headers, body)
            .1
            .expect("an answer from here");
        (
            reply.status,
            serde_json::from_slice(&reply.body).expect("an answer in JSON"),
        )
    }

    /// Carries one exchange out: what goes on upstream, or the answer given here.
    pub(crate) fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: Vec<(&str, String)>,
        body: &[u8],
    ) -> (HeaderChanges, Option<Reply>) {
        let pseudo = [(":method", method.to_owned()), (":path", path.to_owned())];
        let all = pseudo.into_iter().chain(headers);
        let head = Head::new(all.map(|(n, v)| (n.to_owned(), v.into_bytes())).collect())
            .from_peer(self.peer.clone())
            .on_route(self.route_mode.map(|mode| mode.as_bytes().to_vec()));
        let mut snapshot = self.snapshot.as_ref();
        let mut step = self.guard.begin(
            snapshot,
            &head,
            &Seed {
                now: self.now.get(),
                random: [7; 32],
            },
        );
        loop {
            step = match step {
                Step::Pass => return (HeaderChanges::default(), None),
                Step::Read(reading) => {
                    let body = body.to_vec();
                    self.guard.read(snapshot, *reading, body, self.now.get())
                }
                Step::Count(charge, counting) => {
                    let tally = self.charge(&charge);
                    self.guard
                        .counted(snapshot, *counting, tally, self.now.get())
                }
                Step::Ask(callout, asking) => {
                    snapshot = self.later.as_ref().or(snapshot);
                    let answer = match callout.cluster.as_str() {
                        "cp" => self.exchange.clone(),
                        _ => Some(self.tool.clone()),
                    };
                    self.calls.borrow_mut().push(callout);
                    let answer = answer.map(|(status, body)| Answer {
                        status,
                        is_encoded: body.starts_with("\x1f"),
                        body: body.into_bytes(),
                    });
                    self.guard.answer(snapshot, *asking, answer, self.now.get())
                }
                Step::Done(judgement) => {
                    let Judgement {
                        verdict,
                        headers,
                        reply,
                        events,
                        watching,
                    } = *judgement;
                    *self.watching.borrow_mut() = watching;
                    self.verdicts.borrow_mut().push(verdict);
                    self.keep(events);
                    return (headers, reply);
                }
            }
        }
    }

    /// Keeps events, and counts what answers brought where that is bounded.
    fn keep(&self, events: Vec<AuditEvent>) {
        for event in &events {
            let key = AnswerBytes::key(&event.agent_id);
            if let (Some(there), Some(answer)) =
                (self.records.borrow_mut().get_mut(&key), &event.response)
            {
                *there = AnswerBytes::after(there, answer.bytes, self.now.get());
            }
        }
        self.events.borrow_mut().extend(events);
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, seconds: u64) {
        self.now.set(self.now.get() + seconds * 1_000_000);
    }

    fn charge(&self, charge: &Charge) -> Option<Tally> {
        let mut records = self.records.borrow_mut();
        let mut tally = Tally::default();
        for entry in charge.entries() {
            let there = records.get(entry.key()).map(Vec::as_slice);
            let mut laid = entry.lay(there, self.now.get());
            if let Some(record) = laid.record.take() {
                records.insert(entry.key().to_owned(), record);
            }
            let is_over = laid.is_over();
            tally.add(laid);
            if is_over {
                break;
            }
        }
        Some(tally)
    }

    /// The scene where that agent's record has boundaries.
    pub(crate) fn bounding(self, agent: &str, boundaries: &Value) -> Self {
        let mut bundle = bundle(&["dead"], NOW / 1_000_000 + 3600, &base());
        let agents = bundle["sections"]["agents"]["entries"].as_array_mut();
        for entry in agents.unwrap() {
            if entry["id"] == agent {
                entry["boundaries"] = boundaries.clone();
            }
        }
        Self {
            snapshot: Some(read(&bundle)),
            ..self
        }
    }

    /// The scene where that tool is pinned to these descriptors.
    pub(crate) fn pinning(self, tool: &str, descriptors: &[&Value]) -> Self {
        let mut bundle = bundle(&["dead"], NOW / 1_000_000 + 3600, &base());
        let tools = bundle["sections"]["tools"]["entries"].as_array_mut();
        for entry in tools.unwrap() {
            if entry["name"] == tool {
                entry["pins"] = descriptors.iter().map(|d| tool_binding(d)).collect();
            }
        }
        Self {
            snapshot: Some(read(&bundle)),
            ..self
        }
    }

    /// Has the upstream answer the exchange that went on last, in these chunks; gives what the
    /// caller gets.
    pub(crate) fn answered_by_upstream(&self, content_type: &str, chunks: &[&[u8]]) -> String {
        let watching = self
            .watching
            .borrow_mut()
            .take()
            .expect("an exchange that went on");
        let head = ResponseHead {
            status: 200,
            content_type: content_type.into(),
            is_encoded: false,
        };
        let snapshot = self.later.as_ref().or(self.snapshot.as_ref());
        let mut out = Vec::new();
        match self.guard.response_head(*watching, head, NOW) {
            ResponseStep::Collect(collecting) => {
                let body = chunks.concat();
                let judged = self.guard.response_body(snapshot, *collecting, &body, NOW);
                self.keep(judged.events);
                out = judged.instead.map_or(body, |reply| reply.body);
            }
            ResponseStep::Stream(mut streaming) => {
                for chunk in chunks {
                    let piece = streaming.push(&self.guard, snapshot, chunk, NOW);
                    out.extend(piece.bytes);
                    self.keep(piece.events);
                }
                let piece = streaming.end(&self.guard, snapshot, NOW);
                out.extend(piece.bytes);
                self.keep(piece.events);
            }
            ResponseStep::Replace(reply, events) => {
                self.keep(events);
                out = reply.body;
            }
        }
        String::from_utf8(out).unwrap()
    }

    /// How many texts were known from before, since this was asked last.
    pub(crate) fn take_remembered(&self) -> u64 {
        self.guard.take_remembered()
    }

    pub(crate) fn calls_to(&self, cluster: &str) -> usize {
        self.calls
            .borrow()
            .iter()
            .filter(|c| c.cluster == cluster)
            .count()
    }

    pub(crate) fn last_call(&self, cluster: &str) -> Callout {
        let calls = self.calls.borrow();
        calls
            .iter()
            .rfind(|c| c.cluster == cluster)
            .cloned()
            .expect("a call")
    }

    /// What was remembered since this was last asked.
    pub(crate) fn take_events(&self) -> Vec<AuditEvent> {
        self.events.take()
    }

    pub(crate) fn events(&self) -> Vec<AuditEvent> {
        self.events.borrow().clone()
    }

    pub(crate) fn last_event(&self) -> AuditEvent {
        self.events.borrow().last().cloned().expect("an event")
    }

    pub(crate) fn verdicts(&self) -> Vec<Verdict> {
        self.verdicts.borrow().clone()
    }
}

/// What a control plane says where nobody has put a policy: everything within scopes.
fn base() -> Value {
    json!([{"id": "base", "effect": "permit", "actions": 31}])
}

fn snapshot(killed: &[&str], expires_at: u64) -> Snapshot {
    snapshot_with(killed, expires_at, &base())
}

fn snapshot_with(killed: &[&str], expires_at: u64, policies: &Value) -> Snapshot {
    read(&bundle(killed, expires_at, policies))
}

fn read(bundle: &Value) -> Snapshot {
    let bundle = Snapshot::read_bundle(bundle.to_string().as_bytes()).unwrap();
    Snapshot::of(bundle).unwrap()
}

fn bundle(killed: &[&str], expires_at: u64, policies: &Value) -> Value {
    let agent = |id: &str, org: &str| {
        let key = sha256_hex(format!("ags_{id}").as_bytes());
        json!({"id": id, "name": id, "org_id": org, "scopes": ["db:*", "file:read"],
               "groups": ["team"], "purpose": "reports",
               "credential": {"alg": "HS256", "key": key}})
    };
    let tool = |name: &str, scope: &str, category: &str| {
        json!({"name": name, "scope": scope, "category": category, "audience": "tools",
               "upstream": "http://127.0.0.1:9001", "binding": "0".repeat(64)})
    };
    let states: Vec<_> = killed
        .iter()
        .map(|id| json!({"id": id, "state": "killed"}))
        .chain([json!({"id": "asleep", "state": "suspended"})])
        .collect();
    let section = |entries: Value| json!({"revision": 1, "entries": entries});
    json!({
        "format": 1, "org_id": "acme", "revision": 1, "since": 0, "issued_at": 1,
        "expires_at": expires_at,
        "sections": {
            "keys": section(json!([{"sha256": sha256_hex(b"ag_test_acme"), "org_id": "acme"}])),
            "agents": section(json!([
                agent("scout", "acme"), agent("helper", "acme"), agent("dead", "acme"),
                agent("asleep", "acme"), agent("foreigner", "other"),
            ])),
            "states": section(json!(states)),
            "tools": section(json!([
                tool("database.query", "db:read", "database"),
                tool("file.read", "file:read", "file"),
                tool("shell.exec", "shell:exec", "shell"),
            ])),
            "policies": section(policies.clone()),
            "rules": section(json!([])),
            "settings": section(json!({"block_at": 0.7, "flag_at": 0.4})),
            "local_mint": section(json!({"key_id": "local.p.1", "key": "k"})),
            "jwks": section(json!({"keys": []})),
        },
    })
}
