-- What an agent may use at most, and when and where it may act: JSON; none has what proxies have by
-- default.
ALTER TABLE cp_agents ADD COLUMN boundaries TEXT;
