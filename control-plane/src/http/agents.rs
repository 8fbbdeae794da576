//! `/v1/agents`: register, show, change.

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use clampd_model::{AgentState, Boundaries, Secret};
use clampd_token::agent_hmac_key;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    App,
    body::{JsonBody, OptionalJsonBody},
    caller::{Auditor, Operator},
    error::{ApiError, Problem},
    page, value,
};
use crate::{
    random,
    store::{AgentPatch, AgentRecord, AgentsWanted, NewAgent, NewCredential},
};

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Registration {
    id: Option<String>,
    name: Option<String>,
    secret: Option<Secret>,
    public_key: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    groups: Vec<String>,
    purpose: Option<String>,
    framework: Option<String>,
    boundaries: Option<Boundaries>,
    delegated_by: Option<String>,
}

/// An agent as it was just registered: the only answer that holds its secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Registered {
    #[serde(flatten)]
    agent: AgentRecord,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Secret>,
}

/// Registers an agent.
#[utoipa::path(
    post,
    path = "/v1/agents",
    operation_id = "agents_register",
    tag = "agents",
    security(("key" = ["operator"])),
    request_body = Option<Registration>,
    responses(
        (status = 201, description = "The agent, and its secret.", body = Registered),
        (status = 404, description = "`delegated_by` is not known.", body = Problem),
        (status = 409, description = "There is one already.", body = Problem),
    ),
)]
pub(super) async fn register(
    Operator(key): Operator,
    State(app): State<App>,
    OptionalJsonBody(new): OptionalJsonBody<Registration>,
) -> Result<(StatusCode, Json<Registered>), ApiError> {
    let id = match &new.id {
        Some(id) => value::agent_id("id", id)?,
        None => value::agent_id("id", &new_uuid()?)?,
    };
    let name = new.name.unwrap_or_else(|| id.as_str().to_owned());
    value::name("name", &name)?;
    value::scopes("scopes", &new.scopes)?;
    value::groups("groups", &new.groups)?;
    new.purpose
        .iter()
        .try_for_each(|purpose| value::name("purpose", purpose))?;
    new.framework
        .iter()
        .try_for_each(|framework| value::name("framework", framework))?;
    if let Some(delegator) = &new.delegated_by {
        value::agent_id("delegated_by", delegator)?;
        value::demand(
            delegator != id.as_str(),
            "delegated_by",
            "must be another agent",
        )?;
        app.store
            .agent(key.org_id.clone(), delegator.clone())
            .await?;
    }
    let (credential, secret) = credential(new.secret, new.public_key)?;
    let (scopes, framework, delegated_by) = (new.scopes, new.framework, new.delegated_by);
    let agent = NewAgent {
        id,
        name,
        credential,
        scopes,
        groups: new.groups,
        purpose: new.purpose,
        framework,
        boundaries: new.boundaries,
        delegated_by,
    };
    let agent = app.store.register_agent(key.org_id, agent).await?;
    Ok((StatusCode::CREATED, Json(Registered { agent, secret })))
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentsQuery {
    /// At most so many, 1 to 1000; all where it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Those after this id: the `next` of an earlier answer.
    #[serde(default)]
    #[param(required = false)]
    after: String,
    /// Only those in this state.
    state: Option<AgentState>,
    /// Only those that this agent delegated to.
    delegated_by: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Agents {
    agents: Vec<AgentRecord>,
    /// What to go on `after`, where there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// The agents.
#[utoipa::path(
    get,
    path = "/v1/agents",
    operation_id = "agents_list",
    tag = "agents",
    security(("key" = ["auditor"])),
    params(AgentsQuery),
    responses(
        (status = 200, description = "The agents, by id.", body = Agents),
    ),
)]
pub(super) async fn list(
    Auditor(key): Auditor,
    State(app): State<App>,
    query: Result<Query<AgentsQuery>, QueryRejection>,
) -> Result<Json<Agents>, ApiError> {
    let AgentsQuery {
        limit,
        after,
        state,
        delegated_by,
    } = page::known(query)?;
    let wanted = AgentsWanted {
        state,
        delegated_by,
        after,
        entries_max: page::to_read(limit)?,
    };
    let agents = app.store.agents(key.org_id, wanted).await?;
    let (agents, next) = page::part(agents, limit, |agent| agent.id.clone());
    Ok(Json(Agents { agents, next }))
}

/// One agent.
#[utoipa::path(
    get,
    path = "/v1/agents/{id}",
    operation_id = "agents_show",
    tag = "agents",
    security(("key" = ["auditor"])),
    params(("id" = String, Path, description = "Whose")),
    responses(
        (status = 200, description = "The agent.", body = AgentRecord),
    ),
)]
pub(super) async fn show(
    Auditor(key): Auditor,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<AgentRecord>, ApiError> {
    Ok(Json(app.store.agent(key.org_id, id).await?))
}

#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Patch {
    name: Option<String>,
    scopes: Option<Vec<String>>,
    groups: Option<Vec<String>>,
    purpose: Option<String>,
    framework: Option<String>,
    /// The agent's own, whole; `null` takes them away, so that it has what proxies have by default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Boundaries>)]
    boundaries: Option<Option<Boundaries>>,
}

/// A value that was given, `null` too.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// Changes what the body names.
#[utoipa::path(
    patch,
    path = "/v1/agents/{id}",
    operation_id = "agents_patch",
    tag = "agents",
    security(("key" = ["operator"])),
    params(("id" = String, Path, description = "Whose")),
    request_body = Patch,
    responses(
        (status = 200, description = "The agent as it is now.", body = AgentRecord),
    ),
)]
pub(super) async fn patch(
    Operator(key): Operator,
    State(app): State<App>,
    Path(id): Path<String>,
    JsonBody(patch): JsonBody<Patch>,
) -> Result<Json<AgentRecord>, ApiError> {
    patch
        .name
        .iter()
        .try_for_each(|name| value::name("name", name))?;
    patch
        .scopes
        .iter()
        .try_for_each(|scopes| value::scopes("scopes", scopes))?;
    patch
        .groups
        .iter()
        .try_for_each(|groups| value::groups("groups", groups))?;
    patch
        .purpose
        .iter()
        .try_for_each(|purpose| value::name("purpose", purpose))?;
    patch
        .framework
        .iter()
        .try_for_each(|framework| value::name("framework", framework))?;
    let Patch {
        name,
        scopes,
        groups,
        purpose,
        framework,
        boundaries,
    } = patch;
    let patch = AgentPatch {
        name,
        scopes,
        groups,
        purpose,
        framework,
        boundaries,
    };
    Ok(Json(app.store.patch_agent(key.org_id, id, patch).await?))
}

#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    secret: Option<Secret>,
    public_key: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct Rotated {
    id: String,
    revision: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<Secret>,
}

/// Replaces how the agent's JWTs are verified.
#[utoipa::path(
    post,
    path = "/v1/agents/{id}/rotate",
    operation_id = "agents_rotate",
    tag = "agents",
    security(("key" = ["operator"])),
    params(("id" = String, Path, description = "Whose")),
    request_body = Option<Rotation>,
    responses(
        (status = 200, description = "What it signs with from now on.", body = Rotated),
    ),
)]
pub(super) async fn rotate(
    Operator(key): Operator,
    State(app): State<App>,
    Path(id): Path<String>,
    OptionalJsonBody(rotation): OptionalJsonBody<Rotation>,
) -> Result<Json<Rotated>, ApiError> {
    let (credential, secret) = credential(rotation.secret, rotation.public_key)?;
    let revision = app
        .store
        .rotate_agent(key.org_id, id.clone(), credential)
        .await?;
    Ok(Json(Rotated {
        id,
        revision,
        secret,
    }))
}

/// What is kept of a secret or public key, and the secret to tell, once.
fn credential(
    secret: Option<Secret>,
    public_key: Option<String>,
) -> Result<(NewCredential, Option<Secret>), ApiError> {
    match (secret, public_key) {
        (Some(_), Some(_)) => Err(ApiError::invalid_value(
            "public_key",
            "and `secret` exclude each other",
        )),
        (None, Some(public_key)) => {
            value::public_key("public_key", &public_key)?;
            Ok((NewCredential::EdDsa { public_key }, None))
        }
        (secret, None) => {
            let secret = match secret {
                Some(secret) => secret,
                None => Secret::new(format!("ags_{}", random::hex::<32>().map_err(internal)?)),
            };
            value::secret("secret", secret.expose())?;
            Ok((
                NewCredential::Hs256 {
                    key: agent_hmac_key(&secret),
                },
                Some(secret),
            ))
        }
    }
}

fn new_uuid() -> Result<String, ApiError> {
    random::uuid().map_err(internal)
}

fn internal(error: random::NoEntropy) -> ApiError {
    crate::store::StoreError::from(error).into()
}
