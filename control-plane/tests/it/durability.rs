//! What was acknowledged stays, and what was changed behind the service's back is found out.

use std::{collections::HashSet, thread, time::Duration};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    audit::event,
    client::Client,
    process::{Served, initialise, run},
    scene::Scene,
};

#[test]
fn an_acknowledged_event_survives_a_process_that_is_killed() {
    let directory = TempDir::new().unwrap();
    let keys = initialise(directory.path());
    let mut acknowledged = HashSet::new();
    for round in 0..5 {
        let mut served = Served::start(directory.path());
        // Clients that hand in as fast as they can, until the process is gone in the middle.
        let handing_in: Vec<_> = (0..4)
            .map(|client| {
                let proxy = served.client(&keys["proxy_key"]);
                let name = move |number: u32| format!("{round}-{client}-{number}");
                thread::spawn(move || {
                    (0..)
                        .map(name)
                        .take_while(|id| is_taken(&proxy, id))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        thread::sleep(Duration::from_millis(100));
        served.child.kill().unwrap();
        for client in handing_in {
            acknowledged.extend(client.join().unwrap());
        }
    }
    assert!(acknowledged.len() > 20, "{}", acknowledged.len());
    let served = Served::start(directory.path());
    let admin = served.client(&keys["admin_key"]);
    let check = admin.get("/v1/audit/verify").expect(200);
    assert_eq!(check["valid"], true, "{check}");
    let sql = json!({ "sql": "SELECT event_id FROM audit_logs" });
    let kept = admin.post("/v1/audit/query", &sql).expect(200);
    assert_eq!(kept["truncated"], false);
    let kept: HashSet<String> = kept["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row[0].as_str().unwrap().to_owned())
        .collect();
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "{lost:?}");
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

/// Whether the event was acknowledged; false when the process is gone.
fn is_taken(proxy: &Client, id: &str) -> bool {
    let events = json!({ "events": [event(id)] });
    proxy
        .try_post("/v1/audit/events", &events)
        .is_some_and(|answer| answer.status == 200)
}
