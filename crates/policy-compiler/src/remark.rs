//! What is wrong or doubtful in a text of policies, and where.

use std::fmt;

use cedar_policy_core::parser::Loc;
use miette::Diagnostic;
use serde::Serialize;

/// Something to be said of a place in a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Remark {
    /// The policy that it is about, where one can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// A sentence without a full stop.
    pub message: String,
}

/// Why a text is refused: at least one remark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Refusal(pub Vec<Remark>);

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        match &self.policy {
            Some(policy) => write!(f, "policy {policy}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let remarks: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&remarks.join("; "))
    }
}

impl Remark {
    /// At the byte `offset` of `text`.
    pub(crate) fn at(text: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.split('\n').count();
        let last = before.rsplit('\n').next().unwrap_or_default();
        Self {
            policy: None,
            line,
            column: last.chars().count() + 1,
            message: message.into(),
        }
    }

    /// Where `loc` says, or else at the beginning.
    pub(crate) fn at_loc(text: &str, loc: Option<&Loc>, message: impl Into<String>) -> Self {
        Self::at(text, loc.map_or(0, Loc::start), message)
    }

    /// What Cedar says of `text`, at the first place that it names.
    pub(crate) fn of(text: &str, diagnostic: &dyn Diagnostic) -> Self {
        let offset = diagnostic
            .labels()
            .and_then(|mut labels| labels.next())
            .map_or(0, |label| label.offset());
        let message = match diagnostic.help() {
            Some(help) => format!("{diagnostic} ({help})"),
            None => diagnostic.to_string(),
        };
        Self::at(text, offset, message)
    }

    pub(crate) fn about(self, policy: impl Into<String>) -> Self {
        Self {
            policy: Some(policy.into()),
            ..self
        }
    }
}
