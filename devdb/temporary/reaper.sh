# devdb's reaper: drops the temporary databases of this instance that have expired, and mends what
# a killed devdb left half-done. It needs sh and psql, and in the environment:
#   PGHOST PGPORT PGUSER PGDATABASE PGPASSFILE               Postgres, as a superuser
#   DEVDB_POOLER_HOST DEVDB_POOLER_PORT DEVDB_POOLER_USER    PgBouncer's admin console
# What it calls in the schema _devdb is in devdb/temporary/schema.sql; without it, it does nothing.

console="psql -Xqw -h $DEVDB_POOLER_HOST -p $DEVDB_POOLER_PORT -U $DEVDB_POOLER_USER -d pgbouncer"
export console PGCONNECT_TIMEOUT=5 PGAPPNAME=devdb-reaper PGOPTIONS=

child=
trap 'kill $child 2>/dev/null; exit 0' TERM INT HUP

# The locks are those of one session, so the console is talked to from within it. What one
# statement cannot do must not keep the next ones from being tried.
round() {
    exec psql -XqAtw <<'SQL'
SET statement_timeout = 0;
SET search_path = pg_catalog;
SET client_min_messages = error;
SELECT to_regproc('_devdb.seize') IS NOT NULL AS installed \gset
\if :installed
SELECT count(*) > 0 AS found, array_agg(name)::text AS names,
       string_agg(format('KILL %I;', name), ' ') AS kills
FROM _devdb.seize() AS name \gset
\if :found
\set answer `printf %s :'kills' | $console 2>&1`
SELECT _devdb.drain(:'names') \g /dev/null
SELECT format('DROP DATABASE IF EXISTS %I', name) FROM unnest(:'names'::text[]) AS name \gexec
\endif
SELECT _devdb.forget() \g /dev/null
SELECT count(*) > 0 AS found, array_agg(name)::text AS names,
       string_agg(format('RESUME %I;', name), ' ') AS resumes
FROM _devdb.reopen() AS name \gset
\if :found
\set status `printf %s :'resumes' | $console >/dev/null 2>&1; echo $?`
SELECT _devdb.resumed(:'names') WHERE :'status' = '0' \g /dev/null
\endif
\endif
SQL
}

while :; do
    round & child=$!
    wait $child
    sleep 20 & child=$!
    wait $child
done
