//! The rules of an organisation's own, as its bundle brings them: made ready once for as long as
//! they stay the same.

use std::sync::Arc;

use clampd_detect::{Detector, Rule};
use clampd_model::RuleRow;

use crate::SnapshotError;

/// Rules of an organisation's own, ready to be looked for.
#[derive(Debug)]
pub struct OwnRules {
    rows: Vec<RuleRow>,
    detector: Detector,
}

impl OwnRules {
    /// Makes the rows ready, unless `known` is just that already; nothing where there are none.
    pub(crate) fn of(
        rows: Vec<RuleRow>,
        known: Option<&Arc<Self>>,
    ) -> Result<Option<Arc<Self>>, SnapshotError> {
        if rows.is_empty() {
            return Ok(None);
        }
        if let Some(known) = known.filter(|known| known.rows == rows) {
            return Ok(Some(Arc::clone(known)));
        }
        let rules: Result<Vec<Rule>, _> = rows.iter().cloned().map(Rule::try_from).collect();
        let rules = rules.map_err(|error| SnapshotError::Rules(error.to_string()))?;
        let detector =
            Detector::new(rules).map_err(|error| SnapshotError::Rules(error.to_string()))?;
        Ok(Some(Arc::new(Self { rows, detector })))
    }

    pub(crate) fn detector(&self) -> &Detector {
        &self.detector
    }
}
