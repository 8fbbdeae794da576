//! The wall clock, read in one place.

use std::time::{SystemTime, UNIX_EPOCH};

/// A day in seconds: how long a key for local minting is in the bundle.
const DAY_SECONDS: u64 = 86_400;

/// Now, in Unix seconds.
pub(crate) fn unix_seconds() -> u64 {
    since_epoch().as_secs()
}

/// Now, in Unix microseconds.
pub(crate) fn unix_micros() -> u64 {
    u64::try_from(since_epoch().as_micros()).unwrap_or(u64::MAX)
}

/// The epoch of local minting keys that `seconds` lies in: the number of its day.
pub(crate) fn mint_epoch(seconds: u64) -> u64 {
    seconds / DAY_SECONDS
}

fn since_epoch() -> std::time::Duration {
    // A clock before 1970 reads as 1970: every token is then not yet valid, nothing is let in.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
