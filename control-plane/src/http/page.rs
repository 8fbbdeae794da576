//! Lists, whole or in parts: `limit` says how much, `after` where to go on, `next` where that is.

use axum::extract::{Query, rejection::QueryRejection};

use super::{error::ApiError, value::demand};

/// The most entries of a part. Without `limit` a list is whole.
const ENTRIES_MAX: u32 = 1_000;

/// The query, if it holds nothing but what the route knows.
pub(super) fn known<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    let wanted = "must hold only parameters that the route has, and values that they can have";
    query
        .map(|Query(query)| query)
        .map_err(|_| ApiError::invalid_value("query", wanted))
}

/// How many entries to read: one more than wanted tells whether there are more.
pub(super) fn to_read(limit: Option<u32>) -> Result<Option<u32>, ApiError> {
    let holds = limit.is_none_or(|limit| (1..=ENTRIES_MAX).contains(&limit));
    demand(holds, "limit", "must be 1 to 1000")?;
    Ok(limit.map(|limit| limit + 1))
}

/// The part, and what goes on after it, of entries that [`to_read`] said to read or more.
pub(super) fn part<T>(
    mut entries: Vec<T>,
    limit: Option<u32>,
    cursor: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let limit = limit.map_or(usize::MAX, |limit| limit as usize);
    if entries.len() <= limit {
        return (entries, None);
    }
    entries.truncate(limit);
    let next = entries.last().map(cursor);
    (entries, next)
}
