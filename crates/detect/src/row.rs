//! Rules to and from the rows that a bundle carries.

use clampd_model::{RuleRow, ToolCategory};

use crate::{
    recognise::Signal,
    rule::{Form, Reach, Rule, ToolSet, Words},
};

/// A row says what this version cannot look for.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// No recogniser gives the signal.
    #[error("rule `{rule}`: no recogniser gives the signal `{signal}`")]
    Signal {
        /// The rule's id.
        rule: String,
        /// The signal's name.
        signal: String,
    },
    /// There is no such form or reach.
    #[error("rule `{rule}`: its form or reach is not known")]
    Form {
        /// The rule's id.
        rule: String,
    },
}

impl From<&Rule> for RuleRow {
    fn from(rule: &Rule) -> Self {
        let words = |words: &Words| words.iter().map(str::to_owned).collect();
        Self {
            id: rule.id.to_string(),
            name: rule.name.to_string(),
            category: rule.category.to_string(),
            severity: rule.severity,
            applies_to: rule.applies_to.iter().collect(),
            literals: words(&rule.literals),
            near: rule.near.iter().map(words).collect(),
            reach: rule.reach.as_str().to_owned(),
            within: rule.within,
            pattern: rule.pattern.as_ref().map(ToString::to_string),
            before: rule.before,
            signal: rule.signal.map(|signal| signal.as_str().to_owned()),
            form: rule.form.as_str().to_owned(),
            not_in: categories(rule.not_in),
            only_in: categories(rule.only_in),
        }
    }
}

impl TryFrom<&RuleRow> for Rule {
    type Error = RowError;

    fn try_from(row: &RuleRow) -> Result<Self, RowError> {
        let signal = match &row.signal {
            None => None,
            Some(name) => match Signal::ALL.iter().find(|known| known.as_str() == name) {
                Some(signal) => Some(*signal),
                None => {
                    return Err(RowError::Signal {
                        rule: row.id.clone(),
                        signal: name.clone(),
                    });
                }
            },
        };
        let mut forms = Form::ALL.into_iter();
        let form = forms.find(|form| form.as_str() == row.form);
        let mut reaches = [Reach::Around, Reach::After].into_iter();
        let reach = reaches.find(|reach| reach.as_str() == row.reach);
        let (Some(form), Some(reach)) = (form, reach) else {
            return Err(RowError::Form {
                rule: row.id.clone(),
            });
        };
        let tools = |categories: &[ToolCategory]| categories.iter().copied().collect::<ToolSet>();
        Ok(Self {
            id: row.id.clone().into(),
            name: row.name.clone().into(),
            category: row.category.clone().into(),
            severity: row.severity,
            applies_to: row.applies_to.iter().copied().collect(),
            literals: row.literals.iter().collect(),
            near: row
                .near
                .iter()
                .map(|group| group.iter().collect::<Words>())
                .collect(),
            reach,
            within: row.within,
            pattern: row.pattern.clone().map(Into::into),
            before: row.before,
            signal,
            form,
            not_in: tools(&row.not_in),
            only_in: tools(&row.only_in),
        })
    }
}

fn categories(set: ToolSet) -> Vec<ToolCategory> {
    ToolCategory::ALL
        .into_iter()
        .filter(|category| set.contains(*category))
        .collect()
}
