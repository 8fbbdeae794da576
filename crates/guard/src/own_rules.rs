//! The rules of an organisation's own, as its bundle brings them: made ready once for as long as
//! they stay the same.

use std::sync::Arc;

use clampd_detect::{Detector, Rule};
use clampd_model::RuleRows;

use crate::SnapshotError;

/// Rules of an organisation's own, ready to be looked for.
#[derive(Debug)]
pub struct OwnRules {
    rows: RuleRows,
    detector: Detector,
}

impl OwnRules {
    /// Makes the rows ready, unless `known` is just that already; nothing where there are none.
    pub(crate) fn of(
        rows: RuleRows,
        known: Option<&Arc<Self>>,
    ) -> Result<Option<Arc<Self>>, SnapshotError> {
        if rows.0.is_empty() {
            return Ok(None);
        }
        if let Some(known) = known.filter(|known| known.rows == rows) {
            return Ok(Some(Arc::clone(known)));
        }
        let mut rules = Vec::with_capacity(rows.0.len());
        for row in &rows.0 {
            rules.push(Rule::try_from(row).map_err(|e| SnapshotError::Rules(e.to_string()))?);
        }
        let detector = Detector::new(rules).map_err(|e| SnapshotError::Rules(e.to_string()))?;
        Ok(Some(Arc::new(Self { rows, detector })))
    }

    pub(crate) fn detector(&self) -> &Detector {
        &self.detector
    }
}
