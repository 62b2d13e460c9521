# devdb's reaper: drops the temporary databases of this instance that have expired, and mends what
# a killed devdb left half-done. It needs sh, awk and psql, and in the environment:
#   PGHOST PGPORT PGUSER PGDATABASE PGPASSFILE               Postgres, as a superuser
#   DEVDB_POOLER_HOST DEVDB_POOLER_PORT DEVDB_POOLER_USER    PgBouncer's admin console
# What it calls in the schema _devdb is in devdb/temporary/schema.sql; without it, it does nothing.

# shellcheck disable=SC2016,SC2089,SC2090 # what is exported is for the shells that psql starts
console="psql -XqAw -P footer=off -h $DEVDB_POOLER_HOST -p $DEVDB_POOLER_PORT -U $DEVDB_POOLER_USER"
console="$console -d pgbouncer"
# From SHOW CLIENTS to orders that end those on databases that are gone (|one|two|).
# PgBouncer below 1.24 gives clients no id, and can only end all of a name.
orders='NR == 1 { has_id = ($NF == "id") }
NR > 1 && index(gone, "|" $3 "|") {
    if (has_id) print "KILL_CLIENT " $NF ";"; else print "KILL \"" $3 "\";"
}'
export console orders PGCONNECT_TIMEOUT=5 PGAPPNAME=devdb-reaper PGOPTIONS=

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
       '|' || string_agg(name, '|') || '|' AS gone
FROM _devdb.seize() AS name \gset
\if :found
SELECT _devdb.drain(:'names') \g /dev/null
SELECT format('DROP DATABASE IF EXISTS %I', name) FROM unnest(:'names'::text[]) AS name \gexec
\set answer `echo "SHOW CLIENTS;" | $console | awk -F "|" -v gone=:'gone' "$orders" | $console 2>&1`
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

# Nobody reads that the child was ended too, which shells say of a signal to the whole group.
attend() {
    child=$!
    wait $child 2>/dev/null
}

rest() {
    sleep 20 & attend
}

# It may be here before Postgres is, which is nothing to tell of.
until psql -Xqw -c '' >/dev/null 2>&1 & attend; do
    rest
done
while :; do
    round & attend
    rest
done
