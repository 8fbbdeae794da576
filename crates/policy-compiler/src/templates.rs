//! Policies to begin with: the base, and documents to put as they are or with other numbers.

use serde::Serialize;

/// The document that permits calls within an agent's scopes.
pub const BASE_ID: &str = "base";

/// Its text where an organisation has put no other in its place.
pub const BASE_TEXT: &str = include_str!("templates/base.cedar");

/// A document to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Template {
    /// Its name.
    pub id: &'static str,
    /// What it does, in a sentence without a full stop.
    pub summary: &'static str,
    /// Cedar.
    pub text: &'static str,
}

/// The documents to begin with.
pub const TEMPLATES: [Template; 6] = [
    Template {
        id: "least-privilege",
        summary: "in the place of `base`: nothing beyond scopes held by name",
        text: include_str!("templates/least-privilege.cedar"),
    },
    Template {
        id: "block-by-risk",
        summary: "stops what can do lasting harm at a lower risk",
        text: include_str!("templates/block-by-risk.cedar"),
    },
    Template {
        id: "office-hours",
        summary: "payments and messages only while people are there",
        text: include_str!("templates/office-hours.cedar"),
    },
    Template {
        id: "no-send-after-secrets",
        summary: "nothing goes out of a session that has read secrets",
        text: include_str!("templates/no-send-after-secrets.cedar"),
    },
    Template {
        id: "delegation-approval",
        summary: "only approvers delegate what pays or runs commands",
        text: include_str!("templates/delegation-approval.cedar"),
    },
    Template {
        id: "payments-cap",
        summary: "no payment over 500",
        text: include_str!("templates/payments-cap.cedar"),
    },
];
