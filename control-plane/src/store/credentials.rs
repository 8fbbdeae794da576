//! Agents with what their JWTs are verified by: sealed at rest, opened for a bundle or an exchange.

use clampd_model::{Agent, AgentId, AgentState, Credential, Secret};

use super::{
    Noun, StoreError,
    agents::{NewCredential, parse_state, read_boundaries, read_list},
    sql::{Connection, Row},
};
use crate::seal::MasterKey;

/// The agent as the bundle carries it, and its state.
pub(super) fn bundle_agents(
    connection: &Connection,
    org_id: &str,
    master: &MasterKey,
) -> Result<Vec<Agent>, StoreError> {
    let sql =
        "SELECT id, name, alg, credential, scopes, agent_groups, purpose, boundaries FROM cp_agents
         WHERE org_id = ?1 ORDER BY id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([org_id])?;
    let mut agents = Vec::new();
    while let Some(row) = rows.next()? {
        agents.push(read_agent(row, org_id, master)?);
    }
    Ok(agents)
}

/// One agent with its credential, and its state; none when it is not registered.
pub(super) fn agent_with_credential(
    connection: &Connection,
    org_id: &str,
    id: &str,
    master: &MasterKey,
) -> Result<Option<(Agent, AgentState)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, name, alg, credential, scopes, agent_groups, purpose, boundaries, state FROM cp_agents
         WHERE org_id = ?1 AND id = ?2",
    )?;
    let mut rows = statement.query((org_id, id))?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let state = parse_state(&row.get::<_, String>("state")?)?;
    Ok(Some((read_agent(row, org_id, master)?, state)))
}

fn read_agent(row: &Row, org_id: &str, master: &MasterKey) -> Result<Agent, StoreError> {
    let unreadable = || StoreError::Unreadable(Noun::Agent);
    let id: String = row.get("id")?;
    let alg: String = row.get("alg")?;
    let stored: Vec<u8> = row.get("credential")?;
    let credential = if alg == "EdDSA" {
        let public_key = String::from_utf8(stored).map_err(|_| unreadable())?;
        Credential::EdDsa { public_key }
    } else {
        let key = master.open(&credential_label(org_id, &id), &stored)?;
        Credential::Hs256 {
            key: Secret::new(String::from_utf8(key).map_err(|_| unreadable())?),
        }
    };
    Ok(Agent {
        id: AgentId::parse(&id).map_err(|_| unreadable())?,
        name: row.get("name")?,
        org_id: org_id.to_owned(),
        credential,
        scopes: read_list(&row.get::<_, String>("scopes")?)?,
        groups: read_list(&row.get::<_, String>("agent_groups")?)?,
        purpose: row.get("purpose")?,
        boundaries: read_boundaries(row)?,
    })
}

pub(super) fn sealed(
    master: &MasterKey,
    org_id: &str,
    id: &str,
    credential: &NewCredential,
) -> Result<(&'static str, Vec<u8>), StoreError> {
    match credential {
        NewCredential::Hs256 { key } => {
            let label = credential_label(org_id, id);
            Ok(("HS256", master.seal(&label, key.expose().as_bytes())?))
        }
        NewCredential::EdDsa { public_key } => Ok(("EdDSA", public_key.clone().into_bytes())),
    }
}

fn credential_label(org_id: &str, id: &str) -> String {
    format!("agent/{org_id}/{id}")
}
