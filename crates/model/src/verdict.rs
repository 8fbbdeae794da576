//! What is to happen to a call.

use serde::{Deserialize, Serialize};

/// The decision on one tool call, text or answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Let it pass.
    Allow,
    /// Let it pass and say so.
    Flag,
    /// Stop it.
    Deny,
}

impl Verdict {
    /// Whether the call goes on.
    pub fn lets_pass(self) -> bool {
        self != Self::Deny
    }

    /// The word that the gateway's answers use for it: `pass`, `flag` or `block`.
    pub fn action(self) -> &'static str {
        match self {
            Self::Allow => "pass",
            Self::Flag => "flag",
            Self::Deny => "block",
        }
    }
}

/// The decision as the audit trail words it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum PolicyAction {
    /// The call may go on.
    #[default]
    Allow,
    /// The call may go on and is marked.
    Flag,
    /// The call is stopped.
    Deny,
}

impl PolicyAction {
    /// The word that stands in the audit trail.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "Allow",
            Self::Flag => "Flag",
            Self::Deny => "Deny",
        }
    }
}

impl From<Verdict> for PolicyAction {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allow => Self::Allow,
            Verdict::Flag => Self::Flag,
            Verdict::Deny => Self::Deny,
        }
    }
}
