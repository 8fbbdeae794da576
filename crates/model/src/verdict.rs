//! What is to happen to a call.

use crate::words::words;

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

words! {
    /// The decision as the audit trail words it.
    #[derive(Default)]
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
    pub enum PolicyAction {
        /// The call may go on.
        #[default]
        Allow = "Allow",
        /// The call may go on and is marked.
        Flag = "Flag",
        /// The call is stopped.
        Deny = "Deny",
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
