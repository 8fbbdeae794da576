//! The content of a bundle, read in one snapshot.

use std::{collections::HashMap, sync::Arc};

use clampd_model::{
    AgentId, ApiKey, BUNDLE_FORMAT, Bundle, Jwk, Jwks, LocalMint, Policy, Section, Sections,
    StateChange,
};
use clampd_policy_compiler::BASE_ID;
use clampd_token::{AUDIT_KEY_ID, SCOPE_KEY_ID, SigningKey, derive_local_mint_key};

use super::{
    Noun, SectionName, SigningKeys, Store, StoreError,
    agents::parse_state,
    credentials::bundle_agents,
    from_sql_integer,
    organisations::read_settings,
    policies::bundle_policies,
    rules::bundle_rules,
    sql::{Connection, OptionalExtension},
    tools::bundle_tools,
};
use crate::{seal::MasterKey, tokens::local_key_id};

/// For whom a bundle is, and what it must say besides what is stored.
#[derive(Debug, Clone)]
pub(crate) struct BundleRequest {
    pub(crate) org_id: String,
    pub(crate) proxy_id: String,
    /// The revision that the proxy has; 0 for none.
    pub(crate) since: u64,
    /// The keys whose public halves verify micro-tokens and statements.
    pub(crate) keys: Arc<SigningKeys>,
    pub(crate) now: u64,
    pub(crate) validity_seconds: u64,
    /// The policies that stand in where no document is named as they are.
    pub(crate) base_policies: Arc<Vec<Policy>>,
}

impl Store {
    /// The bundle that the proxy asks for: what changed after `since`, or all.
    pub(crate) async fn bundle(&self, request: BundleRequest) -> Result<Bundle, StoreError> {
        let master = self.master().clone();
        self.read(move |connection| build(connection, &request, &master))
            .await
    }
}

/// The organisation's revision.
pub(super) fn read_revision(connection: &Connection, org_id: &str) -> Result<u64, StoreError> {
    let revision: Option<i64> = connection
        .prepare_cached("SELECT revision FROM cp_organisations WHERE id = ?1")?
        .query_row([org_id], |row| row.get(0))
        .optional()?;
    revision
        .map(from_sql_integer)
        .ok_or(StoreError::NotFound(Noun::Organisation))
}

fn build(
    connection: &Connection,
    request: &BundleRequest,
    master: &MasterKey,
) -> Result<Bundle, StoreError> {
    let org_id = request.org_id.as_str();
    let revision = read_revision(connection, org_id)?;
    // A proxy that claims to know more than there is starts again from nothing.
    let since = if request.since > revision {
        0
    } else {
        request.since
    };
    let changed = changed_sections(connection, org_id, since)?;
    let at = |name: SectionName| changed.get(name.as_str()).copied();
    let sections = Sections {
        keys: section(at(SectionName::Keys), || agent_keys(connection, org_id))?,
        agents: section(at(SectionName::Agents), || {
            bundle_agents(connection, org_id, master)
        })?,
        states: section(at(SectionName::States), || states(connection, org_id))?,
        tools: section(at(SectionName::Tools), || bundle_tools(connection, org_id))?,
        policies: section(at(SectionName::Policies), || {
            bundle_policies(connection, org_id, (BASE_ID, &request.base_policies))
        })?,
        rules: section(at(SectionName::Rules), || bundle_rules(connection, org_id))?,
        settings: section(at(SectionName::Settings), || {
            read_settings(connection, org_id)
        })?,
        local_mint: section(at(SectionName::LocalMint), || {
            local_mint(connection, request, master)
        })?,
        jwks: section(at(SectionName::Jwks), || Ok(jwks(&request.keys)))?,
    };
    Ok(Bundle {
        format: BUNDLE_FORMAT,
        org_id: org_id.to_owned(),
        revision,
        since,
        issued_at: request.now,
        expires_at: request.now.saturating_add(request.validity_seconds),
        sections,
    })
}

fn section<T>(
    revision: Option<u64>,
    entries: impl FnOnce() -> Result<T, StoreError>,
) -> Result<Option<Section<T>>, StoreError> {
    revision
        .map(|revision| {
            Ok(Section {
                revision,
                entries: entries()?,
            })
        })
        .transpose()
}

fn changed_sections(
    connection: &Connection,
    org_id: &str,
    since: u64,
) -> Result<HashMap<String, u64>, StoreError> {
    let since = super::sql_integer(since);
    let changed = connection
        .prepare_cached(
            "SELECT name, revision FROM cp_sections WHERE org_id = ?1 AND revision > ?2",
        )?
        .query_map((org_id, since), |row| {
            Ok((row.get(0)?, from_sql_integer(row.get(1)?)))
        })?
        .collect::<Result<_, _>>()?;
    Ok(changed)
}

fn agent_keys(connection: &Connection, org_id: &str) -> Result<Vec<ApiKey>, StoreError> {
    let keys = connection
        .prepare_cached(
            "SELECT sha256 FROM cp_api_keys WHERE org_id = ?1 AND role = 'agent' ORDER BY sha256",
        )?
        .query_map([org_id], |row| {
            Ok(ApiKey {
                sha256: row.get(0)?,
                org_id: org_id.to_owned(),
            })
        })?
        .collect::<Result<_, _>>()?;
    Ok(keys)
}

fn states(connection: &Connection, org_id: &str) -> Result<Vec<StateChange>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, state FROM cp_agents WHERE org_id = ?1 AND state <> 'active' ORDER BY id",
    )?;
    let mut rows = statement.query([org_id])?;
    let mut states = Vec::new();
    while let Some(row) = rows.next()? {
        let id: String = row.get(0)?;
        states.push(StateChange {
            id: AgentId::parse(&id).map_err(|_| StoreError::Unreadable(Noun::Agent))?,
            state: parse_state(&row.get::<_, String>(1)?)?,
        });
    }
    Ok(states)
}

fn local_mint(
    connection: &Connection,
    request: &BundleRequest,
    master: &MasterKey,
) -> Result<LocalMint, StoreError> {
    let epoch: i64 = connection
        .prepare_cached("SELECT mint_epoch FROM cp_organisations WHERE id = ?1")?
        .query_row([&request.org_id], |row| row.get(0))?;
    let epoch = from_sql_integer(epoch);
    Ok(LocalMint {
        key_id: local_key_id(&request.proxy_id, epoch),
        key: derive_local_mint_key(master.bytes(), &request.proxy_id, epoch),
    })
}

/// The public halves of the keys that sign what others verify (RFC 7517).
pub(crate) fn jwks(keys: &SigningKeys) -> Jwks {
    let jwk = |kid: &str, key: &SigningKey| Jwk {
        kty: "OKP".to_owned(),
        crv: "Ed25519".to_owned(),
        kid: kid.to_owned(),
        x: key.verifying_key().to_text(),
        alg: "EdDSA".to_owned(),
        use_: "sig".to_owned(),
    };
    Jwks {
        keys: vec![
            jwk(SCOPE_KEY_ID, &keys.token),
            jwk(AUDIT_KEY_ID, &keys.audit),
        ],
    }
}
