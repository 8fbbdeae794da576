//! Lists, a part at a time.

use serde_json::{Value, json};

use crate::{client::Client, scene::Scene};

/// Every name of the list, asked for two at a time.
fn walked(client: &Client, path: &str, list: &str, name: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut url = format!("{path}?limit=2");
    loop {
        let page = client.get(&url).expect(200);
        let entries = page[list].as_array().unwrap();
        assert!((1..=2).contains(&entries.len()));
        names.extend(entries.iter().map(|e| e[name].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else {
            return names;
        };
        url = format!("{path}?limit=2&after={next}");
    }
}

fn all(client: &Client, path: &str, list: &str, name: &str) -> Vec<String> {
    let page = client.get(path).expect(200);
    assert_eq!(page["next"], Value::Null);
    let entries = page[list].as_array().unwrap();
    entries
        .iter()
        .map(|e| e[name].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn each_list_read_in_parts_is_the_whole_list() {
    let scene = Scene::new();
    let admin = scene.admin();
    for at in 0..5 {
        scene.agent(&format!("agent-{at}"), &[]);
        let tool = json!({ "scope": "s" });
        admin
            .put(&format!("/v1/tools/tool/{at}"), &tool)
            .expect(201);
        admin
            .post("/v1/keys", &json!({ "role": "tool" }))
            .expect(201);
        let cedar =
            "forbid (principal, action == Action::\"call\", resource in Category::\"payment\");";
        let cedar = json!({ "cedar": cedar });
        admin
            .put(&format!("/v1/policies/p-{at}"), &cedar)
            .expect(201);
    }
    for (path, list, name, count) in [
        ("/v1/agents", "agents", "id", 5),
        ("/v1/tools", "tools", "name", 5),
        ("/v1/keys", "keys", "id", 7),
        ("/v1/policies", "policies", "id", 6),
    ] {
        let whole = all(&admin, path, list, name);
        assert_eq!(whole.len(), count, "{path}");
        assert_eq!(walked(&admin, path, list, name), whole, "{path}");
    }
}

#[test]
fn lists_are_filtered_by_what_people_look_for() {
    let scene = Scene::new();
    let admin = scene.admin();
    scene.agent("parent", &[]);
    for id in ["a", "b"] {
        let agent = json!({ "id": id, "delegated_by": "parent" });
        admin.post("/v1/agents", &agent).expect(201);
    }
    admin.post("/v1/agents/a/suspend", &json!({})).expect(200);
    scene.tool();
    admin
        .put(
            "/v1/tools/mail",
            &json!({ "scope": "s", "category": "message" }),
        )
        .expect(201);
    for (path, list, name, wanted) in [
        ("/v1/agents?state=suspended", "agents", "id", vec!["a"]),
        (
            "/v1/agents?delegated_by=parent",
            "agents",
            "id",
            vec!["a", "b"],
        ),
        (
            "/v1/agents?delegated_by=parent&state=active",
            "agents",
            "id",
            vec!["b"],
        ),
        ("/v1/tools?category=message", "tools", "name", vec!["mail"]),
        ("/v1/keys?role=proxy", "keys", "role", vec!["proxy"]),
    ] {
        assert_eq!(all(&admin, path, list, name), wanted, "{path}");
    }
    let rules = admin.get("/v1/rules?category=xss").expect(200);
    let rules = rules["rules"].as_array().unwrap();
    assert!(!rules.is_empty() && rules.iter().all(|rule| rule["category"] == "xss"));
}

#[test]
fn a_part_or_filter_that_is_none_is_refused() {
    let scene = Scene::new();
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "state=dead",
        "colour=red",
    ] {
        let answer = scene.admin().get(&format!("/v1/agents?{query}"));
        answer.expect_error(422, "invalid_value");
    }
    for path in [
        "/v1/keys?after=x",
        "/v1/tools?category=x",
        "/v1/policies?limit=0",
    ] {
        scene.admin().get(path).expect_error(422, "invalid_value");
    }
}
