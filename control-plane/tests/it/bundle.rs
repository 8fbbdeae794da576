//! Bundles: what a gateway decides by, and how soon it hears of a change.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use clampd_model::{AgentState, Credential};
use clampd_token::sha256_hex;
use serde_json::json;

use crate::scene::{Scene, checked_bundle};

#[test]
fn a_whole_bundle_says_all_that_a_gateway_needs() {
    let scene = Scene::new();
    let admin = scene.admin();
    admin
        .post(
            "/v1/keys",
            &json!({ "role": "agent", "key": "ag_test_acme_2026" }),
        )
        .expect(201);
    scene.agent("a", &["db:*"]);
    scene.tool();
    let closed = "forbid (principal == Agent::\"a\", action, resource);";
    let policy = json!({ "cedar": closed });
    admin.put("/v1/policies/closed", &policy).expect(201);
    let bundle = scene.bundle(0, 0);
    assert_eq!(
        (bundle.format, bundle.since, bundle.org_id.as_str()),
        (1, 0, "org_a")
    );
    assert_eq!(bundle.expires_at - bundle.issued_at, 3_600);
    let sections = bundle.sections;
    let keys = sections.keys.unwrap().entries;
    assert_eq!(keys.len(), 1, "only keys that agents send");
    assert_eq!(keys[0].sha256, sha256_hex(b"ag_test_acme_2026"));
    let agents = sections.agents.unwrap().entries;
    let Credential::Hs256 { key } = &agents[0].credential else {
        panic!("not HS256")
    };
    assert_eq!(key.expose(), sha256_hex(crate::scene::SECRET.as_bytes()));
    assert_eq!(sections.tools.unwrap().entries[0].audience, "sql");
    let policies = sections.policies.unwrap().entries;
    let ids: Vec<&str> = policies.iter().map(|policy| policy.id.as_str()).collect();
    assert_eq!(ids, ["base/scope", "base/rest", "closed"]);
    assert!(sections.states.unwrap().entries.is_empty());
    assert!(sections.settings.is_some());
    assert_eq!(sections.jwks.unwrap().entries.keys[0].kid, "scope-v1");
    let proxies = admin.get("/v1/keys").expect(200);
    let proxy = proxies["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["role"] == "proxy");
    let proxy_id = proxy.unwrap()["id"].as_str().unwrap();
    assert!(
        sections
            .local_mint
            .unwrap()
            .entries
            .key_id
            .contains(proxy_id)
    );
}

#[test]
fn a_kill_reaches_a_waiting_gateway_at_once_and_says_only_that() {
    let scene = Scene::new();
    scene.agent("a", &["db:*"]);
    let since = scene.bundle(0, 0).revision;
    let (proxy, trust_root) = (scene.proxy(), scene.keys.trust_root.clone());
    let waiting = thread::spawn(move || {
        let bundle = checked_bundle(&proxy, &trust_root, since, 30);
        (bundle, Instant::now())
    });
    until_waiting(&scene, 1);
    let killed_at = Instant::now();
    let killed = scene
        .admin()
        .post("/v1/agents/a/kill", &json!({}))
        .expect(200);
    let (bundle, heard_at) = waiting.join().unwrap();
    assert!(
        heard_at - killed_at < Duration::from_millis(500),
        "{:?}",
        heard_at - killed_at
    );
    assert_eq!((bundle.since, bundle.revision), (since, since + 1));
    assert_eq!(killed["revision"], since + 1);
    let states = bundle.sections.states.unwrap();
    assert_eq!(states.revision, since + 1);
    assert_eq!(
        (states.entries[0].id.as_str(), states.entries[0].state),
        ("a", AgentState::Killed)
    );
    assert!(bundle.sections.agents.is_none() && bundle.sections.keys.is_none());
}

#[test]
fn a_poll_without_a_change_renews_the_bundle_after_its_wait() {
    let scene = Scene::new();
    let since = scene.bundle(0, 0).revision;
    let begun = Instant::now();
    let renewed = scene.bundle(since, 1);
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!((renewed.since, renewed.revision), (since, since));
    assert_eq!(renewed.sections, clampd_model::Sections::default());
}

#[test]
fn a_revision_that_never_was_gets_the_whole_bundle() {
    let scene = Scene::new();
    let bundle = scene.bundle(1_000_000, 30);
    assert_eq!(bundle.since, 0);
    assert!(bundle.sections.jwks.is_some());
}

#[test]
fn the_present_revision_as_a_tag_is_not_sent_again() {
    let scene = Scene::new();
    let revision = scene.bundle(0, 0).revision;
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build();
    let get = |tag: String| {
        let url = format!("{}/v1/bundle", scene.url);
        let agent = ureq::Agent::from(agent.clone());
        let authorization = format!("Bearer {}", scene.keys.proxy_key);
        let request = agent.get(url).header("authorization", authorization);
        request
            .header("if-none-match", tag)
            .call()
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!(get(format!("\"{revision}\"")), 304);
    assert_eq!(get(format!("\"{}\"", revision + 1)), 200);
}

#[test]
fn revisions_only_grow_across_restarts() {
    let mut scene = Scene::new();
    let mut last = scene.bundle(0, 0).revision;
    for round in 0..3 {
        scene.agent(&format!("agent-{round}"), &[]);
        scene.restart();
        let revision = scene.bundle(0, 0).revision;
        assert!(revision > last);
        last = revision;
    }
}

#[test]
fn a_poll_that_is_no_number_or_too_long_is_refused() {
    let scene = Scene::new();
    for query in ["wait=56", "wait=-1", "since=x", "since=1&wait=1e3"] {
        scene
            .proxy()
            .get(&format!("/v1/bundle?{query}"))
            .expect_error(422, "invalid_value");
    }
}

/// Waits until that many polls wait, by the service's own count.
pub(crate) fn until_waiting(scene: &Scene, polls: usize) {
    let wanted = format!("clampd_bundle_polls_waiting {polls}");
    let deadline = Instant::now() + Duration::from_secs(10);
    while !scene
        .admin()
        .get("/metrics")
        .text
        .lines()
        .any(|line| line == wanted)
    {
        assert!(Instant::now() < deadline, "never `{wanted}`");
        thread::yield_now();
    }
}

#[test]
fn a_kill_reaches_every_gateway_that_waits() {
    const POLLS: usize = 300;
    let scene = Scene::new();
    scene.agent("a", &[]);
    let since = scene.bundle(0, 0).revision;
    let request = format!(
        "GET /v1/bundle?since={since}&wait=30 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         connection: close\r\n\r\n",
        scene.keys.proxy_key
    );
    let address = scene.url.strip_prefix("http://").unwrap();
    let polls: Vec<_> = (0..POLLS)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    until_waiting(&scene, POLLS);
    let begun = Instant::now();
    let killed = scene
        .admin()
        .post("/v1/agents/a/kill", &json!({}))
        .expect(200);
    let pushed = killed["layers"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&pushed["layer"], &pushed["ok"]),
        (&json!("bundle_push"), &json!(true))
    );
    for mut poll in polls {
        let mut answer = String::new();
        poll.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("\"state\":\"killed\""), "{answer}");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_delta_laid_upon_what_a_gateway_has_gives_the_whole() {
    let scene = Scene::new();
    scene.agent("a", &["db:*"]);
    let mut held = scene.bundle(0, 0);
    scene.tool();
    scene
        .admin()
        .put("/v1/settings", &json!({ "block_at": 0.9, "flag_at": 0.5 }))
        .expect(200);
    scene
        .admin()
        .post("/v1/agents/a/kill", &json!({}))
        .expect(200);
    scene
        .admin()
        .post("/v1/keys", &json!({ "role": "agent" }))
        .expect(201);
    let delta = scene.bundle(held.revision, 0);
    assert_eq!(delta.since, held.revision);
    assert!(delta.sections.agents.is_none() && delta.sections.jwks.is_none());
    let (old, new) = (held.sections, delta.sections);
    held.sections = clampd_model::Sections {
        keys: new.keys.or(old.keys),
        agents: new.agents.or(old.agents),
        states: new.states.or(old.states),
        tools: new.tools.or(old.tools),
        policies: new.policies.or(old.policies),
        rules: new.rules.or(old.rules),
        settings: new.settings.or(old.settings),
        local_mint: new.local_mint.or(old.local_mint),
        jwks: new.jwks.or(old.jwks),
    };
    assert_eq!(held.sections, scene.bundle(0, 0).sections);
}
