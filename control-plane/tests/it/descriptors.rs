//! Tools and their descriptors: pinned on first use, held when they drift, decided by operators.

use clampd_model::{AuditEvent, ToldDescriptor, Tool};
use clampd_token::tool_binding;
use serde_json::{Value, json};

use crate::{
    audit::event,
    scene::{Scene, exchange_fields, jwt},
    tokens::ready,
};

const TOOL: &str = "/v1/tools/database.query";

/// Hands in what a proxy says when a server told that descriptor of `database.query`.
fn told(scene: &Scene, descriptor: &str, is_first: bool) {
    let mark = ToldDescriptor {
        tool: "database.query".to_owned(),
        sha256: hash(descriptor),
        is_first,
    };
    hand_in(scene, vec![mark.to_mark()]);
}

fn hand_in(scene: &Scene, session_flags: Vec<String>) {
    let id = session_flags.join(",");
    let event = AuditEvent {
        session_flags,
        ..event(&clampd_token::sha256_hex(id.as_bytes()))
    };
    let events = json!({ "events": [event] });
    scene.proxy().post("/v1/audit/events", &events).expect(200);
}

fn hash(descriptor: &str) -> String {
    tool_binding(&json!(descriptor))
}

fn decide(scene: &Scene, descriptor: Option<&str>, state: &str) -> Value {
    let decision = json!({
        "tool": "database.query", "descriptor": descriptor.map(hash), "state": state,
    });
    let decided = scene.admin().post("/v1/tool-approvals", &decision);
    decided.expect(200)
}

/// The tool as proxies have it, if they have it.
fn in_bundle(scene: &Scene) -> Option<Tool> {
    scene.bundle(0, 0).sections.tools.unwrap().entries.pop()
}

fn exchange_status(scene: &Scene) -> u16 {
    let fields = exchange_fields(&jwt("a"));
    scene.proxy().form("/v1/tokens/exchange", &fields).status
}

/// What the trail says that was done about the tool, and whether it was blocked.
fn noted(scene: &Scene) -> Value {
    let sql = "SELECT tool_action, blocked FROM audit_logs
               WHERE tool_action <> 'proxy' ORDER BY timestamp";
    let query = json!({ "sql": sql });
    scene.admin().post("/v1/audit/query", &query).expect(200)["rows"].clone()
}

#[test]
fn the_first_descriptor_that_is_told_is_trusted_and_another_has_the_tool_wait() {
    let scene = ready();
    assert!(in_bundle(&scene).unwrap().pins.is_empty());
    told(&scene, "one", true);
    let pinned = in_bundle(&scene).unwrap();
    assert_eq!(
        (pinned.pins, pinned.binding),
        (vec![hash("one")], hash("one"))
    );
    let before = scene.bundle(0, 0).revision;
    // Proxies that have not heard of the pin yet say it again.
    told(&scene, "one", true);
    assert_eq!(scene.bundle(0, 0).revision, before);
    assert_eq!(exchange_status(&scene), 200);

    told(&scene, "two", false);
    assert_eq!(in_bundle(&scene), None);
    assert_eq!(exchange_status(&scene), 400, "no token either");
    let shown = scene.admin().get(TOOL).expect(200);
    assert_eq!(shown["state"], "pending");
    let states: Vec<_> = shown["descriptors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| {
            (
                d["sha256"].as_str().unwrap().to_owned(),
                d["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(states.contains(&(hash("one"), "approved")), "{states:?}");
    assert!(states.contains(&(hash("two"), "pending")), "{states:?}");
    assert_eq!(
        scene.admin().get("/v1/tools?state=pending").expect(200)["tools"][0],
        shown
    );
    assert_eq!(
        noted(&scene),
        json!([["descriptor_pinned", false], ["descriptor_drift", true]])
    );
}

#[test]
fn an_approved_descriptor_is_one_more_that_the_tool_is_pinned_to() {
    let scene = ready();
    told(&scene, "one", true);
    told(&scene, "two", false);
    let decided = decide(&scene, Some("two"), "approved");
    assert_eq!(
        (&decided["state"], &decided["binding"]),
        (&json!("approved"), &json!(hash("two")))
    );
    let mut both = vec![hash("one"), hash("two")];
    both.sort();
    assert_eq!(in_bundle(&scene).unwrap().pins, both);
    assert_eq!(exchange_status(&scene), 200);
    let last = noted(&scene).as_array().unwrap().last().unwrap().clone();
    assert_eq!(last, json!(["tool_approval", false]));
}

#[test]
fn a_rejected_descriptor_rejects_the_tool_and_stays_rejected_when_the_tool_is_approved_again() {
    let scene = ready();
    told(&scene, "one", true);
    told(&scene, "two", false);
    assert_eq!(decide(&scene, Some("two"), "rejected")["state"], "rejected");
    assert_eq!(in_bundle(&scene), None);
    decide(&scene, None, "approved");
    assert_eq!(in_bundle(&scene).unwrap().pins, [hash("one")]);
    told(&scene, "two", false);
    assert!(in_bundle(&scene).is_some(), "it was decided on already");
    // With nothing left that is approved, nothing is trusted on first use again.
    decide(&scene, Some("one"), "rejected");
    decide(&scene, None, "approved");
    let pins = in_bundle(&scene).unwrap().pins;
    assert_eq!(pins, ["none"]);
    told(&scene, "three", true);
    assert_eq!(
        in_bundle(&scene),
        None,
        "a proxy that says first does not make it so"
    );
}

#[test]
fn to_put_a_tool_again_does_not_bless_drift() {
    let scene = ready();
    told(&scene, "one", true);
    told(&scene, "two", false);
    let tool = json!({ "scope": "db:read", "category": "database", "audience": "sql" });
    let put = scene.admin().put(TOOL, &tool).expect(200);
    assert_eq!(
        (&put["state"], &put["binding"]),
        (&json!("pending"), &json!(hash("one")))
    );
    assert_eq!(in_bundle(&scene), None);
    // With the descriptor that is meant it is another matter.
    let meant = json!({ "scope": "db:read", "audience": "sql", "descriptor": "two" });
    assert_eq!(
        scene.admin().put(TOOL, &meant).expect(200)["state"],
        "approved"
    );
    assert_eq!(in_bundle(&scene).unwrap().pins, [hash("two")]);
    // A tool that is deleted takes what was known of it along.
    assert_eq!(scene.admin().delete(TOOL).status, 204);
    scene.admin().put(TOOL, &tool).expect(201);
    assert!(in_bundle(&scene).unwrap().pins.is_empty());
}

#[test]
fn a_tool_is_called_when_it_is_approved_and_not_before() {
    let scene = Scene::new();
    scene.agent("a", &["db:*"]);
    let tool = json!({ "scope": "db:read", "audience": "sql", "state": "pending" });
    assert_eq!(
        scene.admin().put(TOOL, &tool).expect(201)["state"],
        "pending"
    );
    assert_eq!((in_bundle(&scene), exchange_status(&scene)), (None, 400));
    decide(&scene, None, "approved");
    assert_eq!(exchange_status(&scene), 200);
    decide(&scene, None, "rejected");
    assert_eq!((in_bundle(&scene), exchange_status(&scene)), (None, 400));
}

#[test]
fn what_cannot_be_decided_is_refused_and_what_is_no_sighting_is_left_alone() {
    let scene = ready();
    let refused = |decision: Value, status, code| {
        let answer = scene.admin().post("/v1/tool-approvals", &decision);
        answer.expect_error(status, code);
    };
    let tool = "database.query";
    refused(
        json!({ "tool": "x", "state": "approved" }),
        404,
        "tool_not_found",
    );
    refused(
        json!({ "tool": tool, "state": "maybe" }),
        400,
        "invalid_body",
    );
    refused(
        json!({ "tool": tool, "state": "approved", "descriptor": "ab" }),
        422,
        "invalid_value",
    );
    let pending = json!({ "tool": tool, "state": "pending", "descriptor": hash("one") });
    refused(pending, 422, "invalid_value");
    let before = scene.bundle(0, 0).revision;
    hand_in(
        &scene,
        vec![
            "monitored:pii-iban".to_owned(),
            format!("descriptor-first:{tool}"),
        ],
    );
    hand_in(
        &scene,
        vec![format!("descriptor-first:{}:no.such", hash("one"))],
    );
    assert_eq!(scene.bundle(0, 0).revision, before);
}

#[test]
fn a_server_that_never_tells_the_same_fills_neither_table_nor_trail() {
    let scene = ready();
    told(&scene, "one", true);
    for number in 0..40 {
        told(&scene, &format!("other {number}"), false);
    }
    let shown = scene.admin().get(TOOL).expect(200);
    assert_eq!(shown["descriptors"].as_array().map(Vec::len), Some(32));
    assert_eq!(noted(&scene).as_array().map(Vec::len), Some(32));
    let more = json!({ "tool": "database.query", "state": "approved", "descriptor": hash("new") });
    let answer = scene.admin().post("/v1/tool-approvals", &more);
    answer.expect_error(409, "too_many_descriptors");
}
