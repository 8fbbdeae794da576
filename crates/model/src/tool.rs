//! Tools: what is called.

use serde::{Deserialize, Serialize};

use crate::words::words;

/// A tool of the catalogue as the bundle carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Its name, such as `database.query`: 1 to 128 characters of `[A-Za-z0-9_.:/-]`.
    pub name: String,
    /// The scope that an agent must hold to call it, such as `db:read`.
    pub scope: String,
    /// What kind of tool it is; detection judges the same text differently by it.
    pub category: ToolCategory,
    /// The service that its tokens are for: the `aud` of micro-tokens.
    pub audience: String,
    /// The URL that calls may be forwarded to; only what lies under it is reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// SHA-256 of the canonical JSON of its descriptor, 64 characters of lower-case hex: the
    /// `ag:tool_binding` of micro-tokens.
    pub binding: String,
    /// SHA-256 of the descriptors that lists may tell of it, in the same way; where there are none, the
    /// first that is told is trusted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<String>,
}

impl Tool {
    /// Whether `name` can be a tool's name.
    pub fn is_name(name: &str) -> bool {
        !name.is_empty()
            && name.len() <= 128
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_.:/-".contains(&b))
    }
}

words! {
    /// The kind of a tool.
    #[derive(Default)]
    #[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(rename_all = "lowercase"))]
    pub enum ToolCategory {
        /// Runs SQL or another query language that the agent writes.
        Database = "database",
        /// Runs commands that the agent writes.
        Shell = "shell",
        /// Runs code that the agent writes.
        Code = "code",
        /// Reads or writes files by path.
        File = "file",
        /// Fetches URLs.
        Http = "http",
        /// Sends messages to people.
        Message = "message",
        /// Pays or refunds.
        Payment = "payment",
        /// Searches text.
        Search = "search",
        /// Anything else.
        #[default]
        Other = "other",
    }
}

/// Whether `held` gives `wanted`: the same scope, `*`, or a prefix that ends in `:*`.
///
/// ```
/// # use clampd_model::scope_covers;
/// assert!(scope_covers("db:*", "db:read"));
/// assert!(!scope_covers("db:*", "dbx:read"));
/// assert!(!scope_covers("db:read", "db:*"));
/// ```
pub fn scope_covers(held: &str, wanted: &str) -> bool {
    if held == "*" || held == wanted {
        return true;
    }
    match held.strip_suffix('*') {
        Some(prefix) => prefix.ends_with(':') && wanted.starts_with(prefix),
        None => false,
    }
}
