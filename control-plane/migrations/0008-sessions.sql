-- Sessions that agents' events tell of, in Unix microseconds; forgotten an hour after the last event.
CREATE TABLE cp_sessions (
    org_id    TEXT NOT NULL,
    agent_id  TEXT NOT NULL,
    id        TEXT NOT NULL,
    first_at  INTEGER NOT NULL,
    last_at   INTEGER NOT NULL,
    PRIMARY KEY (org_id, agent_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_age ON cp_sessions (last_at);

-- When a kill last ended the agent's sessions: those that had begun by then are not gone on with.
ALTER TABLE cp_agents ADD COLUMN sessions_ended_at INTEGER NOT NULL DEFAULT 0;
