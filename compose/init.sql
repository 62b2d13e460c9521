-- rendered by scripts/compose from what `devdb up` runs; change it there
\set password `printenv PGBOUNCER_PASSWORD`
CREATE ROLE devdb_temporary;
CREATE ROLE devdb_claimed;
CREATE ROLE devdb_pooler LOGIN PASSWORD :'password';
\connect postgres
SET allow_system_table_mods = on;
CREATE SCHEMA IF NOT EXISTS pg_devdb AUTHORIZATION devdb;
RESET allow_system_table_mods;
REVOKE ALL ON SCHEMA pg_devdb FROM PUBLIC;
GRANT USAGE ON SCHEMA pg_devdb TO devdb_pooler;
CREATE OR REPLACE FUNCTION pg_devdb.lookup(INOUT username text, OUT verifier text)
RETURNS record LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT rolname::text,
           CASE WHEN rolvaliduntil IS NULL OR rolvaliduntil > now() THEN rolpassword END
    FROM pg_catalog.pg_authid WHERE rolname = username AND rolcanlogin
$$;
REVOKE ALL ON FUNCTION pg_devdb.lookup FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_devdb.lookup TO devdb_pooler;
COMMENT ON SCHEMA pg_devdb IS 'devdb 3';
