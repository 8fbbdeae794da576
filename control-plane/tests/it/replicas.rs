//! Several services over one PostgreSQL are one service.

use std::{
    sync::{
        Barrier, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    audit::event,
    client::Client,
    scene::{Scene, checked_bundle},
    tokens::ready_on,
};

/// How many tokens the test of single use introspects; `make test-single-use` does many more.
fn rounds() -> usize {
    let rounds = std::env::var("CLAMPD_TEST_ROUNDS").ok();
    rounds.map_or(200, |rounds| rounds.parse().unwrap())
}

/// How many at the same time.
const PARALLEL: usize = 64;

#[test]
fn of_64_parallel_introspections_over_two_replicas_exactly_one_is_active() {
    let mut scene = ready_on(Scene::on_postgres());
    let key = json!({ "role": "tool", "key": "ag_test_tool" });
    scene.admin().post("/v1/keys", &key).expect(201);
    let urls = [scene.url.clone(), scene.replica()];
    let (rounds, token) = (rounds(), RwLock::new(Value::Null));
    let (start, end) = (Barrier::new(PARALLEL + 1), Barrier::new(PARALLEL + 1));
    let (active, used) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for number in 0..PARALLEL {
            let tool = Client::new(&urls[number % 2], "Bearer ag_test_tool");
            let (token, start, end, active, used) = (&token, &start, &end, &active, &used);
            scope.spawn(move || {
                for _ in 0..rounds {
                    start.wait();
                    let answer = tool.post("/v1/introspect", &token.read().unwrap());
                    if answer.body["active"] == true {
                        active.fetch_add(1, Ordering::Relaxed);
                    } else if answer.body["reason"] == "already_used" {
                        used.fetch_add(1, Ordering::Relaxed);
                    }
                    end.wait();
                }
            });
        }
        let mut counted = Vec::new();
        for _ in 0..rounds {
            *token.write().unwrap() = json!({ "token": scene.micro_token("a") });
            start.wait();
            end.wait();
            let count = |counter: &AtomicUsize| counter.swap(0, Ordering::Relaxed);
            counted.push((count(&active), count(&used)));
        }
        // Only now: a thread that waits would never hear of a panic.
        assert_eq!(counted, vec![(1, PARALLEL - 1); rounds]);
    });
}

#[test]
fn what_one_replica_changes_is_in_force_at_the_other() {
    let mut scene = ready_on(Scene::on_postgres());
    let other = scene.replica();
    let there = |key: &str| Client::new(&other, &format!("Bearer {key}"));
    let (admin, proxy) = (there(&scene.keys.admin_key), there(&scene.keys.proxy_key));
    let before = scene.bundle(0, 0);
    let trust_root = scene.keys.trust_root.clone();
    let waiting = thread::spawn(move || {
        let begun = Instant::now();
        let bundle = checked_bundle(&proxy, &trust_root, before.revision, 55);
        (bundle, begun.elapsed())
    });
    // The poll waits at the other replica when this says so.
    while !admin.get("/metrics").text.contains("polls_waiting 1") {
        thread::yield_now();
    }
    let token = json!({ "token": scene.micro_token("a") });
    scene
        .admin()
        .post("/v1/agents/a/kill", &json!({}))
        .expect(200);
    let (bundle, waited) = waiting.join().unwrap();
    assert_eq!(bundle.revision, before.revision + 1);
    assert!(bundle.sections.states.is_some() && bundle.sections.agents.is_none());
    assert!(waited < Duration::from_secs(50));
    let made = admin
        .post("/v1/keys", &json!({ "role": "tool" }))
        .expect(201);
    // A key that the other replica made is known here.
    let answer = scene
        .client(made["key"].as_str().unwrap())
        .post("/v1/introspect", &token)
        .expect(200);
    assert_eq!(answer["reason"], "agent_killed");
}

#[test]
fn a_change_that_nobody_told_is_found() {
    let scene = ready_on(Scene::on_postgres());
    let revision = scene.bundle(0, 0).revision;
    thread::scope(|scope| {
        let waiting = scope.spawn(|| scene.bundle(revision, 55));
        while !scene
            .admin()
            .get("/metrics")
            .text
            .contains("polls_waiting 1")
        {
            thread::yield_now();
        }
        // As a replica would whose notification was lost.
        scene.alter("UPDATE cp_organisations SET revision = revision + 1");
        assert_eq!(waiting.join().unwrap().revision, revision + 1);
    });
}

#[test]
fn a_connection_that_breaks_is_made_anew() {
    let scene = ready_on(Scene::on_postgres());
    let database = scene.database.as_ref().unwrap();
    scene.bundle(0, 0);
    database
        .client()
        .batch_execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .unwrap();
    scene.agent("b", &[]);
    assert!(scene.bundle(0, 0).sections.agents.is_some());
}

#[test]
fn two_replicas_that_take_in_events_keep_one_chain() {
    let mut scene = Scene::on_postgres();
    let urls = [scene.url.clone(), scene.replica()];
    thread::scope(|scope| {
        for (number, url) in urls.iter().enumerate() {
            let proxy = Client::new(url, &format!("Bearer {}", scene.keys.proxy_key));
            scope.spawn(move || {
                for batch in 0..20 {
                    // Every other event is handed in at both.
                    let id = |index: i32| match index % 2 {
                        0 => format!("{batch}-{index}"),
                        _ => format!("{number}-{batch}-{index}"),
                    };
                    let events: Vec<_> = (0..10).map(|index| event(&id(index))).collect();
                    let events = json!({ "events": events });
                    proxy.post("/v1/audit/events", &events).expect(200);
                }
            });
        }
    });
    let check = scene.admin().get("/v1/audit/verify").expect(200);
    assert_eq!(
        (&check["valid"], &check["events"]),
        (&json!(true), &json!(20 * 5 * 3))
    );
}
