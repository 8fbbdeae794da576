//! The catalogue of tools.

use clampd_model::{Approval, Tool, ToolCategory};
use serde_json::Value;

use super::{
    DescriptorRecord, Noun, SectionName, Store, StoreError,
    descriptors::{descriptors, forget, pin_only, pins, read_approval},
    from_sql_integer,
    settings::name_tool,
    sql::{Connection, OptionalExtension, Row},
    sql_integer,
};
use crate::clock;

/// A tool as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct ToolRecord {
    pub(crate) tool: Tool,
    pub(crate) descriptor: Option<Value>,
    pub(crate) state: Approval,
    /// Those that are known of it.
    pub(crate) descriptors: Vec<DescriptorRecord>,
    pub(crate) updated_at: u64,
}

/// A tool to be kept.
#[derive(Debug, Clone)]
pub(crate) struct NewTool {
    pub(crate) tool: Tool,
    /// The only one that it is pinned to from now on; without, it stays pinned as it is.
    pub(crate) descriptor: Option<Value>,
    /// Without, it is approved if it is new or its descriptor is given, and else stays what it is.
    pub(crate) state: Option<Approval>,
}

impl ToolRecord {
    fn read(row: &Row, descriptors: Vec<DescriptorRecord>) -> Result<Self, StoreError> {
        let descriptor: Option<String> = row.get("descriptor")?;
        let descriptor = descriptor
            .map(|text| serde_json::from_str(&text))
            .transpose();
        Ok(Self {
            tool: read_tool(row)?,
            descriptor: descriptor.map_err(|_| StoreError::Unreadable(Noun::Tool))?,
            state: read_approval(row)?,
            descriptors,
            updated_at: from_sql_integer(row.get("updated_at")?),
        })
    }

    pub(super) fn by_name(
        connection: &Connection,
        org_id: &str,
        name: &str,
    ) -> Result<Self, StoreError> {
        let mut known = descriptors(connection, org_id, Some(name))?;
        let mut statement =
            connection.prepare_cached("SELECT * FROM cp_tools WHERE org_id = ?1 AND name = ?2")?;
        let mut rows = statement.query((org_id, name))?;
        let row = rows.next()?.ok_or(StoreError::NotFound(Noun::Tool))?;
        Self::read(row, known.remove(name).unwrap_or_default())
    }
}

impl Store {
    /// Keeps the tool in place of the one of that name; says whether it is new.
    pub(crate) async fn put_tool(
        &self,
        org_id: String,
        new: NewTool,
    ) -> Result<(ToolRecord, bool), StoreError> {
        self.write(move |write| {
            let name = new.tool.name.clone();
            let known = match ToolRecord::by_name(write.connection, &org_id, &name) {
                Err(StoreError::NotFound(_)) => None,
                known => Some(known?),
            };
            let is_new = known.is_none();
            if new.descriptor.is_some() {
                pin_only(write, &org_id, &name, &new.tool.binding)?;
            }
            put(write.connection, &org_id, new.over(known))?;
            write.touch(&org_id, &[SectionName::Tools])?;
            Ok((
                ToolRecord::by_name(write.connection, &org_id, &name)?,
                is_new,
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
        self.read(move |connection| ToolRecord::by_name(connection, &org_id, &name))
            .await
    }

    /// The organisation's tools, by name.
    pub(crate) async fn tools(&self, org_id: String) -> Result<Vec<ToolRecord>, StoreError> {
        self.read(move |connection| {
            let mut known = descriptors(connection, &org_id, None)?;
            let mut statement = connection
                .prepare_cached("SELECT * FROM cp_tools WHERE org_id = ?1 ORDER BY name")?;
            let mut rows = statement.query([&org_id])?;
            let mut tools = Vec::new();
            while let Some(row) = rows.next()? {
                let name: String = row.get("name")?;
                tools.push(ToolRecord::read(
                    row,
                    known.remove(&name).unwrap_or_default(),
                )?);
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
            forget(write.connection, &org_id, &name)?;
            write.touch(&org_id, &[SectionName::Tools]).map(|_| ())
        })
        .await
    }
}

impl NewTool {
    /// What is kept in the place of what was known.
    fn over(self, known: Option<ToolRecord>) -> Self {
        let Self {
            mut tool,
            mut descriptor,
            mut state,
        } = self;
        if let (Some(known), None) = (known, &descriptor) {
            state = state.or(Some(known.state));
            if !known.descriptors.is_empty() {
                tool.binding = known.tool.binding;
                descriptor = known.descriptor;
            }
        }
        Self {
            tool,
            descriptor,
            state,
        }
    }
}

fn put(connection: &Connection, org_id: &str, new: NewTool) -> Result<(), StoreError> {
    let tool = &new.tool;
    connection
        .prepare_cached(
            "INSERT INTO cp_tools (org_id, name, scope, category, audience,
                 upstream, descriptor, binding, updated_at, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (org_id, name) DO UPDATE SET scope = excluded.scope,
                 category = excluded.category, audience = excluded.audience,
                 upstream = excluded.upstream, descriptor = excluded.descriptor,
                 binding = excluded.binding, updated_at = excluded.updated_at,
                 state = excluded.state",
        )?
        .execute((
            org_id,
            &tool.name,
            &tool.scope,
            tool.category.as_str(),
            &tool.audience,
            &tool.upstream,
            new.descriptor.as_ref().map(Value::to_string),
            &tool.binding,
            sql_integer(clock::unix_seconds()),
            new.state.unwrap_or_default().as_str(),
        ))?;
    Ok(())
}

/// The tools that may be called, with what they are pinned to.
pub(super) fn bundle_tools(connection: &Connection, org_id: &str) -> Result<Vec<Tool>, StoreError> {
    let known = descriptors(connection, org_id, None)?;
    let mut statement = connection.prepare_cached(
        "SELECT * FROM cp_tools WHERE org_id = ?1 AND state = 'approved' ORDER BY name",
    )?;
    let mut rows = statement.query([org_id])?;
    let mut tools = Vec::new();
    while let Some(row) = rows.next()? {
        let tool = read_tool(row)?;
        let known = known.get(&tool.name).map_or(&[][..], Vec::as_slice);
        tools.push(Tool {
            pins: pins(known),
            ..tool
        });
    }
    Ok(tools)
}

/// The tool of that name, if it may be called.
pub(super) fn approved_tool(
    connection: &Connection,
    org_id: &str,
    name: &str,
) -> Result<Option<Tool>, StoreError> {
    connection
        .prepare_cached(
            "SELECT * FROM cp_tools WHERE org_id = ?1 AND name = ?2 AND state = 'approved'",
        )?
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
        pins: Vec::new(),
    })
}
