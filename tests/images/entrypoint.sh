#!/bin/bash
# Entry point of the test images. It keeps the documented contract of the official Postgres image, so
# that a test which passes here says something about that image too:
#
#   PGDATA, POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, POSTGRES_INITDB_ARGS (each but PGDATA also
#   as NAME_FILE), POSTGRES_INITDB_WALDIR, POSTGRES_HOST_AUTH_METHOD, /docker-entrypoint-initdb.d
#
# An empty PGDATA is initialised with a temporary server that answers on the Unix socket only; then
# the arguments are exec'ed, so that Postgres is PID 1 and receives the stop signal itself.
set -Eeuo pipefail

main() {
    case "${1-}" in
        '' | -*) set -- postgres "$@" ;;
    esac
    if [ "$1" != postgres ] || asks_for_information "$@"; then
        exec "$@"
    fi
    # Before root is given up: a secret may be readable by root only. On every start, as the official
    # one does: a container whose password file has gone does not come up again.
    setting POSTGRES_PASSWORD ''
    setting POSTGRES_USER postgres
    setting POSTGRES_DB "$POSTGRES_USER"
    setting POSTGRES_INITDB_ARGS ''
    if [ "$(id -u)" = 0 ]; then
        own_directories
        export HOME=~postgres
        exec setpriv --reuid=postgres --regid=postgres --init-groups -- "${BASH_SOURCE[0]}" "$@"
    fi
    if [ -s "$PGDATA/PG_VERSION" ]; then
        say "$PGDATA holds a database; initialisation skipped"
    else
        initialise "$@"
    fi
    exec "$@"
}

asks_for_information() {
    local argument
    for argument; do
        case "$argument" in
            --help | '-?' | --version | -V | --describe-config | -C) return 0 ;;
        esac
    done
    return 1
}

# setting NAME DEFAULT: the value of NAME, else the content of the file NAME_FILE, else DEFAULT.
setting() {
    local file="${1}_FILE" value="${!1:-$2}"
    if [ -n "${!file-}" ]; then
        [ -z "${!1-}" ] || fail "both $1 and $file are set; one of them is enough"
        value=$(<"${!file}")
    fi
    export "$1=$value"
    unset "$file"
}

own_directories() {
    mkdir -p "$PGDATA"
    chmod 700 "$PGDATA"
    # Only what is not postgres' already: a large database is not walked through with chown.
    find "$PGDATA" \! -user postgres -exec chown postgres '{}' +
    if [ -n "${POSTGRES_INITDB_WALDIR-}" ]; then
        mkdir -p "$POSTGRES_INITDB_WALDIR"
        chmod 700 "$POSTGRES_INITDB_WALDIR"
        find "$POSTGRES_INITDB_WALDIR" \! -user postgres -exec chown postgres '{}' +
    fi
}

initialise() {
    : "${POSTGRES_HOST_AUTH_METHOD:=scram-sha-256}"
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
        fail 'the superuser has no password: set POSTGRES_PASSWORD (or POSTGRES_PASSWORD_FILE), or' \
            'POSTGRES_HOST_AUTH_METHOD=trust to let everybody in without one'
    fi
    # `local` may be told to ask for a password as well, by POSTGRES_INITDB_ARGS or an own hba_file.
    export PGPASSWORD="$POSTGRES_PASSWORD"

    make_cluster
    start_temporary_server "$@"
    if [ "$POSTGRES_DB" != postgres ]; then
        # :"name" is quoted by psql, which substitutes it in what it reads but not in --command.
        echo 'CREATE DATABASE :"name";' | query --dbname postgres --set name="$POSTGRES_DB"
    fi
    run_init_files
    pg_ctl --pgdata "$PGDATA" --mode fast --wait stop >&2
    unset PGPASSWORD
    say 'initialised; starting the server'
}

make_cluster() {
    local arguments=()
    [ -z "${POSTGRES_INITDB_WALDIR-}" ] || arguments+=(--waldir "$POSTGRES_INITDB_WALDIR")
    # eval, because the variable may quote an argument that contains spaces.
    eval 'initdb --pgdata "$PGDATA" --username "$POSTGRES_USER" \
        --pwfile <(printf "%s\n" "$POSTGRES_PASSWORD") "${arguments[@]}" '"$POSTGRES_INITDB_ARGS" >&2
    printf '\nhost all all all %s\n' "$POSTGRES_HOST_AUTH_METHOD" >> "$PGDATA/pg_hba.conf"
}

# With the arguments of the server to come: what they name (an hba_file, a library to preload) has to
# hold for the files in initdb.d as well.
start_temporary_server() {
    shift
    set -- "$@" -c listen_addresses= -p "${PGPORT:-5432}"
    PGUSER="$POSTGRES_USER" pg_ctl --pgdata "$PGDATA" --options "$(printf '%q ' "$@")" --wait start >&2
}

query() {
    PGHOST='' PGHOSTADDR='' psql --quiet --no-psqlrc --no-password --set ON_ERROR_STOP=1 \
        --username "$POSTGRES_USER" "$@" >&2
}

run_init_files() {
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case "$file" in
            *.sh)
                say "running $file"
                # One that is not executable is read into this shell, and may use its functions.
                # shellcheck source=/dev/null
                if [ -x "$file" ]; then "$file" >&2; else . "$file" >&2; fi
                ;;
            *.sql) say "running $file"; query --dbname "$POSTGRES_DB" --file "$file" ;;
            *.sql.gz) say "running $file"; gunzip --stdout "$file" | query --dbname "$POSTGRES_DB" ;;
            *.sql.xz) say "running $file"; xzcat "$file" | query --dbname "$POSTGRES_DB" ;;
            *.sql.zst) say "running $file"; zstdcat "$file" | query --dbname "$POSTGRES_DB" ;;
            '/docker-entrypoint-initdb.d/*') ;;
            *) say "ignoring $file" ;;
        esac
    done
}

say() { echo "entrypoint: $*" >&2; }
fail() { say "error: $*"; exit 1; }

main "$@"
