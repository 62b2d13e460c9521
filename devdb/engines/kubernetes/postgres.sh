# Makes the data where there is none, sees that it is this server's, and runs the server.
# Environment: PGDATA, in the volume; FILES, where the instance's files are.
set -eu
umask 077
major=$(postgres --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')

make_data() {
    new=$PGDATA.new
    rm -rf "$new"
    if command -v docker-ensure-initdb.sh && [ -n "$(ls /docker-entrypoint-initdb.d)" ]; then
        # An image that puts something into new data: PostGIS' extensions, say.
        PGDATA=$new POSTGRES_USER=devdb POSTGRES_DB=main POSTGRES_PASSWORD_FILE=$FILES/password \
            POSTGRES_INITDB_ARGS='--encoding=UTF8 --auth=scram-sha-256' docker-ensure-initdb.sh postgres
    else
        TZ=UTC initdb -D "$new" -U devdb --pwfile="$FILES/password" --encoding=UTF8 \
            --auth=scram-sha-256 --no-sync
    fi
    # It has its name when it is whole, and on the disk.
    sync -f "$new" 2>/dev/null || sync
    mv "$new" "$PGDATA"
    sync -f "$PGDATA" 2>/dev/null || sync
}

if [ ! -e "$PGDATA/PG_VERSION" ]; then
    if [ -e "$FILES/made" ]; then
        echo "devdb: the data is gone" >&2
        exit 1
    fi
    make_data
fi
read -r made < "$PGDATA/PG_VERSION"
if [ "$made" != "$major" ]; then
    echo "devdb: the data was made by Postgres $made, not $major" >&2
    exit 1
fi
# A volume's group may write to everything in it, which a server does not stand.
chmod 700 "$PGDATA"

# A password that was lost is set without logging in, once: the volume knows which it has.
has=$PGDATA.key
if [ -s "$FILES/passwords.sql" ] && ! cmp -s "$FILES/key" "$has"; then
    postgres --single -c log_statement=none -c log_min_error_statement=panic -D "$PGDATA" postgres \
        < "$FILES/passwords.sql" > /dev/null
    cp "$FILES/key" "$has"
fi

conf=$FILES/postgresql.conf
if [ -n "$(postgres -C ssl_library -c config_file=/dev/null -D / 2> /dev/null)" ] && [ -e "$FILES/server.key" ]; then
    conf=$FILES/postgresql-tls.conf
fi

# A session that Postgres has to end itself is FATAL in its log: it goes after PgBouncer.
end() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        grep -qsx pgbouncer /proc/[0-9]*/comm || break
        sleep 0.1
    done
    kill -INT "$server" 2> /dev/null || true
}
. "$FILES/serve.sh"
serve postgres -D "$PGDATA" -c "config_file=$conf" -c "hba_file=$FILES/pg_hba.conf"
