//! What became of the attacks, as a table or as JSON.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Fate, Fired};
use crate::{error::CliError, global::Global, output::Output, table::Table, time};

/// One run.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) gateway: String,
    /// Unix seconds.
    pub(super) started_at: u64,
    pub(super) fired: Vec<Fired<'a>>,
}

impl Report<'_> {
    /// Whether no attack passed. One that was refused unseen, for its tool is not registered,
    /// did not pass.
    pub(super) fn all_blocked(&self) -> bool {
        let passed = |fired: &Fired<'_>| matches!(fired.fate, Fate::Flagged | Fate::Allowed);
        !self.fired.iter().any(passed)
    }

    fn count(&self, fate: Fate) -> usize {
        self.fired.iter().filter(|fired| fired.fate == fate).count()
    }

    pub(super) fn write(&self, global: &Global, out: &mut Output) -> Result<(), CliError> {
        if global.json {
            return Ok(out.json_line(&self.as_json())?);
        }
        let at = time::date_and_time(self.started_at);
        out.line(format!(
            "{} attacks at {}, {at}",
            self.fired.len(),
            self.gateway
        ))?;
        let mut by_category: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
        let fates = [
            Fate::Blocked,
            Fate::Flagged,
            Fate::Allowed,
            Fate::NotRegistered,
        ];
        for fired in &self.fired {
            let counts = by_category.entry(&fired.attack.category).or_default();
            for (count, fate) in counts.iter_mut().zip(fates) {
                *count += usize::from(fired.fate == fate);
            }
        }
        let mut table = Table::new(&[
            "Category",
            "Blocked",
            "Flagged",
            "Allowed",
            "Not registered",
        ]);
        for (category, counts) in &by_category {
            let counts = counts.iter().map(usize::to_string);
            table.row(std::iter::once((*category).to_owned()).chain(counts));
        }
        table.write(out)?;
        for fired in self
            .fired
            .iter()
            .filter(|fired| fired.fate != Fate::Blocked)
        {
            let (fate, attack) = (fired.fate.as_str(), fired.attack);
            let tool = match attack.tool() {
                "" => String::new(),
                tool => format!(" ({tool})"),
            };
            out.line(format!(
                "{fate:14} {}: {}{tool}",
                attack.category, attack.name
            ))?;
        }
        let (blocked, all) = (self.count(Fate::Blocked), self.fired.len());
        Ok(out.line(format!("{blocked} of {all} blocked"))?)
    }

    fn as_json(&self) -> Value {
        let fired: Vec<Value> = self
            .fired
            .iter()
            .map(|fired| {
                json!({
                    "category": fired.attack.category, "name": fired.attack.name,
                    "tool": fired.attack.tool(), "result": fired.fate.as_str(),
                    "status": fired.status, "risk_score": fired.risk_score,
                    "matched_rules": fired.matched_rules,
                    "latency_ms": (fired.milliseconds * 100.0).round() / 100.0,
                })
            })
            .collect();
        json!({
            "gateway": self.gateway, "started_at": self.started_at,
            "total": self.fired.len(), "blocked": self.count(Fate::Blocked),
            "flagged": self.count(Fate::Flagged), "allowed": self.count(Fate::Allowed),
            "not_registered": self.count(Fate::NotRegistered), "passed": self.all_blocked(),
            "results": fired,
        })
    }
}
