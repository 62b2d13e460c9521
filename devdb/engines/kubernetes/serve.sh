# Sourced by what becomes a server: `serve COMMAND...` runs it till its end, and calls `end`, which is
# to end the process $server, when the container is to end.
#
# A hook of the cluster's (preStop) would be run in the container. One that ends meanwhile, as with a
# setting that its server refuses, can leave a node waiting for the hook till the grace period is over.
serve() {
    "$@" &
    server=$!
    # Whatever signal the image asks for.
    trap 'is_ending=yes; end' TERM INT QUIT
    while is_ending=; wait "$server" && code=0 || code=$?; [ "$is_ending" ]; do
        : # it was a signal that ended the waiting
    done
    exit "$code"
}
