//! The configuration from before contexts: one cluster, its fields at the top of the file.

use clampd_model::Secret;
use serde::Deserialize;

use super::file::{Config, Context, LOCAL_DASHBOARD_URL, LOCAL_GATEWAY_URL};

/// The old file. What it may have held beyond this has no place in a context.
#[derive(Deserialize)]
struct Flat {
    #[serde(alias = "endpoint", alias = "api_url")]
    dashboard_url: Option<String>,
    gateway_url: Option<String>,
    #[serde(default)]
    org_id: String,
    #[serde(default, alias = "token")]
    api_token: String,
    #[serde(default)]
    license_token: String,
}

/// The contexts for an old file; nothing when `text` is not one.
pub(super) fn from_flat(text: &str) -> Option<Result<Config, String>> {
    let table: toml::Table = toml::from_str(text).ok()?;
    if table.contains_key("contexts") || table.contains_key("current_context") || table.is_empty() {
        return None;
    }
    let flat: Result<Flat, _> = table.try_into();
    Some(flat.map(Config::from).map_err(|e| e.message().to_owned()))
}

impl From<Flat> for Config {
    fn from(flat: Flat) -> Self {
        let dashboard_url = flat
            .dashboard_url
            .unwrap_or_else(|| LOCAL_DASHBOARD_URL.to_owned());
        let here = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        let is_local = here.iter().any(|prefix| dashboard_url.starts_with(prefix));
        let name = if is_local { "local" } else { "default" };
        Self {
            current_context: name.to_owned(),
            contexts: vec![Context {
                name: name.to_owned(),
                dashboard_url,
                gateway_url: flat
                    .gateway_url
                    .unwrap_or_else(|| LOCAL_GATEWAY_URL.to_owned()),
                org_id: flat.org_id,
                api_token: Secret::new(flat.api_token),
                license_token: Secret::new(flat.license_token),
            }],
        }
    }
}
