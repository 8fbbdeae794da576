//! Documents of policies: Cedar as it was written, and the compact form that the bundle carries.

use std::sync::Arc;

use clampd_model::Policy;
use serde::{Deserialize, Serialize};

use super::{
    Noun, SectionName, Store, StoreError, from_sql_integer,
    sql::{Connection, OptionalExtension},
    sql_integer,
};
use crate::clock;

/// A document of policies as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct PolicyDocument {
    pub(crate) id: String,
    pub(crate) content: PolicyContent,
    pub(crate) updated_at: u64,
}

/// What a document says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyContent {
    pub(crate) cedar: String,
    pub(crate) policies: Vec<Policy>,
}

impl Store {
    /// Keeps the document in place of the one of that id; says whether it is new.
    pub(crate) async fn put_policies(
        &self,
        org_id: String,
        id: String,
        content: PolicyContent,
    ) -> Result<(PolicyDocument, bool), StoreError> {
        let body =
            serde_json::to_string(&content).map_err(|_| StoreError::Unreadable(Noun::Policy))?;
        self.write(move |write| {
            let updated_at = clock::unix_seconds();
            let known = write
                .connection
                .prepare_cached("SELECT 1 FROM cp_policies WHERE org_id = ?1 AND id = ?2")?
                .exists((&org_id, &id))?;
            write
                .connection
                .prepare_cached(
                    "INSERT INTO cp_policies (org_id, id, body, updated_at)
                     VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (org_id, id) DO UPDATE
                     SET body = excluded.body, updated_at = excluded.updated_at",
                )?
                .execute((&org_id, &id, body, sql_integer(updated_at)))?;
            write.touch(&org_id, &[SectionName::Policies])?;
            let document = PolicyDocument {
                id,
                content,
                updated_at,
            };
            Ok((document, !known))
        })
        .await
    }

    /// One document.
    pub(crate) async fn policy(
        &self,
        org_id: String,
        id: String,
    ) -> Result<PolicyDocument, StoreError> {
        self.read(move |connection| {
            let (body, updated_at): (String, i64) = connection
                .prepare_cached(
                    "SELECT body, updated_at FROM cp_policies WHERE org_id = ?1 AND id = ?2",
                )?
                .query_row((&org_id, &id), |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?
                .ok_or(StoreError::NotFound(Noun::Policy))?;
            Ok(PolicyDocument {
                id,
                content: parse(&body)?,
                updated_at: from_sql_integer(updated_at),
            })
        })
        .await
    }

    /// The organisation's documents, by id.
    pub(crate) async fn policies(&self, org_id: String) -> Result<Vec<PolicyDocument>, StoreError> {
        self.read(move |connection| documents(connection, &org_id))
            .await
    }

    /// Forgets a document.
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

/// The policies of every document, with `base` where no document of that name stands for it.
pub(super) fn bundle_policies(
    connection: &Connection,
    org_id: &str,
    (base_id, base): (&str, &Arc<Vec<Policy>>),
) -> Result<Vec<Policy>, StoreError> {
    let documents = documents(connection, org_id)?;
    let is_replaced = documents.iter().any(|document| document.id == base_id);
    let mut policies = if is_replaced {
        Vec::new()
    } else {
        base.to_vec()
    };
    for document in documents {
        policies.extend(document.content.policies);
    }
    Ok(policies)
}

fn documents(connection: &Connection, org_id: &str) -> Result<Vec<PolicyDocument>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, body, updated_at FROM cp_policies WHERE org_id = ?1 ORDER BY id",
    )?;
    let mut rows = statement.query([org_id])?;
    let mut documents = Vec::new();
    while let Some(row) = rows.next()? {
        documents.push(PolicyDocument {
            id: row.get(0)?,
            content: parse(&row.get::<_, String>(1)?)?,
            updated_at: from_sql_integer(row.get(2)?),
        });
    }
    Ok(documents)
}

fn parse(body: &str) -> Result<PolicyContent, StoreError> {
    serde_json::from_str(body).map_err(|_| StoreError::Unreadable(Noun::Policy))
}
