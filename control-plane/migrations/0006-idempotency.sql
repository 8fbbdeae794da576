-- Writes that were asked for with an `Idempotency-Key`, for a day: who asked, for what (a hash of the
-- request), and the answer, sealed, since it may hold a secret that is told once. No answer yet while
-- the write goes on, or where the process ended before it could be kept.
CREATE TABLE cp_idempotency (
    org_id        TEXT NOT NULL,
    caller        TEXT NOT NULL,
    chosen_key    TEXT NOT NULL,
    request_hash  TEXT NOT NULL,
    answer        BLOB,
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (org_id, caller, chosen_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON cp_idempotency (created_at);
