//! `/v1/policies`: what calls are allowed, in compact form.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use clampd_model::{Condition, Effect, Policy, RiskScore};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    App,
    body::JsonBody,
    caller::{Auditor, Operator},
    error::ApiError,
    value,
};
use crate::store::PolicyRecord;

const CONDITIONS_MAX: usize = 32;
const ALTERNATIVES_MAX: usize = 256;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyBody {
    effect: Effect,
    reason: String,
    #[serde(default)]
    when: Vec<Condition>,
}

pub(super) async fn put(
    Operator(key): Operator,
    State(app): State<App>,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<PolicyBody>,
) -> Result<(StatusCode, Json<PolicyRecord>), ApiError> {
    value::agent_id("id", &id)?;
    value::reason("reason", &body.reason)?;
    value::demand(
        body.when.len() <= CONDITIONS_MAX,
        "when",
        "must be at most 32 conditions",
    )?;
    body.when.iter().try_for_each(check)?;
    let PolicyBody {
        effect,
        reason,
        when,
    } = body;
    let policy = Policy {
        id,
        effect,
        reason,
        when,
    };
    let (policy, is_new) = app.store.put_policy(key.org_id, policy).await?;
    Ok((
        if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        },
        Json(policy),
    ))
}

fn check(condition: &Condition) -> Result<(), ApiError> {
    let alternatives = match condition {
        Condition::AgentIn(agents) => agents.len(),
        Condition::ToolIn(names) | Condition::FoundIn(names) => {
            names
                .iter()
                .try_for_each(|name| value::name("when", name))?;
            names.len()
        }
        Condition::ScopeIn(scopes) => {
            scopes
                .iter()
                .try_for_each(|scope| value::scope("when", scope))?;
            scopes.len()
        }
        Condition::CategoryIn(categories) => categories.len(),
        Condition::RiskAtLeast(risk) => {
            value::demand(is_risk(*risk), "when", "must hold a risk from 0 to 1")?;
            1
        }
        Condition::DelegationDepthAtLeast(_) => 1,
    };
    let holds = (1..=ALTERNATIVES_MAX).contains(&alternatives);
    value::demand(
        holds,
        "when",
        "must hold conditions of 1 to 256 alternatives",
    )
}

/// Whether it is a number from 0 to 1 with at most three decimals.
pub(super) fn is_risk(risk: RiskScore) -> bool {
    RiskScore::new(risk.value()) == risk
}

pub(super) async fn list(
    Auditor(key): Auditor,
    State(app): State<App>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(
        json!({ "policies": app.store.policies(key.org_id).await? }),
    ))
}

pub(super) async fn show(
    Auditor(key): Auditor,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<PolicyRecord>, ApiError> {
    Ok(Json(app.store.policy(key.org_id, id).await?))
}

pub(super) async fn delete(
    Operator(key): Operator,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.store.delete_policy(key.org_id, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
