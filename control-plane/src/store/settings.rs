//! What an organisation has set, and whether what its settings name is there.

use std::collections::BTreeSet;

use clampd_model::{RuleRow, Settings};

use super::{
    Noun, SectionName, Store, StoreError, from_sql_integer,
    organisations::read_settings,
    rules::read_files,
    sql::{Connection, OptionalExtension},
};

impl Store {
    /// What the organisation has set, and the revision at which it was set.
    pub(crate) async fn settings(&self, org_id: String) -> Result<(Settings, u64), StoreError> {
        self.read(move |connection| {
            let settings = read_settings(connection, &org_id)?;
            Ok((settings, settings_revision(connection, &org_id)?))
        })
        .await
    }

    /// Replaces what the organisation has set; with `expected`, only what was set at that
    /// revision. Returns the new revision.
    pub(crate) async fn set_settings(
        &self,
        org_id: String,
        settings: Settings,
        expected: Option<u64>,
    ) -> Result<u64, StoreError> {
        let text = serde_json::to_string(&settings)
            .map_err(|_| StoreError::Unreadable(Noun::Organisation))?;
        self.write(move |write| {
            let present = settings_revision(write.connection, &org_id)?;
            if expected.is_some_and(|expected| expected != present) {
                return Err(StoreError::SettingsChanged);
            }
            if let Some((field, name)) = unknown_name(write.connection, &org_id, &settings)? {
                return Err(StoreError::UnknownName { field, name });
            }
            write
                .connection
                .prepare_cached("UPDATE cp_organisations SET settings = ?2 WHERE id = ?1")?
                .execute((&org_id, text))?;
            write.touch(&org_id, &[SectionName::Settings])
        })
        .await
    }
}

/// Whether the settings name the tool.
pub(super) fn name_tool(
    connection: &Connection,
    org_id: &str,
    tool: &str,
) -> Result<bool, StoreError> {
    let settings = read_settings(connection, org_id)?;
    let of_thresholds = settings.thresholds.iter().map(|entry| &entry.tool);
    let of_exemptions = settings.exemptions.iter().map(|entry| &entry.tool);
    let of_responses = settings.responses.iter().map(|entry| &entry.tool);
    let mut tools = of_thresholds.chain(of_exemptions).chain(of_responses);
    Ok(tools.any(|named| named.as_deref() == Some(tool)))
}

/// The rules and categories that settings may name: the built-in ones and some rows.
pub(super) struct KnownRules<'r> {
    ids: BTreeSet<&'r str>,
    categories: BTreeSet<&'r str>,
}

impl<'r> KnownRules<'r> {
    pub(super) fn of(rows: impl IntoIterator<Item = &'r RuleRow>) -> Self {
        let built_in = clampd_ruleset::RULES.iter();
        let built_in = built_in.map(|rule| (rule.id.as_ref(), rule.category.as_ref()));
        let own = rows
            .into_iter()
            .map(|row| (row.id.as_str(), row.category.as_str()));
        let (ids, categories) = built_in.chain(own).unzip();
        Self { ids, categories }
    }

    /// The first field of the settings that names no known rule or category, and the name.
    pub(super) fn unknown_in(&self, settings: &Settings) -> Option<(String, String)> {
        let mut named: Vec<(String, &BTreeSet<&str>, &Option<String>)> = Vec::new();
        for (at, entry) in settings.thresholds.iter().enumerate() {
            let field = format!("thresholds[{at}].category");
            named.push((field, &self.categories, &entry.category));
        }
        for (at, entry) in settings.modes.iter().enumerate() {
            named.push((format!("modes[{at}].rule"), &self.ids, &entry.rule));
            let field = format!("modes[{at}].category");
            named.push((field, &self.categories, &entry.category));
        }
        for (at, entry) in settings.exemptions.iter().enumerate() {
            named.push((format!("exemptions[{at}].rule"), &self.ids, &entry.rule));
            let field = format!("exemptions[{at}].category");
            named.push((field, &self.categories, &entry.category));
        }
        named.into_iter().find_map(|(field, known, name)| {
            let name = name.as_deref()?;
            (!known.contains(name)).then(|| (field, name.to_owned()))
        })
    }
}

/// The first field that names a rule, category, agent or tool that is not there, and the name.
fn unknown_name(
    connection: &Connection,
    org_id: &str,
    settings: &Settings,
) -> Result<Option<(String, String)>, StoreError> {
    let files = read_files(connection, org_id)?;
    let rows = files.iter().flat_map(|file| &file.rules);
    if let Some(unknown) = KnownRules::of(rows).unknown_in(settings) {
        return Ok(Some(unknown));
    }
    let of_thresholds = settings.thresholds.iter().enumerate();
    let of_thresholds =
        of_thresholds.map(|(at, entry)| (format!("thresholds[{at}]"), &entry.agent, &entry.tool));
    let of_exemptions = settings.exemptions.iter().enumerate();
    let of_exemptions =
        of_exemptions.map(|(at, entry)| (format!("exemptions[{at}]"), &entry.agent, &entry.tool));
    let of_responses = settings.responses.iter().enumerate();
    let of_responses =
        of_responses.map(|(at, entry)| (format!("responses[{at}]"), &entry.agent, &entry.tool));
    let named = of_thresholds.chain(of_exemptions).chain(of_responses);
    for (entry, agent, tool) in named {
        let agent = agent.as_ref().map(|agent| agent.as_str());
        for (field, name, sql) in [
            (
                "agent",
                agent,
                "SELECT 1 FROM cp_agents WHERE org_id = ?1 AND id = ?2",
            ),
            (
                "tool",
                tool.as_deref(),
                "SELECT 1 FROM cp_tools WHERE org_id = ?1 AND name = ?2",
            ),
        ] {
            let Some(name) = name else { continue };
            if !connection.prepare_cached(sql)?.exists((org_id, name))? {
                return Ok(Some((format!("{entry}.{field}"), name.to_owned())));
            }
        }
    }
    Ok(None)
}

fn settings_revision(connection: &Connection, org_id: &str) -> Result<u64, StoreError> {
    let revision: Option<i64> = connection
        .prepare_cached("SELECT revision FROM cp_sections WHERE org_id = ?1 AND name = ?2")?
        .query_row((org_id, SectionName::Settings.as_str()), |row| row.get(0))
        .optional()?;
    revision
        .map(from_sql_integer)
        .ok_or(StoreError::NotFound(Noun::Organisation))
}
