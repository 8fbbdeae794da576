//! How the tables came to be what they are: one text for both databases.
//!
//! A migration is written as SQLite reads it; PostgreSQL's own words for the types and the table
//! options are put in by [`for_postgres`]. A migration that was released is never edited.

use super::StoreError;

/// Every migration ever released, in order.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001-init.sql"),
    include_str!("../../migrations/0002-automatic-kill.sql"),
    include_str!("../../migrations/0003-agent-groups.sql"),
    include_str!("../../migrations/0004-rules.sql"),
    include_str!("../../migrations/0005-audit-statements.sql"),
    include_str!("../../migrations/0006-idempotency.sql"),
    include_str!("../../migrations/0007-boundaries.sql"),
    include_str!("../../migrations/0008-sessions.sql"),
    include_str!("../../migrations/0009-descriptors.sql"),
];

/// Those that are still to be applied, with their numbers.
///
/// # Errors
/// When the database is from a newer version of this program.
pub(super) fn pending<'m>(
    applied: i64,
    migrations: &'m [&'m str],
) -> Result<impl Iterator<Item = (i64, &'m str)>, StoreError> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    if applied > known {
        return Err(StoreError::NewerDatabase { applied, known });
    }
    Ok((1_i64..)
        .zip(migrations.iter().copied())
        .filter(move |(version, _)| *version > applied))
}

/// What PostgreSQL calls it. Texts are ordered by their bytes, as in SQLite.
const WORDS: [(&str, &str); 7] = [
    ("INTEGER", "BIGINT"),
    ("REAL", "DOUBLE PRECISION"),
    ("BLOB", "BYTEA"),
    ("TEXT", "TEXT COLLATE \"C\""),
    ("STRICT,", ""),
    ("STRICT", ""),
    ("ROWID", ""),
];

/// The migration as PostgreSQL reads it.
pub(super) fn for_postgres(migration: &str) -> String {
    let mut translated = String::new();
    for line in migration.lines() {
        let sql = line.split("--").next().unwrap_or_default();
        for word in sql.split_inclusive(&[' ', ',', ';', '(', ')']) {
            let end = word.trim_end_matches(&[' ', ',', ';', '(', ')'][..]).len();
            let (bare, tail) = word.split_at(end);
            // Only a table's options begin with WITHOUT.
            if bare == "WITHOUT" {
                continue;
            }
            let known = WORDS.iter().find(|(theirs, _)| *theirs == bare);
            translated.push_str(known.map_or(bare, |(_, ours)| ours));
            // The comma of `STRICT, WITHOUT ROWID`.
            translated.push_str(if bare == "STRICT" {
                tail.trim_start_matches(',')
            } else {
                tail
            });
        }
        translated.push('\n');
    }
    translated
}

#[cfg(test)]
mod tests {
    use super::for_postgres;

    #[test]
    fn a_migration_reads_the_same_in_both_databases() {
        let migration = "CREATE TABLE t (\n  -- a comment\n  a TEXT NOT NULL,\n  b BLOB, n INTEGER DEFAULT 0,\n  \
             r REAL NOT NULL,\n  PRIMARY KEY (a)\n) STRICT, WITHOUT ROWID;\n";
        let translated = for_postgres(migration);
        let words: Vec<&str> = translated.split_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "CREATE TABLE t ( a TEXT COLLATE \"C\" NOT NULL, b BYTEA, n BIGINT DEFAULT 0, \
             r DOUBLE PRECISION NOT NULL, PRIMARY KEY (a) ) ;"
        );
    }
}
