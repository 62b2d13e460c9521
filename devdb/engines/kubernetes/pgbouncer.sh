# Takes the ini that this PgBouncer understands, and runs it.
# Environment: FILES, where the instance's files are.
set -eu
umask 077
PATH=$PATH:/usr/sbin:/usr/local/sbin:/opt/bitnami/pgbouncer/bin
said=$(pgbouncer --version)
minor=$(expr "$said" : 'PgBouncer 1\.\([0-9]*\)')
if [ "$minor" -lt 21 ]; then
    echo "devdb: PgBouncer 1.$minor cannot track prepared statements, 1.21 can" >&2
    exit 1
fi
ini=/tmp/pgbouncer.ini
if [ "$minor" -lt 24 ]; then
    cat "$FILES/pgbouncer-21.ini"
else
    cat "$FILES/pgbouncer-24.ini"
fi > $ini
case $said in *'
tls: '*) [ ! -e "$FILES/tls.ini" ] || cat "$FILES/tls.ini" >> $ini ;; esac
# shellcheck disable=SC3045 # not every sh can; then it stays as it is
{ ulimit -n 65536 || ulimit -n "$(ulimit -H -n)"; } 2>/dev/null || true
clients=$(sed -n 's/^max_client_conn = //p' $ini)
may=$(ulimit -n)
if [ "$may" != unlimited ] && [ "$may" -lt $((clients + 250)) ]; then
    echo "devdb: $clients clients are too many for the $may files that PgBouncer may open there" >&2
    exit 1
fi

# PgBouncer 1.23 waits for its clients at the first SIGTERM, and ends at the second; an older one ends
# at the first.
end() {
    { kill -TERM "$server" && sleep 0.2 && kill -TERM "$server"; } 2> /dev/null || true
}
. "$FILES/serve.sh"
serve pgbouncer $ini
