-- Rules of an organisation's own, a file each.
CREATE TABLE cp_rule_files (
    org_id         TEXT NOT NULL REFERENCES cp_organisations (id),
    name           TEXT NOT NULL,
    -- TOML, as its author wrote it.
    source         TEXT NOT NULL,
    -- What the bundle carries of it: JSON.
    compiled       TEXT NOT NULL,
    -- What it takes of a proxy's memory and time.
    rules          INTEGER NOT NULL,
    word_bytes     INTEGER NOT NULL,
    pattern_bytes  INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    PRIMARY KEY (org_id, name)
) STRICT, WITHOUT ROWID;

-- The section is new to the organisations that are here already.
UPDATE cp_organisations SET revision = revision + 1;
INSERT INTO cp_sections (org_id, name, revision) SELECT id, 'rules', revision FROM cp_organisations;
