//! Moments in words, in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY_SECONDS: u64 = 86_400;

/// Now, in Unix seconds.
pub(crate) fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// `2026-01-31 14:01:02Z`.
pub(crate) fn date_and_time(unix_seconds: u64) -> String {
    let (year, month, day) = date(unix_seconds / DAY_SECONDS);
    format!(
        "{year:04}-{month:02}-{day:02} {}Z",
        time_of_day(unix_seconds)
    )
}

/// `14:01:02`.
pub(crate) fn time_of_day(unix_seconds: u64) -> String {
    let seconds = unix_seconds % DAY_SECONDS;
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// Year, month and day of the Gregorian calendar for a number of days since 1970-01-01, counted
/// in years that begin in March, so that a leap day ends its year.
fn date(days: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    let days = days.saturating_add(719_468);
    let (era, day) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + later, month, day)
}

#[cfg(test)]
mod tests {
    use super::date_and_time;

    #[test]
    fn a_moment_is_told_in_utc() {
        for (seconds, told) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_399, "2000-02-28 23:59:59Z"),
            (951_782_400, "2000-02-29 00:00:00Z"),
            (1_735_689_599, "2024-12-31 23:59:59Z"),
            (4_107_542_400, "2100-03-01 00:00:00Z"),
        ] {
            assert_eq!(date_and_time(seconds), told);
        }
    }
}
