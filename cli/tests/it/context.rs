//! `clampd config` and `clampd context`.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::json;

use crate::clampd::Clampd;

/// The file as the documentation shows it.
const DOCUMENTED: &str = r#"current_context = "local"

# Local development
[[contexts]]
name = "local"
dashboard_url = "http://127.0.0.1:3001"
gateway_url = "http://127.0.0.1:8080"
org_id = ""
api_token = ""
license_token = ""

# Production (SaaS or self-hosted)
[[contexts]]
name = "prod"
dashboard_url = "https://api.clampd.dev"
gateway_url = "https://gateway.clampd.dev"
org_id = "a1234567-1234-1234-1234-123456789012"
api_token = "ag_live_xxx"
license_token = "eyJ..."
"#;

fn mode(clampd: &Clampd, name: &str) -> u32 {
    let known = fs::metadata(clampd.path(name)).unwrap();
    known.permissions().mode() & 0o777
}

fn config(clampd: &Clampd) -> String {
    fs::read_to_string(clampd.path(".clampd/config.toml")).unwrap()
}

#[test]
fn init_writes_the_context_local_for_its_owner_alone() {
    let clampd = Clampd::new();
    let said = clampd.ok(&["config", "init"]);
    assert_eq!(
        said,
        "Config written to ~/.clampd/config.toml\nDefault context 'local' created.\n"
    );
    assert_eq!(
        config(&clampd),
        "current_context = \"local\"\n\n[[contexts]]\nname = \"local\"\n\
         dashboard_url = \"http://127.0.0.1:3001\"\ngateway_url = \"http://127.0.0.1:8080\"\n\
         org_id = \"\"\napi_token = \"\"\nlicense_token = \"\"\n"
    );
    assert_eq!(
        (
            mode(&clampd, ".clampd"),
            mode(&clampd, ".clampd/config.toml")
        ),
        (0o700, 0o600)
    );
    assert!(
        clampd
            .run(&["config", "init"])
            .refused(2)
            .contains("--force")
    );
    clampd.ok(&["config", "init", "--force"]);
}

#[test]
fn contexts_are_added_listed_and_switched() {
    let clampd = Clampd::new();
    clampd.ok(&["config", "init"]);
    clampd.ok(&[
        "context",
        "add",
        "prod",
        "--endpoint",
        "https://api.clampd.dev/",
        "--gateway-url",
        "https://gateway.clampd.dev",
        "--set-org-id",
        "a1234567-1234",
        "--set-api-token",
        "ag_live_xxx",
    ]);
    assert_eq!(
        clampd.ok(&["context", "list"]),
        "NAME     DASHBOARD               GATEWAY                     ORG_ID\n\
         * local  http://127.0.0.1:3001   http://127.0.0.1:8080       (not set)\n\
         \u{20} prod   https://api.clampd.dev  https://gateway.clampd.dev  a1234567-1234\n"
    );
    assert_eq!(
        clampd.ok(&["context", "use", "prod"]),
        "Switched to context 'prod'.\n"
    );
    let shown = clampd.ok(&["context", "show"]);
    assert!(shown.contains("prod") && shown.contains("(set)"), "{shown}");
    assert!(!shown.contains("ag_live_xxx"), "{shown}");
    assert_eq!(mode(&clampd, ".clampd/config.toml"), 0o600);
    let said = clampd.run(&["context", "use", "staging"]).refused(1);
    assert!(
        said.contains("`staging`") && said.contains("local, prod"),
        "{said}"
    );
    let again = [
        "context",
        "add",
        "prod",
        "--endpoint",
        "https://other.example",
    ];
    assert!(clampd.run(&again).refused(1).contains("--replace"));
    clampd.ok(&[&again[..], &["--replace"]].concat());
    assert!(
        clampd
            .ok(&["context", "show", "prod"])
            .contains("https://other.example")
    );
}

#[test]
fn the_documented_file_is_read_and_its_comments_stay() {
    let clampd = Clampd::new();
    clampd.file(".clampd/config.toml", DOCUMENTED);
    clampd.ok(&["context", "use", "prod"]);
    let expected = DOCUMENTED.replacen("\"local\"", "\"prod\"", 1);
    assert_eq!(config(&clampd), expected);
    clampd.ok(&[
        "context",
        "add",
        "staging",
        "--endpoint",
        "https://staging.internal:3001",
    ]);
    assert!(
        config(&clampd).starts_with(&expected),
        "{}",
        config(&clampd)
    );
    assert!(clampd.ok(&["context", "list"]).contains("staging.internal"));
}

#[test]
fn a_flat_configuration_becomes_a_context() {
    let clampd = Clampd::new();
    let flat = "dashboard_url = \"https://api.example.com\"\ngateway_url = \"https://gw.example.com\"\n\
                org_id = \"org_9\"\napi_token = \"ag_live_old\"\ntheme = \"dark\"\n";
    clampd.file(".clampd/config.toml", flat);
    let shown = clampd.json(&["context", "show"]);
    assert_eq!(
        shown,
        json!({
            "name": "default", "dashboard_url": "https://api.example.com",
            "gateway_url": "https://gw.example.com", "org_id": "org_9",
            "api_token_set": true, "license_token_set": false,
        })
    );
    let written = config(&clampd);
    assert!(
        written.starts_with("current_context = \"default\"\n\n[[contexts]]\n"),
        "{written}"
    );
    assert!(written.contains("api_token = \"ag_live_old\""), "{written}");
    assert_eq!(
        fs::read_to_string(clampd.path(".clampd/config.toml.old")).unwrap(),
        flat
    );
    assert_eq!(mode(&clampd, ".clampd/config.toml"), 0o600);
    assert_eq!(mode(&clampd, ".clampd/config.toml.old"), 0o600);
}

#[test]
fn the_environment_overrides_the_context_in_use() {
    let clampd = Clampd::new()
        .with("CLAMPD_ORG_ID", "org_env")
        .with("CLAMPD_API_TOKEN", "ag_live_env")
        .with("CLAMPD_DASHBOARD_URL", "https://dash.example")
        .with("CLAMPD_GATEWAY_URL", "");
    let shown = clampd.json(&["context", "show"]);
    assert_eq!(shown["org_id"], "org_env");
    assert_eq!(shown["api_token_set"], true);
    assert_eq!(shown["dashboard_url"], "https://dash.example");
    assert_eq!(shown["gateway_url"], "http://127.0.0.1:8080");
    // What is configured is not changed by it.
    assert!(
        clampd
            .ok(&["context", "list"])
            .contains("http://127.0.0.1:3001")
    );
}

#[test]
fn a_wrong_configuration_is_named_and_no_token_of_it_shown() {
    let clampd = Clampd::new();
    for (text, wanted) in [
        ("current_context = ", "line 1"),
        (
            "current_context = \"a\"\ncontexts = []\n",
            "`current_context` names no context",
        ),
        (
            "current_context = \"a\"\n[[contexts]]\nname = \"a\"\napi_token = \"ag_live_s\"\n",
            "dashboard_url",
        ),
        (
            "current_context = \"a\"\n[[contexts]]\nname = \"a\"\napi_token = [\"ag_live_s\"]\n",
            "line 4",
        ),
    ] {
        clampd.file(".clampd/config.toml", text);
        let said = clampd.run(&["context", "list"]).refused(1);
        assert!(
            said.contains("config.toml") && said.contains(wanted),
            "{text}: {said}"
        );
        assert!(!said.contains("ag_live_s"), "{said}");
    }
    let clampd = Clampd::new();
    for url in ["ftp://x", "http://", "http://user:pw@host", "host:80"] {
        let said = clampd
            .run(&["context", "add", "x", "--endpoint", url])
            .refused(2);
        assert!(said.contains("`dashboard_url` must be"), "{said}");
    }
    assert!(
        clampd
            .run(&["context", "add", "a b"])
            .refused(2)
            .contains("name")
    );
}
