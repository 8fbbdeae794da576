//! Rules of an organisation's own, a file each: as written, and compiled for the bundle.

use clampd_model::{RuleRow, RuleRows};
use clampd_rule_compiler::Cost;
use serde::Serialize;

use super::{
    Noun, SectionName, Store, StoreError, from_sql_integer,
    organisations::read_settings,
    settings::KnownRules,
    sql::{Connection, OptionalExtension, Row},
    sql_integer,
};
use crate::clock;

/// A file of rules that was compiled.
#[derive(Debug, Clone)]
pub(crate) struct CompiledFile {
    pub(crate) name: String,
    /// As written.
    pub(crate) source: String,
    pub(crate) rows: Vec<RuleRow>,
    pub(crate) cost: Cost,
}

/// A file of rules as it is kept.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct RuleFileRecord {
    pub(crate) name: String,
    pub(crate) source: String,
    #[serde(serialize_with = "ids")]
    #[schema(value_type = Vec<String>)]
    pub(crate) rules: Vec<RuleRow>,
    pub(crate) updated_at: u64,
    #[serde(skip)]
    cost: Cost,
}

fn ids<S: serde::Serializer>(rows: &[RuleRow], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rows.iter().map(|row| &row.id))
}

impl RuleFileRecord {
    fn read(row: &Row) -> Result<Self, StoreError> {
        let count = |column: &str| -> Result<usize, StoreError> {
            let number: i64 = row.get(column)?;
            usize::try_from(number).map_err(|_| StoreError::Unreadable(Noun::RuleFile))
        };
        Ok(Self {
            name: row.get("name")?,
            source: row.get("source")?,
            rules: parse(&row.get::<_, String>("compiled")?)?,
            updated_at: from_sql_integer(row.get("updated_at")?),
            cost: Cost {
                rules: count("rules")?,
                word_bytes: count("word_bytes")?,
                pattern_bytes: count("pattern_bytes")?,
            },
        })
    }
}

impl Store {
    /// Keeps the file in place of the one of that name; says whether it is new.
    pub(crate) async fn put_rules(
        &self,
        org_id: String,
        file: CompiledFile,
    ) -> Result<(RuleFileRecord, bool), StoreError> {
        let compiled = serde_json::to_string(&file.rows)
            .map_err(|_| StoreError::Unreadable(Noun::RuleFile))?;
        self.write(move |write| {
            let mut files = read_files(write.connection, &org_id)?;
            let before = files.len();
            files.retain(|known| known.name != file.name);
            let is_new = files.len() == before;
            fits_beside(&file, &files)?;
            let rows = files.iter().flat_map(|known| &known.rules);
            let rows = rows.chain(&file.rows);
            demand_unnamed(write.connection, &org_id, &KnownRules::of(rows))?;
            let record = RuleFileRecord {
                updated_at: clock::unix_seconds(),
                name: file.name,
                source: file.source,
                rules: file.rows,
                cost: file.cost,
            };
            insert(write.connection, &org_id, &record, &compiled)?;
            write.touch(&org_id, &[SectionName::Rules])?;
            Ok((record, is_new))
        })
        .await
    }

    /// One file.
    pub(crate) async fn rule_file(
        &self,
        org_id: String,
        name: String,
    ) -> Result<RuleFileRecord, StoreError> {
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT * FROM cp_rule_files WHERE org_id = ?1 AND name = ?2")?
                .query_row((&org_id, &name), |row| Ok(RuleFileRecord::read(row)))
                .optional()?
                .ok_or(StoreError::NotFound(Noun::RuleFile))?
        })
        .await
    }

    /// The organisation's files, by name.
    pub(crate) async fn rule_files(
        &self,
        org_id: String,
    ) -> Result<Vec<RuleFileRecord>, StoreError> {
        self.read(move |connection| read_files(connection, &org_id))
            .await
    }

    /// Forgets a file, unless the settings name a rule or a category that only it has.
    pub(crate) async fn delete_rules(
        &self,
        org_id: String,
        name: String,
    ) -> Result<(), StoreError> {
        self.write(move |write| {
            let mut files = read_files(write.connection, &org_id)?;
            let before = files.len();
            files.retain(|known| known.name != name);
            if files.len() == before {
                return Err(StoreError::NotFound(Noun::RuleFile));
            }
            let left = files.iter().flat_map(|known| &known.rules);
            demand_unnamed(write.connection, &org_id, &KnownRules::of(left))?;
            write
                .connection
                .prepare_cached("DELETE FROM cp_rule_files WHERE org_id = ?1 AND name = ?2")?
                .execute((&org_id, &name))?;
            write.touch(&org_id, &[SectionName::Rules]).map(|_| ())
        })
        .await
    }
}

/// The rows that the bundle carries, by id.
pub(super) fn bundle_rules(connection: &Connection, org_id: &str) -> Result<RuleRows, StoreError> {
    let files = read_files(connection, org_id)?;
    let mut rows: Vec<RuleRow> = files.into_iter().flat_map(|file| file.rules).collect();
    rows.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(RuleRows(rows))
}

fn insert(
    connection: &Connection,
    org_id: &str,
    record: &RuleFileRecord,
    compiled: &str,
) -> Result<(), StoreError> {
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    connection
        .prepare_cached(
            "INSERT INTO cp_rule_files (org_id, name, source, compiled, rules, word_bytes,
                 pattern_bytes, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (org_id, name) DO UPDATE SET source = excluded.source,
                 compiled = excluded.compiled, rules = excluded.rules,
                 word_bytes = excluded.word_bytes, pattern_bytes = excluded.pattern_bytes,
                 updated_at = excluded.updated_at",
        )?
        .execute((
            org_id,
            &record.name,
            &record.source,
            compiled,
            count(record.cost.rules),
            count(record.cost.word_bytes),
            count(record.cost.pattern_bytes),
            sql_integer(record.updated_at),
        ))?;
    Ok(())
}

/// Whether the file can stand beside the others of its organisation.
fn fits_beside(file: &CompiledFile, others: &[RuleFileRecord]) -> Result<(), StoreError> {
    for other in others {
        if let Some(row) = file
            .rows
            .iter()
            .find(|row| other.rules.iter().any(|known| known.id == row.id))
        {
            return Err(StoreError::Rules(format!(
                "rule `{}`: the id is taken by the file `{}`",
                row.id, other.name
            )));
        }
    }
    let costs = others.iter().map(|other| other.cost);
    let cost = costs.fold(file.cost, Cost::and);
    match cost.over(Cost::MAX) {
        None => Ok(()),
        Some(over) => Err(StoreError::Rules(format!(
            "with this file the organisation has {over}"
        ))),
    }
}

/// Whether the settings name nothing but what is `known`: what they exempt or switch off must not
/// come to mean another rule later.
fn demand_unnamed(
    connection: &Connection,
    org_id: &str,
    known: &KnownRules<'_>,
) -> Result<(), StoreError> {
    match known.unknown_in(&read_settings(connection, org_id)?) {
        None => Ok(()),
        Some((_, name)) => Err(StoreError::NamedInSettings(name)),
    }
}

pub(super) fn read_files(
    connection: &Connection,
    org_id: &str,
) -> Result<Vec<RuleFileRecord>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM cp_rule_files WHERE org_id = ?1 ORDER BY name")?;
    let mut rows = statement.query([org_id])?;
    let mut files = Vec::new();
    while let Some(row) = rows.next()? {
        files.push(RuleFileRecord::read(row)?);
    }
    Ok(files)
}

fn parse(compiled: &str) -> Result<Vec<RuleRow>, StoreError> {
    let rows: Result<RuleRows, _> = serde_json::from_str(compiled);
    rows.map(|rows| rows.0)
        .map_err(|_| StoreError::Unreadable(Noun::RuleFile))
}
