//! Agents: who they are, what they may do, whether they may act.

use clampd_model::{AgentId, AgentState, Boundaries, RiskLevel, RiskScore, Secret};
use serde::Serialize;

use super::{
    Noun, SectionName, Store, StoreError,
    credentials::sealed,
    from_sql_integer,
    sql::{Connection, OptionalExtension, Row},
    sql_integer,
};
use crate::clock;

/// An agent as it is kept, without its credential.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct AgentRecord {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) org_id: String,
    pub(crate) state: AgentState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) state_reason: Option<String>,
    pub(crate) scopes: Vec<String>,
    pub(crate) groups: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) purpose: Option<String>,
    pub(crate) framework: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) boundaries: Option<Boundaries>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delegated_by: Option<String>,
    pub(crate) risk: RiskLevel,
    pub(crate) risk_score: RiskScore,
    pub(crate) alg: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) public_key: Option<String>,
    pub(crate) created_at: u64,
    pub(crate) updated_at: u64,
}

/// How a new agent's JWTs will be verified.
#[derive(Debug, Clone)]
pub(crate) enum NewCredential {
    /// With this HMAC key.
    Hs256 { key: Secret },
    /// With this public key.
    EdDsa { public_key: String },
}

/// An agent to be kept.
#[derive(Debug, Clone)]
pub(crate) struct NewAgent {
    pub(crate) id: AgentId,
    pub(crate) name: String,
    pub(crate) credential: NewCredential,
    pub(crate) scopes: Vec<String>,
    pub(crate) groups: Vec<String>,
    pub(crate) purpose: Option<String>,
    pub(crate) framework: Option<String>,
    pub(crate) boundaries: Option<Boundaries>,
    pub(crate) delegated_by: Option<String>,
}

/// What is to change in an agent.
#[derive(Debug, Clone, Default)]
pub(crate) struct AgentPatch {
    pub(crate) name: Option<String>,
    pub(crate) scopes: Option<Vec<String>>,
    pub(crate) groups: Option<Vec<String>>,
    pub(crate) purpose: Option<String>,
    pub(crate) framework: Option<String>,
    /// Others, or none of its own.
    pub(crate) boundaries: Option<Option<Boundaries>>,
}

/// Which agents are wanted.
#[derive(Debug, Clone, Default)]
pub(crate) struct AgentsWanted {
    pub(crate) state: Option<AgentState>,
    pub(crate) delegated_by: Option<String>,
    /// Only those whose id comes after this one.
    pub(crate) after: String,
    /// At most so many; all where it is not said.
    pub(crate) entries_max: Option<u32>,
}

const AGENT_COLUMNS: &str = "id, name, org_id, state, state_reason, scopes, agent_groups, purpose, \
     framework, boundaries, delegated_by, risk_score, alg, credential, created_at, updated_at";

impl AgentRecord {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let alg: String = row.get("alg")?;
        let public_key = match alg.as_str() {
            "EdDSA" => String::from_utf8(row.get("credential")?).ok(),
            _ => None,
        };
        let risk_score = RiskScore::new(row.get("risk_score")?);
        Ok(Self {
            id: row.get("id")?,
            name: row.get("name")?,
            org_id: row.get("org_id")?,
            state: parse_state(&row.get::<_, String>("state")?)?,
            state_reason: row.get("state_reason")?,
            scopes: read_list(&row.get::<_, String>("scopes")?)?,
            groups: read_list(&row.get::<_, String>("agent_groups")?)?,
            purpose: row.get("purpose")?,
            framework: row.get("framework")?,
            boundaries: read_boundaries(row)?,
            delegated_by: row.get("delegated_by")?,
            risk: risk_score.level(),
            risk_score,
            alg,
            public_key,
            created_at: from_sql_integer(row.get("created_at")?),
            updated_at: from_sql_integer(row.get("updated_at")?),
        })
    }

    pub(super) fn by_id(
        connection: &Connection,
        org_id: &str,
        id: &str,
    ) -> Result<Self, StoreError> {
        let sql = format!("SELECT {AGENT_COLUMNS} FROM cp_agents WHERE org_id = ?1 AND id = ?2");
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query((org_id, id))?;
        Self::read(rows.next()?.ok_or(StoreError::NotFound(Noun::Agent))?)
    }
}

impl Store {
    /// Keeps a new agent.
    pub(crate) async fn register_agent(
        &self,
        org_id: String,
        agent: NewAgent,
    ) -> Result<AgentRecord, StoreError> {
        let master = self.master().clone();
        self.write(move |write| {
            let id = agent.id.as_str();
            let (alg, credential) = sealed(&master, &org_id, id, &agent.credential)?;
            let now = sql_integer(clock::unix_seconds());
            let inserted = write
                .connection
                .prepare_cached(
                    "INSERT INTO cp_agents (org_id, id, name, state, alg, credential, scopes,
                         framework, delegated_by, created_at, updated_at, agent_groups, purpose,
                         boundaries)
                     VALUES (?1, ?2, ?3, 'active', ?4, ?5, ?6, ?7, ?8, ?9, ?9, ?10, ?11, ?12)
                     ON CONFLICT DO NOTHING",
                )?
                .execute((
                    &org_id,
                    id,
                    &agent.name,
                    alg,
                    credential,
                    json_list(&agent.scopes),
                    &agent.framework,
                    &agent.delegated_by,
                    now,
                    json_list(&agent.groups),
                    &agent.purpose,
                    agent.boundaries.as_ref().map(json_boundaries),
                ))?;
            if inserted == 0 {
                return Err(StoreError::AlreadyExists(Noun::Agent));
            }
            write.touch(&org_id, &[SectionName::Agents])?;
            AgentRecord::by_id(write.connection, &org_id, id)
        })
        .await
    }

    /// One agent.
    pub(crate) async fn agent(
        &self,
        org_id: String,
        id: String,
    ) -> Result<AgentRecord, StoreError> {
        self.read(move |connection| AgentRecord::by_id(connection, &org_id, &id))
            .await
    }

    /// The organisation's agents, by id.
    pub(crate) async fn agents(
        &self,
        org_id: String,
        wanted: AgentsWanted,
    ) -> Result<Vec<AgentRecord>, StoreError> {
        self.read(move |connection| {
            let sql = format!(
                "SELECT {AGENT_COLUMNS} FROM cp_agents
                 WHERE org_id = ?1 AND id > ?2 AND state = coalesce(?3, state)
                     AND coalesce(delegated_by, '') = coalesce(?4, delegated_by, '')
                 ORDER BY id LIMIT ?5"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let mut rows = statement.query((
                &org_id,
                &wanted.after,
                wanted.state.map(AgentState::as_str),
                &wanted.delegated_by,
                wanted.entries_max.map_or(i64::MAX, i64::from),
            ))?;
            let mut agents = Vec::new();
            while let Some(row) = rows.next()? {
                agents.push(AgentRecord::read(row)?);
            }
            Ok(agents)
        })
        .await
    }

    /// Changes what the patch names.
    pub(crate) async fn patch_agent(
        &self,
        org_id: String,
        id: String,
        patch: AgentPatch,
    ) -> Result<AgentRecord, StoreError> {
        self.write(move |write| {
            let scopes = patch.scopes.as_deref().map(json_list);
            let groups = patch.groups.as_deref().map(json_list);
            let others = i64::from(patch.boundaries.is_some());
            let boundaries = patch.boundaries.flatten();
            let changed = write
                .connection
                .prepare_cached(
                    "UPDATE cp_agents SET name = coalesce(?3, name), scopes = coalesce(?4, scopes),
                         framework = coalesce(?5, framework), updated_at = ?6,
                         agent_groups = coalesce(?7, agent_groups), purpose = coalesce(?8, purpose),
                         boundaries = CASE WHEN ?9 = 1 THEN ?10 ELSE boundaries END
                     WHERE org_id = ?1 AND id = ?2",
                )?
                .execute((
                    &org_id,
                    &id,
                    &patch.name,
                    scopes,
                    &patch.framework,
                    sql_integer(clock::unix_seconds()),
                    groups,
                    &patch.purpose,
                    others,
                    boundaries.as_ref().map(json_boundaries),
                ))?;
            if changed == 0 {
                return Err(StoreError::NotFound(Noun::Agent));
            }
            write.touch(&org_id, &[SectionName::Agents])?;
            AgentRecord::by_id(write.connection, &org_id, &id)
        })
        .await
    }

    /// Replaces how the agent's JWTs are verified; the algorithm may change with it.
    pub(crate) async fn rotate_agent(
        &self,
        org_id: String,
        id: String,
        credential: NewCredential,
    ) -> Result<u64, StoreError> {
        let master = self.master().clone();
        self.write(move |write| {
            let (alg, credential) = sealed(&master, &org_id, &id, &credential)?;
            let changed = write
                .connection
                .prepare_cached(
                    "UPDATE cp_agents SET alg = ?3, credential = ?4, updated_at = ?5
                     WHERE org_id = ?1 AND id = ?2",
                )?
                .execute((
                    &org_id,
                    &id,
                    alg,
                    credential,
                    sql_integer(clock::unix_seconds()),
                ))?;
            if changed == 0 {
                return Err(StoreError::NotFound(Noun::Agent));
            }
            write.touch(&org_id, &[SectionName::Agents])
        })
        .await
    }
}

/// The agent's state; none when it is not registered.
pub(super) fn state_of(
    connection: &Connection,
    org_id: &str,
    id: &str,
) -> Result<Option<AgentState>, StoreError> {
    let state: Option<String> = connection
        .prepare_cached("SELECT state FROM cp_agents WHERE org_id = ?1 AND id = ?2")?
        .query_row((org_id, id), |row| row.get(0))
        .optional()?;
    state.as_deref().map(parse_state).transpose()
}

pub(super) fn parse_state(word: &str) -> Result<AgentState, StoreError> {
    [
        AgentState::Active,
        AgentState::Suspended,
        AgentState::Killed,
    ]
    .into_iter()
    .find(|state| state.as_str() == word)
    .ok_or(StoreError::Unreadable(Noun::Agent))
}

pub(super) fn read_list(json: &str) -> Result<Vec<String>, StoreError> {
    serde_json::from_str(json).map_err(|_| StoreError::Unreadable(Noun::Agent))
}

/// The boundaries in an agent's row.
pub(super) fn read_boundaries(row: &Row) -> Result<Option<Boundaries>, StoreError> {
    let json: Option<String> = row.get("boundaries")?;
    let read = json.map(|json| serde_json::from_str(&json)).transpose();
    read.map_err(|_| StoreError::Unreadable(Noun::Agent))
}

fn json_boundaries(boundaries: &Boundaries) -> String {
    serde_json::json!(boundaries).to_string()
}

fn json_list(list: &[String]) -> String {
    serde_json::Value::from(list).to_string()
}
