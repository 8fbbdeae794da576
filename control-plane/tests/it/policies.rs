//! Policies: put, listed, validated, and what they make of a request.

use serde_json::{Value, json};

use crate::scene::Scene;

const CLOSED: &str = "@reason(\"payments are closed\")
forbid (principal, action == Action::\"call\", resource in Category::\"payment\");";

fn document(cedar: &str) -> Value {
    json!({ "cedar": cedar })
}

#[test]
fn policies_are_kept_as_they_were_written_and_the_bundle_carries_them_lowered() {
    let scene = Scene::new();
    let (admin, path) = (scene.admin(), "/v1/policies/no-payments");
    admin.put(path, &document(CLOSED)).expect(201);
    let kept = admin.put(path, &document(CLOSED)).expect(200);
    assert_eq!(
        (&kept["id"], &kept["cedar"]),
        (&json!("no-payments"), &json!(CLOSED))
    );
    assert_eq!(
        kept["policies"],
        json!([{
            "id": "no-payments", "effect": "forbid", "mode": "enforce",
            "reason": "payments are closed",
        }])
    );
    let policies = scene.bundle(0, 0).sections.policies.unwrap();
    let ids: Vec<&str> = policies.entries.iter().map(|p| p.id.as_str()).collect();
    assert_eq!(ids, ["base/scope", "base/rest", "no-payments"]);
    assert_eq!(admin.delete(path).status, 204);
    admin.get(path).expect_error(404, "policy_not_found");
    let later = scene
        .bundle(policies.revision, 0)
        .sections
        .policies
        .unwrap();
    assert_eq!(later.entries.len(), 2);
    assert!(later.revision > policies.revision);
}

#[test]
fn the_base_is_shown_and_can_be_replaced_and_comes_back() {
    let scene = Scene::new();
    let admin = scene.admin();
    let listed = admin.get("/v1/policies").expect(200);
    assert_eq!(
        (
            &listed["policies"][0]["id"],
            &listed["policies"][0]["builtin"]
        ),
        (&json!("base"), &json!(true))
    );
    admin
        .delete("/v1/policies/base")
        .expect_error(404, "policy_not_found");
    let own = "permit (principal == Agent::\"a\", action, resource);";
    admin.put("/v1/policies/base", &document(own)).expect(201);
    assert_eq!(admin.get("/v1/policies/base").expect(200)["builtin"], false);
    let ids = |scene: &Scene| -> Vec<String> {
        let policies = scene.bundle(0, 0).sections.policies.unwrap().entries;
        policies.into_iter().map(|policy| policy.id).collect()
    };
    assert_eq!(ids(&scene), ["base"]);
    assert_eq!(admin.delete("/v1/policies/base").status, 204);
    assert_eq!(admin.get("/v1/policies/base").expect(200)["builtin"], true);
    assert_eq!(ids(&scene), ["base/scope", "base/rest"]);
}

#[test]
fn what_cannot_be_put_in_force_is_refused_with_its_place_and_changes_nothing() {
    let scene = Scene::new();
    let admin = scene.admin();
    let before = scene.bundle(0, 0).revision;
    for (cedar, place) in [
        ("permit (principal, action);", "line 1, column"),
        ("", "line 1, column 1: the text holds no policy"),
        (
            "\nforbid (principal, action, resource) when { context.rsik };",
            "line 2, column 45",
        ),
        (
            "forbid (principal, action, resource)\nwhen { {a: 1} == {a: 1} };",
            "line 2, column 8: policy p: cannot be lowered",
        ),
        (
            "permit (principal == ?principal, action, resource);",
            "templates cannot be lowered",
        ),
    ] {
        let refused = admin.put("/v1/policies/p", &document(cedar));
        let error = refused.body["error"].as_str().unwrap().to_owned();
        refused.expect_error(422, "invalid_policy");
        assert!(error.contains(place), "{error}");
        let said = admin
            .post("/v1/policies/validate", &document(cedar))
            .expect(200);
        assert_eq!(said["valid"], false);
        assert!(said["errors"][0]["line"].as_u64() >= Some(1), "{said}");
    }
    admin
        .put("/v1/policies/p", &json!({}))
        .expect_error(400, "invalid_body");
    admin
        .put("/v1/policies/a%20b", &document(CLOSED))
        .expect_error(422, "invalid_value");
    let said = admin
        .post("/v1/policies/validate", &document(CLOSED))
        .expect(200);
    assert_eq!(
        (&said["valid"], &said["policies"][0]["id"]),
        (&json!(true), &json!("draft"))
    );
    assert_eq!(scene.bundle(0, 0).revision, before);
}

#[test]
fn an_organisation_has_no_more_policies_than_a_gateway_takes() {
    let scene = Scene::new();
    let hundred = CLOSED.repeat(100);
    for at in 0..10 {
        let path = format!("/v1/policies/p{at}");
        scene.admin().put(&path, &document(&hundred)).expect(201);
    }
    scene
        .admin()
        .put("/v1/policies/more", &document(CLOSED))
        .expect_error(422, "invalid_value");
    scene
        .admin()
        .put("/v1/policies/p3", &document(CLOSED))
        .expect(200);
    scene
        .admin()
        .put("/v1/policies/more", &document(CLOSED))
        .expect(201);
}

#[test]
fn a_request_is_explained_by_what_is_registered_and_in_force() {
    let scene = Scene::new();
    let admin = scene.admin();
    let agent = json!({
        "id": "payer", "scopes": ["pay:*"], "groups": ["finance"], "purpose": "invoices",
    });
    admin.post("/v1/agents", &agent).expect(201);
    let tool = json!({ "scope": "pay:send", "category": "payment" });
    admin.put("/v1/tools/pay.send", &tool).expect(201);
    let asked = json!({ "agent": "payer", "tool": "pay.send" });
    let explained = admin.post("/v1/evaluate", &asked).expect(200);
    assert_eq!(
        (&explained["verdict"], &explained["allowed"]),
        (&json!("pass"), &json!(true))
    );
    assert_eq!(explained["determining"][0]["id"], "base/scope");
    let principal = &explained["request"]["principal"];
    assert_eq!(principal["groups"], json!(["finance"]));
    assert_eq!(principal["purpose"], "invoices");
    assert_eq!(principal["scopes"], json!(["pay:*", "pay:send"]));

    let draft = json!({
        "id": "cap", "cedar": "@reason(\"too much\") forbid (principal in Group::\"finance\", action, resource)
            unless { context.parameters.number.hasTag(\"amount\") &&
                     context.parameters.number.getTag(\"amount\").lessThan(decimal(\"9.5\")) };",
    });
    for (amount, verdict) in [(9.4, "pass"), (9.5, "block")] {
        let asked = json!({
            "agent": "payer", "tool": "pay.send", "draft": draft,
            "context": { "params": { "amount": amount }, "at": 0 },
        });
        let explained = admin.post("/v1/evaluate", &asked).expect(200);
        assert_eq!(explained["verdict"], verdict, "{explained}");
        assert_eq!(explained["request"]["context"]["weekday"], 4);
    }
    for (asked, status, code) in [
        (
            json!({ "agent": "nobody", "tool": "pay.send" }),
            404,
            "agent_not_found",
        ),
        (
            json!({ "agent": "payer", "tool": "nothing" }),
            404,
            "tool_not_found",
        ),
        (
            json!({ "agent": "payer", "tool": "pay.send", "action": "fly" }),
            400,
            "invalid_body",
        ),
        (
            json!({ "agent": "payer", "tool": "pay.send", "draft": { "cedar": "x" } }),
            422,
            "invalid_policy",
        ),
    ] {
        admin
            .post("/v1/evaluate", &asked)
            .expect_error(status, code);
    }
}

#[test]
fn groups_and_purpose_reach_the_bundle() {
    let scene = Scene::new();
    scene.agent("a", &["*"]);
    let patch = json!({ "groups": ["finance", "approvers"], "purpose": "invoices" });
    let patched = scene
        .admin()
        .json("PATCH", "/v1/agents/a", &patch)
        .expect(200);
    assert_eq!(patched["groups"], patch["groups"]);
    let agent = &scene.bundle(0, 0).sections.agents.unwrap().entries[0];
    assert_eq!(agent.groups, ["finance", "approvers"]);
    assert_eq!(agent.purpose.as_deref(), Some("invoices"));
    scene
        .admin()
        .json("PATCH", "/v1/agents/a", &json!({ "groups": [""] }))
        .expect_error(422, "invalid_value");
}

#[test]
fn the_reference_holds_the_schema_and_the_templates() {
    let scene = Scene::new();
    let reference = scene
        .role("auditor")
        .get("/v1/policy-reference")
        .expect(200);
    assert!(
        reference["schema"]
            .as_str()
            .unwrap()
            .contains("entity Agent in [Group]")
    );
    for template in reference["templates"].as_array().unwrap() {
        let said = scene
            .admin()
            .post(
                "/v1/policies/validate",
                &document(template["text"].as_str().unwrap()),
            )
            .expect(200);
        assert_eq!(said["valid"], true, "{template}");
    }
}
