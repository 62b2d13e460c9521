# devdb's reaper: drops the temporary databases of this instance that have expired, and mends what
# a killed devdb left half-done. It needs sh, awk and psql, and in the environment:
#   PGHOST PGPORT PGUSER PGDATABASE PGPASSFILE               Postgres, as a superuser
#   DEVDB_POOLER_HOST DEVDB_POOLER_PORT DEVDB_POOLER_USER    PgBouncer's admin console
# What it calls in the schema _devdb is in devdb/databases/schema.sql; without it, it does nothing.

# shellcheck disable=SC2016,SC2089,SC2090 # what is exported is for the shells that psql starts
console="env PGOPTIONS= psql -XqAw -P footer=off"
console="$console -h $DEVDB_POOLER_HOST -p $DEVDB_POOLER_PORT -U $DEVDB_POOLER_USER -d pgbouncer"
# From SHOW CLIENTS to orders that end those on databases that are gone (|one|two|).
# PgBouncer below 1.24 gives clients no id, and can only end all of a name.
orders='NR == 1 { has_id = ($NF == "id") }
NR > 1 && index(gone, "|" $3 "|") {
    if (has_id) print "KILL_CLIENT " $NF ";"; else print "KILL \"" $3 "\";"
}'
# Rolls back, from inside, the prepared transactions of which it reads number and database.
undo='while read -r transaction PGDATABASE; do
    export PGDATABASE
    printf "%s\n" "SELECT format(\$\$ROLLBACK PREPARED %L\$\$, gid) FROM pg_prepared_xacts
        WHERE transaction = \$\$$transaction\$\$ \\gexec" | psql -XqAtw -d "$door"
done'
# In the first message of a session, which precedes over what a database or a role is set to.
PGOPTIONS="-c search_path=pg_catalog -c role=none -c lock_timeout=3s -c statement_timeout=15s"
PGOPTIONS="$PGOPTIONS -c default_transaction_read_only=off -c client_min_messages=error"
PGOPTIONS="$PGOPTIONS -c log_statement=none -c log_min_duration_statement=-1"
unset PGSERVICE PGHOSTADDR
# Known from psql 16 on.
export console orders undo door PGOPTIONS PGREQUIREAUTH=scram-sha-256
export PGCONNECT_TIMEOUT=5 PGAPPNAME=devdb-reaper

# Where all connections are taken those of walsenders are not, and they run the same statements.
find_door() {
    door=$(trap '' TERM; psql -Xqw -c '' 2>/dev/null || echo replication=database)
}

# A session whose client is ended in the middle of an answer, or comes when the server is going, is
# an alarm in Postgres' log: that signal is not for the psql of a round, whose end is waited for.
guard='' round='' ended=''
end() {
    kill $! $guard 2>/dev/null
    [ -z "$round" ] || wait $round 2>/dev/null
    exit 0
}
trap end TERM INT HUP

# The locks are those of one session, so the console is talked to from within it. What one
# statement cannot do must not keep the next ones from being tried.
round() {
    trap '' TERM
    find_door
    exec psql -XqAtw -d "$door" <<'SQL'
\o /dev/null
-- What comes before a line of the log, as PgBouncer writes it.
\set ask_head 'SELECT to_char(clock_timestamp() AT TIME ZONE ''UTC'', ''YYYY-MM-DD HH24:MI:SS.MS'') || '' UTC ['' || pg_backend_pid() || '']'' AS head'
SELECT to_regproc('_devdb.seize') IS NOT NULL AS installed \gset
\if :installed
SELECT count(*) > 0 AS found, array_agg(name)::text AS names,
       '|' || string_agg(name, '|') || '|' AS gone, string_agg(name, ', ') AS listed
FROM _devdb.seize() AS name \gset
\if :found
:ask_head \gset
\echo :head LOG drops :listed
SELECT _devdb.drain(:'names');
SELECT transaction, database FROM _devdb.prepared(:'names') \g (fieldsep=' ') | eval "$undo"
SELECT format('SELECT _devdb.shut(%L)', name) FROM unnest(:'names'::text[]) AS name \gexec
SELECT _devdb.drain(:'names');
SELECT format('DROP DATABASE IF EXISTS %I', name)
FROM unnest(:'names'::text[]) AS name JOIN pg_database ON datname = name
WHERE NOT datallowconn \gexec
:ask_head \gset
\echo :head LOG dropped
\set answer `echo "SHOW CLIENTS;" | $console | awk -F "|" -v gone=:'gone' "$orders" | $console 2>&1`
\endif
SELECT _devdb.forget();
SELECT count(*) > 0 AS found, array_agg(name)::text AS names,
       string_agg(format('RESUME %I;', name), ' ') AS resumes
FROM _devdb.reopen() AS name \gset
\if :found
\set status `printf %s :'resumes' | $console >/dev/null 2>&1; echo $?`
SELECT _devdb.resumed(:'names') WHERE :'status' = '0';
\endif
\endif
SQL
}

# A session that waits for a lock cannot see for whom: another one looks, every second, and ends
# who may be ended. The round itself is ended after 25 s: the next one begins with the sessions.
# It ends with the round by itself too: a signal that comes while a shell forks can be lost.
guard() {
    left=25
    while sleep 1 && kill -0 "$1" 2>/dev/null; do
        [ $left -gt 0 ] || kill -HUP "$1" 2>/dev/null
        find_door
        psql -XqAtw -F ' ' -d "$door" -c \
            'SELECT transaction, database FROM _devdb.unblock() WHERE undo' | eval "$undo"
        left=$((left - 1))
    done
}

# Nobody reads that the child was ended too, which shells say of a signal to the whole group.
attend() {
    wait $! 2>/dev/null
}

rest() {
    sleep 20 & attend
}

# It may be here before Postgres is, which is nothing to tell of.
until find_door; psql -Xqw -d "$door" -c '' >/dev/null 2>&1 & attend; do
    rest
done
# A trigger on logins runs before anything could be set, and its function may be somebody else's.
version=$(trap '' TERM; psql -XqAtw -d "$door" -c 'SHOW server_version_num' 2>/dev/null)
[ "${version:-0}" -lt 170000 ] ||
    PGOPTIONS="$PGOPTIONS -c event_triggers=off"
while :; do
    # One that was just started is in no variable yet, and would be left to run on.
    trap ended=1 TERM INT HUP
    round & round=$!
    guard $round & guard=$!
    trap end TERM INT HUP
    [ -z "$ended" ] || end
    wait $round 2>/dev/null
    kill $guard
    wait $guard 2>/dev/null
    guard=''
    rest
done
