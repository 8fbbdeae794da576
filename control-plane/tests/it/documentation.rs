//! The examples of the documentation run as they stand.

use std::process::Command;

use crate::scene::{SECRET, Scene, jwt_of};

const TEXT: &str = include_str!("../../../docs/control-plane.md");

#[test]
fn the_examples_of_the_documentation_run_as_they_stand() {
    let scene = Scene::new();
    assert_ne!(SECRET, "ags_brought_along");
    let mut token = String::new();
    let mut ran = 0;
    for block in TEXT.split("```sh\n").skip(1) {
        let script = block.split("```").next().unwrap();
        let run = Command::new("sh")
            .args(["-euc", script])
            .current_dir(scene.directory.path())
            .env("CP", &scene.url)
            .env("ADMIN_KEY", &scene.keys.admin_key)
            .env("PROXY_KEY", &scene.keys.proxy_key)
            .env("AGENT_JWT", jwt_of("research-agent", "ags_brought_along"))
            .env("TOKEN", &token)
            .output()
            .unwrap();
        assert!(
            run.status.success(),
            "{script}\n{}",
            String::from_utf8_lossy(&run.stderr)
        );
        let output = String::from_utf8(run.stdout).unwrap();
        if let Some((_, rest)) = output.split_once("\"access_token\":\"") {
            token = rest.split('"').next().unwrap().to_owned();
        }
        if script.contains("/v1/introspect") {
            assert!(output.contains("\"active\":true"), "{output}");
        }
        ran += 1;
    }
    assert!(ran >= 6, "{ran}");
}

#[test]
fn every_route_stands_in_the_documentation() {
    for route in crate::access::ROUTES {
        let path = route.path.split('?').next().unwrap().replace("/x", "");
        assert!(
            TEXT.contains(path.as_str()) || TEXT.contains(&path.replace("/v1/agents", "")),
            "{path}"
        );
    }
}
