//! The catalogue of tools.

use clampd_model::{Tool, ToolCategory};
use serde::Serialize;
use serde_json::Value;

use super::{
    Noun, SectionName, Store, StoreError, from_sql_integer,
    settings::name_tool,
    sql::{Connection, OptionalExtension, Row},
    sql_integer,
};
use crate::clock;

/// A tool as it is kept.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ToolRecord {
    #[serde(flatten)]
    pub(crate) tool: Tool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) descriptor: Option<Value>,
    pub(crate) updated_at: u64,
}

impl ToolRecord {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let descriptor: Option<String> = row.get("descriptor")?;
        let descriptor = descriptor
            .map(|text| serde_json::from_str(&text))
            .transpose();
        Ok(Self {
            tool: read_tool(row)?,
            descriptor: descriptor.map_err(|_| StoreError::Unreadable(Noun::Tool))?,
            updated_at: from_sql_integer(row.get("updated_at")?),
        })
    }
}

impl Store {
    /// Keeps the tool in place of the one of that name; says whether it is new.
    pub(crate) async fn put_tool(
        &self,
        org_id: String,
        tool: Tool,
        descriptor: Option<Value>,
    ) -> Result<(ToolRecord, bool), StoreError> {
        self.write(move |write| {
            let updated_at = clock::unix_seconds();
            let known = write
                .connection
                .prepare_cached("SELECT 1 FROM cp_tools WHERE org_id = ?1 AND name = ?2")?
                .exists((&org_id, &tool.name))?;
            write
                .connection
                .prepare_cached(
                    "INSERT INTO cp_tools (org_id, name, scope, category, audience,
                         upstream, descriptor, binding, updated_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                     ON CONFLICT (org_id, name) DO UPDATE SET scope = excluded.scope,
                         category = excluded.category, audience = excluded.audience,
                         upstream = excluded.upstream, descriptor = excluded.descriptor,
                         binding = excluded.binding, updated_at = excluded.updated_at",
                )?
                .execute((
                    &org_id,
                    &tool.name,
                    &tool.scope,
                    tool.category.as_str(),
                    &tool.audience,
                    &tool.upstream,
                    descriptor.as_ref().map(Value::to_string),
                    &tool.binding,
                    sql_integer(updated_at),
                ))?;
            write.touch(&org_id, &[SectionName::Tools])?;
            Ok((
                ToolRecord {
                    tool,
                    descriptor,
                    updated_at,
                },
                !known,
            ))
        })
        .await
    }

    /// One tool.
    pub(crate) async fn tool(
        &self,
        org_id: String,
        name: String,
    ) -> Result<ToolRecord, StoreError> {
        self.read(move |connection| {
            let mut statement = connection
                .prepare_cached("SELECT * FROM cp_tools WHERE org_id = ?1 AND name = ?2")?;
            let mut rows = statement.query((&org_id, &name))?;
            ToolRecord::read(rows.next()?.ok_or(StoreError::NotFound(Noun::Tool))?)
        })
        .await
    }

    /// The organisation's tools, by name.
    pub(crate) async fn tools(&self, org_id: String) -> Result<Vec<ToolRecord>, StoreError> {
        self.read(move |connection| {
            let mut statement = connection
                .prepare_cached("SELECT * FROM cp_tools WHERE org_id = ?1 ORDER BY name")?;
            let mut rows = statement.query([&org_id])?;
            let mut tools = Vec::new();
            while let Some(row) = rows.next()? {
                tools.push(ToolRecord::read(row)?);
            }
            Ok(tools)
        })
        .await
    }

    /// Forgets a tool: calls to it are refused from then on.
    pub(crate) async fn delete_tool(&self, org_id: String, name: String) -> Result<(), StoreError> {
        self.write(move |write| {
            if name_tool(write.connection, &org_id, &name)? {
                return Err(StoreError::NamedInSettings(name));
            }
            let deleted = write
                .connection
                .prepare_cached("DELETE FROM cp_tools WHERE org_id = ?1 AND name = ?2")?
                .execute((&org_id, &name))?;
            if deleted == 0 {
                return Err(StoreError::NotFound(Noun::Tool));
            }
            write.touch(&org_id, &[SectionName::Tools]).map(|_| ())
        })
        .await
    }
}

pub(super) fn bundle_tools(connection: &Connection, org_id: &str) -> Result<Vec<Tool>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM cp_tools WHERE org_id = ?1 ORDER BY name")?;
    let mut rows = statement.query([org_id])?;
    let mut tools = Vec::new();
    while let Some(row) = rows.next()? {
        tools.push(read_tool(row)?);
    }
    Ok(tools)
}

pub(super) fn tool_by_name(
    connection: &Connection,
    org_id: &str,
    name: &str,
) -> Result<Option<Tool>, StoreError> {
    connection
        .prepare_cached("SELECT * FROM cp_tools WHERE org_id = ?1 AND name = ?2")?
        .query_row((org_id, name), |row| Ok(read_tool(row)))
        .optional()?
        .transpose()
}

fn read_tool(row: &Row) -> Result<Tool, StoreError> {
    let category: String = row.get("category")?;
    let category = ToolCategory::ALL
        .into_iter()
        .find(|known| known.as_str() == category)
        .ok_or(StoreError::Unreadable(Noun::Tool))?;
    Ok(Tool {
        name: row.get("name")?,
        scope: row.get("scope")?,
        category,
        audience: row.get("audience")?,
        upstream: row.get("upstream")?,
        binding: row.get("binding")?,
    })
}
