//! Tools and settings.

use clampd_token::tool_binding;
use serde_json::json;

use crate::scene::Scene;

#[test]
fn a_tool_is_bound_to_its_descriptor_and_its_tokens_to_its_upstream() {
    let scene = Scene::new();
    let descriptor = json!({ "name": "q", "description": "runs SQL" });
    let tool = json!({
        "scope": "db:read", "category": "database", "upstream": "http://127.0.0.1:9001/query",
        "descriptor": descriptor,
    });
    let kept = scene
        .admin()
        .put("/v1/tools/database.query", &tool)
        .expect(201);
    assert_eq!(kept["audience"], "http://127.0.0.1:9001");
    assert_eq!(kept["binding"], tool_binding(&descriptor));
    let again = json!({ "scope": "db:read" });
    let kept = scene
        .admin()
        .put("/v1/tools/database.query", &again)
        .expect(200);
    assert_eq!(
        (&kept["audience"], &kept["category"]),
        (&json!("database.query"), &json!("other"))
    );
    assert_eq!(
        (&kept["binding"], &kept["descriptor"]),
        (&json!(tool_binding(&descriptor)), &descriptor)
    );
    assert_eq!(
        scene.admin().get("/v1/tools/database.query").expect(200),
        kept
    );
    let undescribed = scene.admin().put("/v1/tools/t", &again).expect(201);
    let described = json!({ "category": "other", "name": "t", "scope": "db:read" });
    assert_eq!(undescribed["binding"], tool_binding(&described));
}

#[test]
fn a_tools_name_may_hold_slashes() {
    let scene = Scene::new();
    scene
        .admin()
        .put("/v1/tools/files/read:v1", &json!({ "scope": "fs:read" }))
        .expect(201);
    let listed = scene.admin().get("/v1/tools").expect(200);
    assert_eq!(listed["tools"][0]["name"], "files/read:v1");
    assert_eq!(
        scene.admin().delete("/v1/tools/files%2Fread:v1").status,
        204
    );
    scene
        .admin()
        .get("/v1/tools/files/read:v1")
        .expect_error(404, "tool_not_found");
}

#[test]
fn what_no_tool_or_setting_can_be_is_refused() {
    let scene = Scene::new();
    let before = scene.bundle(0, 0).revision;
    for (path, body, status, code) in [
        (
            "/v1/tools/a%20b",
            json!({ "scope": "s" }),
            422,
            "invalid_value",
        ),
        ("/v1/tools/t", json!({}), 400, "invalid_body"),
        ("/v1/tools/t", json!({ "scope": "" }), 422, "invalid_value"),
        (
            "/v1/tools/t",
            json!({ "scope": "s", "category": "rocket" }),
            400,
            "invalid_body",
        ),
        (
            "/v1/tools/t",
            json!({ "scope": "s", "upstream": "file:///x" }),
            422,
            "invalid_value",
        ),
        (
            "/v1/tools/t",
            json!({ "scope": "s", "audience": "a b" }),
            422,
            "invalid_value",
        ),
        (
            "/v1/settings",
            json!({ "block_at": 2, "flag_at": 0.1 }),
            422,
            "invalid_value",
        ),
        (
            "/v1/settings",
            json!({ "block_at": 0.3, "flag_at": 0.4 }),
            422,
            "invalid_value",
        ),
        (
            "/v1/settings",
            json!({ "block_at": "high", "flag_at": 0.4 }),
            400,
            "invalid_body",
        ),
    ] {
        scene.admin().put(path, &body).expect_error(status, code);
    }
    assert_eq!(scene.bundle(0, 0).revision, before);
}

#[test]
fn the_trust_root_can_be_asked_for_again() {
    let scene = Scene::new();
    let organisation = scene.admin().get("/v1/organisation").expect(200);
    assert_eq!(organisation["trust_root"], scene.keys.trust_root);
    assert_eq!(
        (&organisation["id"], &organisation["name"]),
        (&json!("org_a"), &json!("A"))
    );
}
