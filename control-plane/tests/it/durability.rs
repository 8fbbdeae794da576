//! What was acknowledged stays, and what was changed behind the service's back is found out.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    audit::event,
    client::Client,
    process::{Served, initialise, run},
    scene::Scene,
};

/// How often the process is killed.
const KILLS: usize = 50;

#[test]
fn an_acknowledged_event_survives_a_process_that_is_killed_and_the_chain_is_never_broken() {
    let directory = TempDir::new().unwrap();
    let keys = initialise(directory.path());
    let mut acknowledged = HashSet::new();
    for round in 0..KILLS {
        let mut served = Served::start(directory.path());
        let taken = AtomicUsize::new(0);
        // Clients that hand in as fast as they can, until the process is gone in the middle.
        thread::scope(|scope| {
            let hand_in = |client| {
                let proxy = served.client(&keys["proxy_key"]);
                let taken = &taken;
                scope.spawn(move || {
                    (0..)
                        .map(|batch| batch_of(round, client, batch))
                        .take_while(|ids| is_taken(&proxy, ids))
                        .inspect(|_| {
                            taken.fetch_add(1, Ordering::Relaxed);
                        })
                        .collect::<Vec<_>>()
                })
            };
            let clients: Vec<_> = (0..4).map(hand_in).collect();
            // At a moment of its own each time, counted in batches that were taken.
            while taken.load(Ordering::Relaxed) < round {
                thread::yield_now();
            }
            served.child.kill().unwrap();
            for client in clients {
                acknowledged.extend(client.join().unwrap().concat());
            }
        });
    }
    assert!(acknowledged.len() > 1_000, "{}", acknowledged.len());
    let served = Served::start(directory.path());
    let admin = served.client(&keys["admin_key"]);
    let check = admin.get("/v1/audit/verify").expect(200);
    assert_eq!(check["valid"], true, "{check}");
    let export = admin.get("/v1/audit/export").text;
    let kept: HashSet<String> = export
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|row| Some(row.get("event_id")?.as_str()?.to_owned()))
        .collect();
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

/// The ids of a batch's events: one to seven.
fn batch_of(round: usize, client: usize, batch: usize) -> Vec<String> {
    (0..=batch % 7)
        .map(|event| format!("{round}-{client}-{batch}-{event}"))
        .collect()
}

#[test]
fn a_database_of_a_newer_version_is_not_touched() {
    let mut scene = Scene::new();
    scene.stop();
    scene.alter(match scene.database {
        Some(_) => "UPDATE cp_schema SET version = 1000",
        None => "PRAGMA user_version = 1000",
    });
    let data = scene.storage.data.clone().unwrap();
    let mut arguments = vec!["serve", "--listen", "127.0.0.1:0", "--data"];
    arguments.push(data.to_str().unwrap());
    let url = scene.storage.database_url.clone();
    arguments.extend(url.iter().flat_map(|url| ["--database-url", url]));
    let output = run(&arguments);
    assert!(!output.status.success());
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("schema 1000"),
        "{output:?}"
    );
}

#[test]
fn a_trail_that_was_edited_is_found_out() {
    let edits = [
        (
            "UPDATE cp_audit_events SET blocked = NOT blocked WHERE seq = 2",
            2,
        ),
        (
            "UPDATE cp_audit_events SET received_at = received_at + 1 WHERE seq = 3",
            3,
        ),
        ("DELETE FROM cp_audit_events WHERE seq = 1", 1),
        ("DELETE FROM cp_audit_events WHERE seq = 3", 3),
    ];
    for (edit, broken_at) in edits {
        let mut scene = Scene::new();
        let events = json!({ "events": [event("1"), event("2"), event("3")] });
        scene.proxy().post("/v1/audit/events", &events).expect(200);
        let check = scene.admin().get("/v1/audit/verify").expect(200);
        assert_eq!(
            (&check["valid"], &check["events"]),
            (&json!(true), &json!(3))
        );
        scene.stop();
        scene.alter(edit);
        scene.restart();
        let check = scene.admin().get("/v1/audit/verify").expect(200);
        assert_eq!(
            (&check["valid"], &check["broken_at"]),
            (&json!(false), &json!(broken_at))
        );
    }
}

/// Whether the events were acknowledged; false when the process is gone.
fn is_taken(proxy: &Client, ids: &[String]) -> bool {
    let events: Vec<_> = ids.iter().map(|id| event(id)).collect();
    proxy
        .try_post("/v1/audit/events", &json!({ "events": events }))
        .is_some_and(|answer| answer.status == 200)
}
