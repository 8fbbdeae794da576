-- What operators made of tools: `approved`, `pending` or `rejected`; only the first are in the bundle.
ALTER TABLE cp_tools ADD COLUMN state TEXT NOT NULL DEFAULT 'approved';

-- The descriptors that are known of a tool, by the hash of their canonical JSON, in those states too.
CREATE TABLE cp_descriptors (
    org_id   TEXT NOT NULL,
    tool     TEXT NOT NULL,
    sha256   TEXT NOT NULL,
    state    TEXT NOT NULL,
    told_at  INTEGER NOT NULL,
    PRIMARY KEY (org_id, tool, sha256)
) STRICT, WITHOUT ROWID;
INSERT INTO cp_descriptors (org_id, tool, sha256, state, told_at)
    SELECT org_id, name, binding, 'approved', updated_at FROM cp_tools WHERE descriptor IS NOT NULL;

-- The bundle's tools say what they are pinned to.
UPDATE cp_organisations SET revision = revision + 1;
UPDATE cp_sections SET revision =
    (SELECT revision FROM cp_organisations WHERE id = cp_sections.org_id) WHERE name = 'tools';
