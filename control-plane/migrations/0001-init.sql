-- Everything belongs to one organisation, and every query names it.

CREATE TABLE cp_organisations (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL,
    -- Grows with every change to anything that a bundle carries.
    revision    INTEGER NOT NULL,
    -- The day whose local minting keys are in the bundle.
    mint_epoch  INTEGER NOT NULL,
    settings    TEXT NOT NULL,
    -- Ed25519 seeds, sealed with the master key.
    bundle_key  BLOB NOT NULL,
    token_key   BLOB NOT NULL,
    -- The audit trail's last number and the hash that the next event is chained to.
    audit_seq   INTEGER NOT NULL DEFAULT 0,
    audit_head  TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;

-- The revision at which each part of the bundle last changed.
CREATE TABLE cp_sections (
    org_id    TEXT NOT NULL REFERENCES cp_organisations (id),
    name      TEXT NOT NULL,
    revision  INTEGER NOT NULL,
    PRIMARY KEY (org_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE cp_api_keys (
    id          TEXT PRIMARY KEY,
    org_id      TEXT NOT NULL REFERENCES cp_organisations (id),
    sha256      TEXT NOT NULL UNIQUE,
    role        TEXT NOT NULL,
    name        TEXT NOT NULL,
    audience    TEXT,
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX api_keys_of_org ON cp_api_keys (org_id, created_at);

CREATE TABLE cp_agents (
    org_id        TEXT NOT NULL REFERENCES cp_organisations (id),
    id            TEXT NOT NULL,
    name          TEXT NOT NULL,
    state         TEXT NOT NULL,
    state_reason  TEXT,
    alg           TEXT NOT NULL,
    -- HS256: the HMAC key, sealed. EdDSA: the public key.
    credential    BLOB NOT NULL,
    scopes        TEXT NOT NULL,
    framework     TEXT,
    delegated_by  TEXT,
    risk_score    REAL NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX agents_by_delegator ON cp_agents (org_id, delegated_by);

CREATE TABLE cp_tools (
    org_id      TEXT NOT NULL REFERENCES cp_organisations (id),
    name        TEXT NOT NULL,
    scope       TEXT NOT NULL,
    category    TEXT NOT NULL,
    audience    TEXT NOT NULL,
    upstream    TEXT,
    descriptor  TEXT,
    binding     TEXT NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (org_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE cp_policies (
    org_id      TEXT NOT NULL REFERENCES cp_organisations (id),
    id          TEXT NOT NULL,
    body        TEXT NOT NULL,
    updated_at  INTEGER NOT NULL,
    PRIMARY KEY (org_id, id)
) STRICT, WITHOUT ROWID;

-- The nonces of micro-tokens that are worth nothing any more: used or revoked.
CREATE TABLE cp_tokens_spent (
    org_id      TEXT NOT NULL,
    jti         TEXT NOT NULL,
    how         TEXT NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (org_id, jti)
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_spent_by_expiry ON cp_tokens_spent (expires_at);

-- Not STRICT: `blocked` keeps the declared type BOOLEAN, by which answers know to say true.
CREATE TABLE cp_audit_events (
    org_id               TEXT NOT NULL,
    seq                  INTEGER NOT NULL,
    event_id             TEXT NOT NULL,
    request_id           TEXT NOT NULL,
    trace_id             TEXT,
    agent_id             TEXT NOT NULL,
    agent_name           TEXT NOT NULL,
    session_id           TEXT,
    tool_name            TEXT NOT NULL,
    tool_action          TEXT NOT NULL,
    params_hash          TEXT,
    params_masked        TEXT,
    prompt_hash          TEXT,
    encodings_detected   TEXT NOT NULL,
    risk_score           REAL NOT NULL,
    assessed_risk        TEXT NOT NULL,
    classification       TEXT NOT NULL,
    labels               TEXT NOT NULL,
    matched_rules        TEXT NOT NULL,
    policy_action        TEXT NOT NULL,
    policy_reason        TEXT NOT NULL,
    scope_requested      TEXT,
    scope_granted        TEXT,
    blocked              BOOLEAN NOT NULL,
    denial_reason        TEXT,
    session_flags        TEXT NOT NULL,
    response             TEXT,
    degraded_stages      TEXT NOT NULL,
    delegation_chain     TEXT NOT NULL,
    delegation_trace_id  TEXT,
    bundle_revision      INTEGER NOT NULL,
    latency_us           INTEGER NOT NULL,
    timestamp            INTEGER NOT NULL,
    received_at          INTEGER NOT NULL,
    -- sha256 hex of the previous event's chain_hash and this event's canonical JSON.
    chain_hash           TEXT NOT NULL,
    PRIMARY KEY (org_id, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX audit_events_by_id ON cp_audit_events (org_id, event_id);
