-- What audit queries read on PostgreSQL: run after the migrations, not one of them.
--
-- A query runs in a transaction that first notes its organisation in cp_query_scope, then becomes the
-- role clampd_query, which may read the view and nothing else, and is rolled back at the end. So the
-- note is seen by that transaction alone. `security_barrier` keeps a query's own expressions from
-- being tried on rows of other organisations, where an error could tell them.

CREATE UNLOGGED TABLE IF NOT EXISTS cp_query_scope (org_id TEXT COLLATE "C" NOT NULL);

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'clampd_query') THEN
        CREATE ROLE clampd_query NOLOGIN;
    END IF;
    IF NOT pg_catalog.pg_has_role(current_user, 'clampd_query', 'MEMBER') THEN
        EXECUTE format('GRANT clampd_query TO %I', current_user);
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'role clampd_query is missing; as a superuser run: CREATE ROLE clampd_query NOLOGIN; GRANT clampd_query TO %',
        quote_ident(current_user) USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE SCHEMA IF NOT EXISTS clampd_query;
DROP VIEW IF EXISTS clampd_query.audit_logs;
CREATE VIEW clampd_query.audit_logs WITH (security_barrier = true) AS
    SELECT {columns} FROM cp_audit_events
    WHERE org_id = (SELECT org_id FROM cp_query_scope);
GRANT USAGE ON SCHEMA clampd_query TO clampd_query;
GRANT SELECT ON clampd_query.audit_logs TO clampd_query;
