-- The signed statement that the trail's last event is the last one. A trail from before there were
-- statements stays unsigned: to sign it now would vouch for what nobody watched.
ALTER TABLE cp_organisations ADD COLUMN audit_statement TEXT NOT NULL DEFAULT '';

-- The signed statement about the last event that the retention removed, and how long events are kept.
ALTER TABLE cp_organisations ADD COLUMN audit_cut TEXT;
ALTER TABLE cp_organisations ADD COLUMN audit_retention_days INTEGER;

-- The bundle's keys hold the one that verifies statements from now on.
UPDATE cp_organisations SET revision = revision + 1;
UPDATE cp_sections SET revision =
    (SELECT revision FROM cp_organisations WHERE id = cp_sections.org_id) WHERE name = 'jwks';
