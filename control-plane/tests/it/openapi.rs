//! The OpenAPI document, and the page that shows it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{access::ROUTES, client::Client, scene::Scene};

const COMMITTED: &str = include_str!("../../../docs/openapi.json");

/// Every operation: method, path, what is said of it.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((method.to_uppercase(), path.clone(), operation));
        }
    }
    all
}

#[test]
fn the_document_is_served_to_anyone_and_is_the_committed_one() {
    let scene = Scene::new();
    let served = Client::new(&scene.url, "").get("/openapi.json");
    assert_eq!(served.status, 200);
    assert_eq!(
        served.text,
        COMMITTED.trim_end(),
        "run `make openapi-doc` and commit docs/openapi.json"
    );
    assert_eq!(served.body["openapi"], "3.1.0");
}

#[test]
fn the_document_asks_of_each_route_the_role_that_the_route_asks() {
    let document: Value = serde_json::from_str(COMMITTED).unwrap();
    let mut documented = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let role = &operation["security"][0]["key"][0];
        if let Some(role) = role.as_str() {
            documented.insert((method, path, role.to_owned()));
        } else {
            assert!(["/health", "/ready"].contains(&path.as_str()), "{path}");
        }
    }
    let tested: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| {
            let path = route.path.split('?').next().unwrap();
            let name = match path {
                path if path.starts_with("/v1/tools/") || path.starts_with("/v1/rules/") => {
                    "{name}"
                }
                _ => "{id}",
            };
            let path = path.replace("/x", &format!("/{name}"));
            // The last of the roles is the one that the others go beyond.
            let role = route.roles.last().unwrap();
            (route.method.to_owned(), path, (*role).to_owned())
        })
        .collect();
    assert_eq!(documented, tested);
}

#[test]
fn every_operation_says_what_it_answers_and_every_error_has_the_same_shape() {
    let document: Value = serde_json::from_str(COMMITTED).unwrap();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{id} twice");
        assert!(operation["summary"].is_string(), "{method} {path}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')));
        for (status, response) in responses {
            let is_error = ['4', '5'].contains(&status.chars().next().unwrap());
            if is_error && path != "/ready" {
                let schema = &response["content"]["application/json"]["schema"]["$ref"];
                let name = schema.as_str().unwrap().rsplit('/').next().unwrap();
                assert!(name.ends_with("Problem"), "{method} {path} {status}");
            }
        }
    }
}

#[test]
fn the_page_reaches_nothing_but_this_service_and_is_let_reach_nothing_else() {
    let scene = Scene::new();
    let anyone = Client::new(&scene.url, "");
    let page = anyone.get("/docs");
    for path in ["/docs", "/docs/page.css", "/docs/page.js"] {
        let answer = anyone.get(path);
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{policy}"
        );
        for scheme in ["http:", "https:", "//cdn"] {
            assert!(!answer.text.contains(scheme), "{path} names {scheme}");
        }
    }
    for inline in ["<style", "style=", "onclick", "onload"] {
        assert!(!page.text.contains(inline), "the policy forbids {inline}");
    }
    for file in ["/docs/page.css", "/docs/page.js"] {
        assert!(page.text.contains(file));
    }
}
