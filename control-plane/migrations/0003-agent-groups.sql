-- What policies know an agent by: a JSON list of names, and what it is for.
ALTER TABLE cp_agents ADD COLUMN agent_groups TEXT NOT NULL DEFAULT '[]';
ALTER TABLE cp_agents ADD COLUMN purpose TEXT;
