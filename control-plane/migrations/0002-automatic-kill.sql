-- When an agent is killed without anyone's order: JSON, or NULL for never.
ALTER TABLE cp_organisations ADD COLUMN automatic_kill TEXT;

-- When the agent came into its state, in Unix microseconds: what was blocked before counts no more.
ALTER TABLE cp_agents ADD COLUMN state_since INTEGER NOT NULL DEFAULT 0;

CREATE INDEX audit_events_blocked ON cp_audit_events (org_id, agent_id, received_at) WHERE blocked;
