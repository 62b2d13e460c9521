-- rendered by scripts/compose from what `devdb up` runs; change it there
\set password `printenv PGBOUNCER_PASSWORD`
CREATE ROLE devdb_temporary;
CREATE ROLE devdb_claimed;
CREATE ROLE devdb_pooler LOGIN PASSWORD :'password';
\connect postgres
CREATE SCHEMA IF NOT EXISTS _devdb AUTHORIZATION devdb;
REVOKE ALL ON SCHEMA _devdb FROM PUBLIC;
GRANT USAGE ON SCHEMA _devdb TO devdb_pooler;
CREATE OR REPLACE FUNCTION _devdb.lookup(INOUT username text, OUT verifier text)
RETURNS record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT rolname::text,
           CASE WHEN rolvaliduntil IS NULL OR rolvaliduntil > now() THEN rolpassword END
    FROM pg_authid WHERE rolname = username AND rolcanlogin
$$;
REVOKE ALL ON FUNCTION _devdb.lookup FROM PUBLIC;
GRANT EXECUTE ON FUNCTION _devdb.lookup TO devdb_pooler;
COMMENT ON SCHEMA _devdb IS 'devdb 1';
