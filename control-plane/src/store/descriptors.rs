//! What tools are pinned to: the descriptors that are known of each, and what operators decide.
//!
//! The first descriptor that a server tells of a tool is trusted and the tool pinned to it. Another one
//! is drift: it waits for an operator, and so does the tool, which is not in the bundle meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use clampd_model::{Approval, AuditEvent, PolicyAction, ToldDescriptor};
use serde::Serialize;

use super::{
    Noun, SectionName, Store, StoreError, Write, audit, from_sql_integer,
    sql::{Connection, Row},
    sql_integer,
    tools::ToolRecord,
};
use crate::{clock, random};

/// The most descriptors of one tool that are kept: more drift is refused and told, but not kept.
const DESCRIPTORS_MAX: usize = 32;

/// The most that one batch of events may tell; what is left out is told again with the next list.
const TOLD_MAX: usize = 1_000;

/// What stands in the bundle for a tool that is pinned, but to no descriptor that is approved.
const PINNED_TO_NONE: &str = "none";

/// A descriptor that is known of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct DescriptorRecord {
    /// SHA-256 of its canonical JSON, in lower-case hex.
    pub(crate) sha256: String,
    pub(crate) state: Approval,
    /// When it was first told, in Unix seconds.
    pub(crate) told_at: u64,
}

/// What an operator decided.
#[derive(Debug, Clone)]
pub(crate) struct Decision {
    pub(crate) tool: String,
    /// The descriptor that it is about, by its hash; else the tool as such.
    pub(crate) descriptor: Option<String>,
    pub(crate) state: Approval,
    /// Who decided, as the trail says it.
    pub(crate) by: String,
    pub(crate) request_id: String,
}

impl Store {
    /// Approves or rejects a tool, or a descriptor and with it the tool; notes it in the trail.
    pub(crate) async fn decide_on_tool(
        &self,
        org_id: String,
        decision: Decision,
    ) -> Result<ToolRecord, StoreError> {
        self.write(move |write| {
            let known = ToolRecord::by_name(write.connection, &org_id, &decision.tool)?;
            if let Some(sha256) = &decision.descriptor {
                let is_known = known.descriptors.iter().any(|d| d.sha256 == *sha256);
                if !is_known && known.descriptors.len() >= DESCRIPTORS_MAX {
                    return Err(StoreError::TooManyDescriptors);
                }
                keep(write, &org_id, &decision.tool, sha256, decision.state)?;
                if let Some(sha256) = known.bound_to(sha256, decision.state) {
                    bind(write.connection, &org_id, &decision.tool, sha256)?;
                }
            }
            set_state(write.connection, &org_id, &decision.tool, decision.state)?;
            let revision = write.touch(&org_id, &[SectionName::Tools])?;
            audit::append(write, &org_id, vec![decision.event(revision)?])?;
            ToolRecord::by_name(write.connection, &org_id, &decision.tool)
        })
        .await
    }
}

impl ToolRecord {
    /// What tokens are to be bound to once that descriptor is in that state, where it is another one:
    /// never one that is rejected while there is a good one.
    fn bound_to<'d>(&'d self, decided: &'d str, state: Approval) -> Option<&'d str> {
        if state == Approval::Approved {
            return Some(decided);
        }
        let others = self.descriptors.iter().filter(|d| d.sha256 != decided);
        let good = others.filter(|d| d.state == Approval::Approved);
        let newest = good.max_by_key(|d| d.told_at)?.sha256.as_str();
        (self.tool.binding == decided).then_some(newest)
    }
}

impl Decision {
    fn event(&self, bundle_revision: u64) -> Result<AuditEvent, StoreError> {
        let word = self.state.as_str();
        let what = match &self.descriptor {
            Some(sha256) => format!("descriptor {sha256}"),
            None => "tool".to_owned(),
        };
        Ok(AuditEvent {
            event_id: random::uuid()?,
            request_id: self.request_id.clone(),
            tool_name: self.tool.clone(),
            tool_action: "tool_approval".to_owned(),
            policy_reason: format!("{what} {word} by {}", self.by),
            bundle_revision,
            timestamp: clock::unix_micros(),
            ..AuditEvent::default()
        })
    }
}

/// The descriptors that events tell of, each once with the request that told of it first.
#[derive(Debug)]
pub(super) struct Told(Vec<(ToldDescriptor, String)>);

impl Told {
    pub(super) fn in_events(events: &[AuditEvent]) -> Self {
        let mut known = BTreeSet::new();
        let mut told = Vec::new();
        for event in events {
            let marks = event.session_flags.iter();
            for descriptor in marks.filter_map(|mark| ToldDescriptor::parse(mark)) {
                if told.len() < TOLD_MAX && known.insert(descriptor.clone()) {
                    told.push((descriptor, event.request_id.clone()));
                }
            }
        }
        Self(told)
    }

    /// Pins tools to their first descriptor, and has those wait that drifted.
    pub(super) fn keep(self, write: &mut Write<'_>, org_id: &str) -> Result<(), StoreError> {
        let mut events = Vec::new();
        for (told, request_id) in self.0 {
            let known = match ToolRecord::by_name(write.connection, org_id, &told.tool) {
                Err(StoreError::NotFound(_)) => continue,
                known => known?,
            };
            if known.descriptors.iter().any(|d| d.sha256 == told.sha256) {
                continue;
            }
            let is_first = known.descriptors.is_empty();
            if is_first {
                keep(write, org_id, &told.tool, &told.sha256, Approval::Approved)?;
                bind(write.connection, org_id, &told.tool, &told.sha256)?;
            } else {
                let is_full = known.descriptors.len() >= DESCRIPTORS_MAX;
                if is_full && known.state != Approval::Approved {
                    // A server that tells another one each time is not to fill the trail.
                    continue;
                }
                if !is_full {
                    keep(write, org_id, &told.tool, &told.sha256, Approval::Pending)?;
                }
                if known.state == Approval::Approved {
                    set_state(write.connection, org_id, &told.tool, Approval::Pending)?;
                }
            }
            events.push(told_event(&told, is_first, request_id)?);
        }
        if !events.is_empty() {
            write.touch(org_id, &[SectionName::Tools])?;
            audit::append(write, org_id, events)?;
        }
        Ok(())
    }
}

/// Whose doing it was is not known: the agent only listened.
fn told_event(
    told: &ToldDescriptor,
    is_first: bool,
    request_id: String,
) -> Result<AuditEvent, StoreError> {
    let sha256 = &told.sha256;
    let event = AuditEvent {
        event_id: random::uuid()?,
        request_id,
        tool_name: told.tool.clone(),
        timestamp: clock::unix_micros(),
        ..AuditEvent::default()
    };
    Ok(if is_first {
        AuditEvent {
            tool_action: "descriptor_pinned".to_owned(),
            policy_reason: format!("descriptor {sha256} is the first that was told, and trusted"),
            ..event
        }
    } else {
        AuditEvent {
            tool_action: "descriptor_drift".to_owned(),
            policy_action: PolicyAction::Deny,
            policy_reason: format!("descriptor {sha256} is not what the tool is pinned to"),
            blocked: true,
            denial_reason: Some("descriptor-drift".to_owned()),
            ..event
        }
    })
}

/// The descriptors that are known, by tool; of one tool, or of all.
pub(super) fn descriptors(
    connection: &Connection,
    org_id: &str,
    tool: Option<&str>,
) -> Result<BTreeMap<String, Vec<DescriptorRecord>>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT tool, sha256, state, told_at FROM cp_descriptors
         WHERE org_id = ?1 AND tool = coalesce(?2, tool) ORDER BY tool, told_at, sha256",
    )?;
    let mut rows = statement.query((org_id, tool))?;
    let mut by_tool: BTreeMap<String, Vec<DescriptorRecord>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        by_tool
            .entry(row.get("tool")?)
            .or_default()
            .push(DescriptorRecord {
                sha256: row.get("sha256")?,
                state: read_approval(row)?,
                told_at: from_sql_integer(row.get("told_at")?),
            });
    }
    Ok(by_tool)
}

/// What the bundle says that a tool is pinned to; nothing where the first that is told is trusted.
pub(super) fn pins(known: &[DescriptorRecord]) -> Vec<String> {
    let approved = known.iter().filter(|d| d.state == Approval::Approved);
    let pins: BTreeSet<&str> = approved.map(|d| d.sha256.as_str()).collect();
    match (pins.is_empty(), known.is_empty()) {
        (true, false) => vec![PINNED_TO_NONE.to_owned()],
        _ => pins.into_iter().map(str::to_owned).collect(),
    }
}

/// The state in a row.
pub(super) fn read_approval(row: &Row) -> Result<Approval, StoreError> {
    let state: String = row.get("state")?;
    Approval::parse(&state).ok_or(StoreError::Unreadable(Noun::Tool))
}

/// Pins the tool to that descriptor and no other.
pub(super) fn pin_only(
    write: &Write<'_>,
    org_id: &str,
    tool: &str,
    sha256: &str,
) -> Result<(), StoreError> {
    forget(write.connection, org_id, tool)?;
    keep(write, org_id, tool, sha256, Approval::Approved)
}

/// Forgets what was known of a tool's descriptors.
pub(super) fn forget(connection: &Connection, org_id: &str, tool: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM cp_descriptors WHERE org_id = ?1 AND tool = ?2")?
        .execute((org_id, tool))?;
    Ok(())
}

fn keep(
    write: &Write<'_>,
    org_id: &str,
    tool: &str,
    sha256: &str,
    state: Approval,
) -> Result<(), StoreError> {
    let told_at = sql_integer(clock::unix_seconds());
    write
        .connection
        .prepare_cached(
            "INSERT INTO cp_descriptors (org_id, tool, sha256, state, told_at)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (org_id, tool, sha256) DO UPDATE SET state = excluded.state",
        )?
        .execute((org_id, tool, sha256, state.as_str(), told_at))?;
    Ok(())
}

/// Has tokens bound to that descriptor. Its text is known only where it is the one that was put.
fn bind(connection: &Connection, org_id: &str, tool: &str, sha256: &str) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE cp_tools SET binding = ?3,
                 descriptor = CASE WHEN binding = ?3 THEN descriptor ELSE NULL END
             WHERE org_id = ?1 AND name = ?2",
        )?
        .execute((org_id, tool, sha256))?;
    Ok(())
}

fn set_state(
    connection: &Connection,
    org_id: &str,
    tool: &str,
    state: Approval,
) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE cp_tools SET state = ?3 WHERE org_id = ?1 AND name = ?2")?
        .execute((org_id, tool, state.as_str()))?;
    Ok(())
}
