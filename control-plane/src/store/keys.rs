//! API keys: only their hashes are kept.

use clampd_token::sha256_hex;
use serde::Serialize;
use subtle::ConstantTimeEq;

use super::{
    Noun, SectionName, Store, StoreError, Write, from_sql_integer,
    sql::{Connection, OptionalExtension, Row, SqlError},
    sql_integer,
};
use crate::{access::Role, clock, random};

/// A key as it is kept and listed.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct KeyRecord {
    pub(crate) id: String,
    #[serde(skip)]
    pub(crate) org_id: String,
    pub(crate) role: Role,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) audience: Option<String>,
    pub(crate) created_at: u64,
}

/// A key to be kept.
#[derive(Debug, Clone)]
pub(crate) struct NewKey {
    pub(crate) id: String,
    pub(crate) sha256: String,
    pub(crate) role: Role,
    pub(crate) name: String,
    pub(crate) audience: Option<String>,
}

impl NewKey {
    /// A random key, and what is kept of it.
    pub(crate) fn generated(role: Role, name: String) -> Result<(String, Self), StoreError> {
        let key = format!("ag_live_{}", random::hex::<24>()?);
        let record = Self::of(&key, role, name, None)?;
        Ok((key, record))
    }

    /// What is kept of `key`.
    pub(crate) fn of(
        key: &str,
        role: Role,
        name: String,
        audience: Option<String>,
    ) -> Result<Self, StoreError> {
        let sha256 = sha256_hex(key.as_bytes());
        Ok(Self {
            id: random::uuid()?,
            sha256,
            role,
            name,
            audience,
        })
    }
}

impl KeyRecord {
    pub(super) fn insert(
        connection: &Connection,
        org_id: &str,
        key: &NewKey,
    ) -> Result<Self, StoreError> {
        let created_at = clock::unix_seconds();
        let inserted = connection
            .prepare_cached(
                "INSERT INTO cp_api_keys (id, org_id, sha256, role, name, audience, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            )?
            .execute((
                &key.id,
                org_id,
                &key.sha256,
                key.role.as_str(),
                &key.name,
                &key.audience,
                sql_integer(created_at),
            ))?;
        if inserted == 0 {
            return Err(StoreError::AlreadyExists(Noun::Key));
        }
        Ok(Self {
            id: key.id.clone(),
            org_id: org_id.to_owned(),
            role: key.role,
            name: key.name.clone(),
            audience: key.audience.clone(),
            created_at,
        })
    }

    fn read(row: &Row) -> Result<Self, SqlError> {
        let role: String = row.get("role")?;
        Ok(Self {
            id: row.get("id")?,
            org_id: row.get("org_id")?,
            role: Role::parse(&role).ok_or_else(|| SqlError::Column("role".to_owned()))?,
            name: row.get("name")?,
            audience: row.get("audience")?,
            created_at: from_sql_integer(row.get("created_at")?),
        })
    }
}

impl Store {
    /// The key whose SHA-256 this is.
    pub(crate) async fn key_by_hash(
        &self,
        sha256: String,
    ) -> Result<Option<KeyRecord>, StoreError> {
        self.read(move |connection| {
            let found = connection
                .prepare_cached("SELECT * FROM cp_api_keys WHERE sha256 = ?1")?
                .query_row([&sha256], |row| {
                    Ok((row.get::<_, String>("sha256")?, KeyRecord::read(row)?))
                })
                .optional()?;
            // The index already compared; this compare tells nothing by its time.
            Ok(found.and_then(|(stored, record)| {
                bool::from(stored.as_bytes().ct_eq(sha256.as_bytes())).then_some(record)
            }))
        })
        .await
    }

    /// Whether the organisation has a proxy key of that id.
    pub(crate) async fn has_proxy(&self, org_id: String, id: String) -> Result<bool, StoreError> {
        self.read(move |connection| {
            Ok(connection
                .prepare_cached(
                    "SELECT 1 FROM cp_api_keys WHERE org_id = ?1 AND id = ?2 AND role = 'proxy'",
                )?
                .exists((&org_id, &id))?)
        })
        .await
    }

    /// Whether the organisation has a key of that id.
    pub(crate) async fn has_key(&self, org_id: String, id: String) -> Result<bool, StoreError> {
        self.read(move |connection| {
            Ok(connection
                .prepare_cached("SELECT 1 FROM cp_api_keys WHERE org_id = ?1 AND id = ?2")?
                .exists((&org_id, &id))?)
        })
        .await
    }

    /// Keeps a key.
    pub(crate) async fn add_key(
        &self,
        org_id: String,
        key: NewKey,
    ) -> Result<KeyRecord, StoreError> {
        self.write(move |write| {
            let record = KeyRecord::insert(write.connection, &org_id, &key)?;
            touch_keys(write, &org_id, key.role)?;
            Ok(record)
        })
        .await
    }

    /// The organisation's keys, oldest first.
    pub(crate) async fn keys(&self, org_id: String) -> Result<Vec<KeyRecord>, StoreError> {
        self.read(move |connection| {
            let rows = connection
                .prepare_cached(
                    "SELECT * FROM cp_api_keys WHERE org_id = ?1 ORDER BY created_at, id",
                )?
                .query_map([&org_id], KeyRecord::read)?
                .collect::<Result<_, _>>()?;
            Ok(rows)
        })
        .await
    }

    /// Forgets a key: it is refused from now on.
    pub(crate) async fn delete_key(&self, org_id: String, id: String) -> Result<(), StoreError> {
        self.write(move |write| {
            let record = write
                .connection
                .prepare_cached(
                    "DELETE FROM cp_api_keys WHERE org_id = ?1 AND id = ?2 RETURNING *",
                )?
                .query_row((&org_id, &id), KeyRecord::read)
                .optional()?
                .ok_or(StoreError::NotFound(Noun::Key))?;
            touch_keys(write, &org_id, record.role)
        })
        .await
    }
}

/// Only the keys that agents send are in the bundle. A proxy's key is not, but to forget one ends
/// the polls that wait with it.
fn touch_keys(write: &mut Write<'_>, org_id: &str, role: Role) -> Result<(), StoreError> {
    let sections: &[SectionName] = match role {
        Role::Agent => &[SectionName::Keys],
        Role::Proxy => &[],
        _ => return Ok(()),
    };
    write.touch(org_id, sections).map(|_| ())
}
