//! What holds of every exchange, whatever a caller sends and an upstream answers.

use std::rc::Rc;

use clampd_detect::Detector;
use clampd_guard::{
    Answer, Config, Guard, Head, Reply, ResponseHead, ResponseStep, Seed, Snapshot, Step, Tally,
    Watching,
};
use clampd_model::{AgentClaims, AgentId, Secret};
use clampd_token::{agent_hmac_key, sha256_hex, sign_agent_jwt_hs256};
use serde_json::{Value, json};

const NOW: u64 = 1_800_000_000_000_000;
const BODY_BYTES_MAX: usize = 8_192;
/// More call-outs than one exchange has.
const STEPS_MAX: usize = 5;

/// Where an input is sent, by its first byte.
const WAYS: [(&str, &str, &str); 14] = [
    ("POST", "/v1/proxy", "gateway"),
    ("POST", "/v1/verify", "gateway"),
    ("POST", "/v1/inspect", "gateway"),
    ("POST", "/v1/scan-input", "gateway"),
    ("POST", "/v1/scan-output", "gateway"),
    ("POST", "/mcp", "gateway"),
    ("POST", "/a2a", "egress"),
    ("POST", "/rest/query?limit=10", "tool"),
    ("GET", "/rest/users/7?q=x", "tool"),
    ("POST", "/v1/chat/completions", "llm"),
    ("POST", "/v1/responses", "llm"),
    ("POST", "/v1/messages", "llm"),
    ("POST", "/v1beta/models/m:streamGenerateContent", "llm"),
    ("GET", "/mcp", "egress"),
];

struct World {
    guard: Guard,
    snapshot: Snapshot,
    jwt: String,
}

thread_local! {
    static WORLD: Rc<World> = Rc::new(world());
}

fn world() -> World {
    let json = json!({
        "mode": "gateway", "trust_root_env": "ROOT", "mint": "local",
        "body_bytes_max": BODY_BYTES_MAX,
        "control_plane": {"cluster": "cp", "authority": "cp", "key_env": "KEY"},
        "upstreams": {"http://127.0.0.1:9001": "tool"},
        "mcp": {"paths": ["/mcp"]}, "a2a": {"paths": ["/a2a"]},
        "rest": [{"method": "POST", "path": "/rest/query", "tool": "database.query"},
                 {"method": "GET", "path": "/rest/users/{id}", "tool": "database.query"}],
    });
    // The public key of RFC 8032 section 7.1, test 1.
    let env = |name: &str| match name {
        "ROOT" => Some("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned()),
        _ => Some("ag_live_fuzz".to_owned()),
    };
    let config = Config::parse(json.to_string().as_bytes(), env).expect("a configuration");
    let detector = Detector::new(*clampd_ruleset::RULES).expect("the built-in rules are ready");
    let bundle = Snapshot::read_bundle(bundle().to_string().as_bytes()).expect("a bundle");
    let seconds = NOW / 1_000_000;
    let claims = AgentClaims {
        sub: AgentId::parse("scout").expect("an id"),
        iss: Some("fuzz".into()),
        iat: Some(seconds),
        exp: seconds + 3600,
        aud: None,
        scopes: None,
    };
    World {
        guard: Guard::new(detector, config),
        snapshot: Snapshot::of(bundle).expect("a snapshot"),
        jwt: sign_agent_jwt_hs256(&claims, &agent_hmac_key(&Secret::new("ags_scout"))),
    }
}

fn bundle() -> Value {
    let section = |entries: Value| json!({"revision": 1, "entries": entries});
    let agent = json!({"id": "scout", "name": "scout", "org_id": "acme", "scopes": ["db:*"],
        "credential": {"alg": "HS256", "key": sha256_hex(b"ags_scout")}});
    let tool = json!({"name": "database.query", "scope": "db:read", "category": "database",
        "audience": "tools", "upstream": "http://127.0.0.1:9001", "binding": "0".repeat(64)});
    json!({
        "format": 1, "org_id": "acme", "revision": 1, "since": 0, "issued_at": 1,
        "expires_at": NOW / 1_000_000 + 3600,
        "sections": {
            "keys": section(json!([{"sha256": sha256_hex(b"ag_test_acme"), "org_id": "acme"}])),
            "agents": section(json!([agent])), "states": section(json!([])),
            "tools": section(json!([tool])), "rules": section(json!([])),
            "policies": section(json!([{"id": "base", "effect": "permit", "actions": 31}])),
            "settings": section(json!({"block_at": 0.7, "flag_at": 0.4})),
            "local_mint": section(json!({"key_id": "local.p.1", "key": "k"})),
            "jwks": section(json!({"keys": []})),
        },
    })
}

/// How a request ended.
enum End {
    Passed(Option<Box<Watching>>),
    Answered(Reply),
}

/// An exchange ends within a few steps and as it ended the last time. Of what is refused nothing
/// goes on; an answer reads the same however it is cut, and what stands in its place is no longer
/// than is read. What is not shown cannot be admitted.
pub fn exchange(input: &[u8]) {
    let [way, lie, cut, rest @ ..] = input else {
        return;
    };
    // A byte that no body of JSON has parts what is sent from what is answered.
    let mut parts = rest.splitn(2, |byte| *byte == 0xff);
    let body = parts.next().unwrap_or_default();
    let answer = parts.next().unwrap_or_default();
    let way = usize::from(*way);

    assert!(
        matches!(sent(way, body, answer, None), End::Answered(_)),
        "nobody passed"
    );
    let lied = Some(*lie);
    match (sent(way, body, answer, lied), sent(way, body, answer, lied)) {
        (End::Answered(one), End::Answered(two)) => {
            assert_eq!(one, two, "answered differently the second time");
            assert!((200..600).contains(&one.status), "status {}", one.status);
        }
        (End::Passed(Some(one)), End::Passed(Some(two))) => {
            let status = if *lie & 1 == 0 { 200 } else { 500 };
            let kinds = ["application/json", "text/event-stream", "", "text/plain"];
            let kind = kinds[usize::from(*lie >> 1) % kinds.len()];
            let whole = told(*one, status, kind, [answer]);
            let pieces = told(*two, status, kind, answer.chunks(usize::from(*cut).max(1)));
            assert_eq!(whole, pieces, "told differently when cut by {cut}");
        }
        _ => panic!("an exchange ended in two ways"),
    }
}

/// Sends a body by one of the ways; `lie` is none where the caller does not say who it is.
fn sent(way: usize, body: &[u8], answer: &[u8], lie: Option<u8>) -> End {
    let world = WORLD.with(Rc::clone);
    let snapshot = Some(&world.snapshot);
    let (method, path, mode) = WAYS[way % WAYS.len()];
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let mut headers = vec![header(":method", method), header(":path", path)];
    if lie.is_some() {
        headers.push(header("x-ag-key", "ag_test_acme"));
        headers.push(header("authorization", &format!("Bearer {}", world.jwt)));
    }
    if way / WAYS.len() % 2 == 0 {
        headers.push(header("content-type", "application/json"));
    }
    let head = Head::new(headers).on_route(Some(mode.as_bytes().to_vec()));
    let seed = Seed {
        now: NOW,
        random: [7; 32],
    };
    let mut step = world.guard.begin(snapshot, &head, &seed);
    for _ in 0..STEPS_MAX {
        step = match step {
            Step::Pass => return End::Passed(None),
            Step::Read(reading) => world.guard.read(snapshot, *reading, body.to_vec(), NOW),
            Step::Count(charge, counting) => {
                let mut tally = Tally::default();
                for entry in charge.entries() {
                    tally.add(entry.lay(Some(answer), NOW));
                }
                world.guard.counted(snapshot, *counting, Some(tally), NOW)
            }
            Step::Ask(callout, asking) => {
                assert_eq!(callout.cluster, "tool", "asked somebody else");
                let answer = Answer {
                    status: 200,
                    is_encoded: lie.is_some_and(|lie| lie & 8 != 0),
                    body: answer.to_vec(),
                };
                world.guard.answer(snapshot, *asking, Some(answer), NOW)
            }
            Step::Done(judgement) => {
                assert!(
                    judgement.reply.is_none() || judgement.watching.is_none(),
                    "answered and gone on"
                );
                return match judgement.reply {
                    Some(reply) => End::Answered(reply),
                    None => End::Passed(judgement.watching),
                };
            }
        };
    }
    panic!("an exchange of more than {STEPS_MAX} steps");
}

/// What the caller is told of an upstream's answer that comes in these chunks.
fn told<'c>(
    watching: Watching,
    status: u16,
    kind: &str,
    chunks: impl IntoIterator<Item = &'c [u8]>,
) -> Vec<u8> {
    let world = WORLD.with(Rc::clone);
    let snapshot = Some(&world.snapshot);
    let head = ResponseHead {
        status,
        content_type: kind.to_owned(),
        is_encoded: false,
    };
    match world.guard.response_head(watching, head, NOW) {
        ResponseStep::Replace(reply, _) => reply.body,
        ResponseStep::Collect(collecting) => {
            let body = chunks.into_iter().collect::<Vec<_>>().concat();
            let judged = world.guard.response_body(snapshot, *collecting, &body, NOW);
            if body.len() > BODY_BYTES_MAX {
                assert!(judged.instead.is_some(), "more was told than is read");
            }
            judged.instead.map_or(body, |reply| reply.body)
        }
        ResponseStep::Stream(mut streaming) => {
            let mut told = Vec::new();
            for chunk in chunks {
                told.extend(streaming.push(&world.guard, snapshot, chunk, NOW).bytes);
            }
            told.extend(streaming.end(&world.guard, snapshot, NOW).bytes);
            told
        }
    }
}
