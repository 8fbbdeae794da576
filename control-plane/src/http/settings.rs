//! `/v1/organisation` and `/v1/settings`: what the organisation is and has set.
//!
//! Whether the agents, tools, rules and categories that settings name are there is asked by the
//! store, in the transaction that keeps them.

use std::collections::HashSet;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, header},
};
use clampd_model::{
    Exemption, Jwks, ResponseHandling, RiskScore, RuleMode, SETTINGS_ENTRIES_MAX, Settings,
    Thresholds,
};
use serde::Serialize;

use super::{
    App,
    body::JsonBody,
    caller::{Auditor, Operator},
    error::{ApiError, Problem},
    value::{self, demand, is_risk},
};
use crate::store::jwks as jwks_of;

type Tagged<T> = ([(HeaderName, String); 1], Json<T>);

/// An organisation as it is told.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ToldOrganisation {
    id: String,
    name: String,
    revision: u64,
    created_at: u64,
    /// The public key that its bundles are signed with.
    trust_root: String,
}

/// The organisation, and the key that its bundles are signed with.
#[utoipa::path(
    get,
    path = "/v1/organisation",
    operation_id = "settings_organisation",
    tag = "settings",
    security(("key" = ["auditor"])),
    responses(
        (status = 200, description = "The organisation.", body = ToldOrganisation),
    ),
)]
pub(super) async fn organisation(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Json<ToldOrganisation>, ApiError> {
    let organisation = app.store.organisation(key.org_id.clone()).await?;
    let keys = app.signing_keys(&key.org_id).await?;
    Ok(Json(ToldOrganisation {
        id: organisation.id,
        name: organisation.name,
        revision: organisation.revision,
        created_at: organisation.created_at,
        trust_root: keys.bundle.verifying_key().to_text(),
    }))
}

/// The public keys that verify micro-tokens and statements about the audit trail (RFC 7517).
#[utoipa::path(
    get,
    path = "/v1/jwks",
    operation_id = "tokens_jwks",
    tag = "tokens",
    security(("key" = ["auditor"])),
    responses(
        (status = 200, description = "The public keys (RFC 7517).", body = Jwks),
    ),
)]
pub(super) async fn jwks(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Json<Jwks>, ApiError> {
    let keys = app.signing_keys(&key.org_id).await?;
    Ok(Json(jwks_of(&keys)))
}

/// What the organisation has set.
#[utoipa::path(
    get,
    path = "/v1/settings",
    operation_id = "settings_show",
    tag = "settings",
    security(("key" = ["auditor"])),
    responses(
        (status = 200, description = "What is set.", body = Settings, headers(("etag" = String, description = "Their revision"))),
    ),
)]
pub(super) async fn show(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Tagged<Settings>, ApiError> {
    let (settings, revision) = app.store.settings(key.org_id).await?;
    Ok(tagged(revision, settings))
}

/// Replaces what the organisation has set.
#[utoipa::path(
    put,
    path = "/v1/settings",
    operation_id = "settings_put",
    tag = "settings",
    security(("key" = ["operator"])),
    params(("if-match" = Option<String>, Header, description = "The `etag` of an earlier answer: only then they are replaced")),
    request_body = Settings,
    responses(
        (status = 200, description = "What is set now.", body = Settings, headers(("etag" = String, description = "Their revision"))),
        (status = 412, description = "They were changed meanwhile.", body = Problem),
    ),
)]
pub(super) async fn put(
    Operator(key): Operator,
    State(app): State<App>,
    headers: HeaderMap,
    JsonBody(settings): JsonBody<Settings>,
) -> Result<Tagged<Settings>, ApiError> {
    let expected = expected_revision(&headers)?;
    check(&settings)?;
    let kept = settings.clone();
    let revision = app.store.set_settings(key.org_id, kept, expected).await?;
    Ok(tagged(revision, settings))
}

fn tagged(revision: u64, settings: Settings) -> Tagged<Settings> {
    ([(header::ETAG, format!("\"{revision}\""))], Json(settings))
}

/// The revision in `If-Match`, where one is wanted.
fn expected_revision(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(tag) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let tag = tag.to_str().ok().map(|tag| tag.trim().trim_matches('"'));
    let revision = tag.and_then(|tag| tag.parse().ok());
    let wanted = "must be the one `ETag` of an earlier answer";
    revision
        .map(Some)
        .ok_or_else(|| ApiError::invalid_value("if-match", wanted))
}

/// Whether the settings are sound by themselves.
fn check(settings: &Settings) -> Result<(), ApiError> {
    risk("block_at", settings.block_at)?;
    risk("flag_at", settings.flag_at)?;
    let ordered = settings.flag_at <= settings.block_at;
    demand(ordered, "flag_at", "must not be above `block_at`")?;
    each("thresholds", &settings.thresholds, threshold)?;
    each("modes", &settings.modes, mode)?;
    each("exemptions", &settings.exemptions, exemption)?;
    each("responses", &settings.responses, |_, entry| {
        Ok(response(entry))
    })
}

/// Checks a list's entries by their fields' names; no two may say what they say of the same.
fn each<E, K: Eq + std::hash::Hash>(
    list: &str,
    entries: &[E],
    check: impl Fn(&str, &E) -> Result<K, ApiError>,
) -> Result<(), ApiError> {
    let few = entries.len() <= SETTINGS_ENTRIES_MAX;
    demand(few, list, "must have at most 256 entries")?;
    let mut seen = HashSet::new();
    for (at, entry) in entries.iter().enumerate() {
        let field = format!("{list}[{at}]");
        let is_new = seen.insert(check(&field, entry)?);
        demand(is_new, &field, "names the same as an entry before it")?;
    }
    Ok(())
}

fn risk(field: &str, risk: RiskScore) -> Result<(), ApiError> {
    let wanted = "must be a number from 0 to 1 with at most three decimals";
    demand(is_risk(risk), field, wanted)
}

type Names = [Option<String>; 5];

fn threshold(field: &str, entry: &Thresholds) -> Result<Names, ApiError> {
    for (name, threshold) in [("block_at", entry.block_at), ("flag_at", entry.flag_at)] {
        if let Some(threshold) = threshold {
            risk(&format!("{field}.{name}"), threshold)?;
        }
    }
    let set = entry.block_at.is_some() || entry.flag_at.is_some();
    demand(set, field, "must set `block_at` or `flag_at`")?;
    let ordered = match (entry.flag_at, entry.block_at) {
        (Some(flag_at), Some(block_at)) => flag_at <= block_at,
        _ => true,
    };
    let wanted = "must not have a `flag_at` above its `block_at`";
    demand(ordered, field, wanted)?;
    let named = entry.agent.is_some() || entry.tool.is_some() || entry.category.is_some();
    demand(named, field, "must name an agent, a tool or a category")?;
    let agent = entry.agent.as_ref().map(ToString::to_string);
    Ok([
        agent,
        entry.tool.clone(),
        entry.category.clone(),
        None,
        None,
    ])
}

/// What an entry speaks of; that its action fits its kind was seen when it was read.
fn response(entry: &ResponseHandling) -> Names {
    let agent = entry.agent.as_ref().map(ToString::to_string);
    let kind = entry.kind.as_str().to_owned();
    [agent, entry.tool.clone(), Some(kind), None, None]
}

fn mode(field: &str, entry: &RuleMode) -> Result<Names, ApiError> {
    let one = entry.rule.is_some() != entry.category.is_some();
    demand(one, field, "must name either a rule or a category")?;
    Ok([entry.rule.clone(), entry.category.clone(), None, None, None])
}

fn exemption(field: &str, entry: &Exemption) -> Result<Names, ApiError> {
    let one = entry.rule.is_some() != entry.category.is_some();
    demand(one, field, "must name either a rule or a category")?;
    let whom = entry.agent.is_some() || entry.tool.is_some() || entry.scope.is_some();
    demand(whom, field, "must name an agent, a tool or a scope")?;
    value::reason(&format!("{field}.reason"), &entry.reason)?;
    if let Some(scope) = &entry.scope {
        let field = format!("{field}.scope");
        value::scope(&field, scope)?;
        demand(scope != "*", &field, "must be narrower than `*`")?;
    }
    let agent = entry.agent.as_ref().map(ToString::to_string);
    Ok([
        entry.rule.clone(),
        entry.category.clone(),
        agent,
        entry.tool.clone(),
        entry.scope.clone(),
    ])
}
