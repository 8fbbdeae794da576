//! Policies, in the compact form that the bundle carries.

use clampd_model::Policy;
use serde::Serialize;

use super::{
    Noun, SectionName, Store, StoreError, from_sql_integer,
    sql::{Connection, OptionalExtension},
    sql_integer,
};
use crate::clock;

/// A policy as it is kept.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PolicyRecord {
    #[serde(flatten)]
    pub(crate) policy: Policy,
    pub(crate) updated_at: u64,
}

impl Store {
    /// Keeps the policy in place of the one of that id; says whether it is new.
    pub(crate) async fn put_policy(
        &self,
        org_id: String,
        policy: Policy,
    ) -> Result<(PolicyRecord, bool), StoreError> {
        let body =
            serde_json::to_string(&policy).map_err(|_| StoreError::Unreadable(Noun::Policy))?;
        self.write(move |write| {
            let updated_at = clock::unix_seconds();
            let known = write
                .connection
                .prepare_cached("SELECT 1 FROM cp_policies WHERE org_id = ?1 AND id = ?2")?
                .exists((&org_id, &policy.id))?;
            write
                .connection
                .prepare_cached(
                    "INSERT INTO cp_policies (org_id, id, body, updated_at)
                     VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (org_id, id) DO UPDATE
                     SET body = excluded.body, updated_at = excluded.updated_at",
                )?
                .execute((&org_id, &policy.id, body, sql_integer(updated_at)))?;
            write.touch(&org_id, &[SectionName::Policies])?;
            Ok((PolicyRecord { policy, updated_at }, !known))
        })
        .await
    }

    /// One policy.
    pub(crate) async fn policy(
        &self,
        org_id: String,
        id: String,
    ) -> Result<PolicyRecord, StoreError> {
        self.read(move |connection| {
            let (body, updated_at): (String, i64) = connection
                .prepare_cached(
                    "SELECT body, updated_at FROM cp_policies WHERE org_id = ?1 AND id = ?2",
                )?
                .query_row((&org_id, &id), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?
                .ok_or(StoreError::NotFound(Noun::Policy))?;
            Ok(PolicyRecord {
                policy: parse(&body)?,
                updated_at: from_sql_integer(updated_at),
            })
        })
        .await
    }

    /// The organisation's policies, by id.
    pub(crate) async fn policies(&self, org_id: String) -> Result<Vec<PolicyRecord>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT body, updated_at FROM cp_policies WHERE org_id = ?1 ORDER BY id",
            )?;
            let mut rows = statement.query([&org_id])?;
            let mut policies = Vec::new();
            while let Some(row) = rows.next()? {
                let policy = parse(&row.get::<_, String>(0)?)?;
                policies.push(PolicyRecord {
                    policy,
                    updated_at: from_sql_integer(row.get(1)?),
                });
            }
            Ok(policies)
        })
        .await
    }

    /// Forgets a policy.
    pub(crate) async fn delete_policy(&self, org_id: String, id: String) -> Result<(), StoreError> {
        self.write(move |write| {
            let deleted = write
                .connection
                .prepare_cached("DELETE FROM cp_policies WHERE org_id = ?1 AND id = ?2")?
                .execute((&org_id, &id))?;
            if deleted == 0 {
                return Err(StoreError::NotFound(Noun::Policy));
            }
            write.touch(&org_id, &[SectionName::Policies]).map(|_| ())
        })
        .await
    }
}

pub(super) fn bundle_policies(
    connection: &Connection,
    org_id: &str,
) -> Result<Vec<Policy>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT body FROM cp_policies WHERE org_id = ?1 ORDER BY id")?;
    let mut rows = statement.query([org_id])?;
    let mut policies = Vec::new();
    while let Some(row) = rows.next()? {
        policies.push(parse(&row.get::<_, String>(0)?)?);
    }
    Ok(policies)
}

fn parse(body: &str) -> Result<Policy, StoreError> {
    serde_json::from_str(body).map_err(|_| StoreError::Unreadable(Noun::Policy))
}
