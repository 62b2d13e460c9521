"""What each container of an instance is made from; decided here, without touching the engine."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import PurePosixPath

from devdb import pgbouncer, postgres
from devdb.certificates import Certificates
from devdb.engines import reaping
from devdb.engines.docker import labels
from devdb.engines.docker.image import Image
from devdb.engines.docker.labels import Identity
from devdb.engines.docker.limits import UNKNOWN_LIMITS, Limits
from devdb.model import DATABASE, HOST, MAINTENANCE_DATABASE, USER, Spec

DIRECTORY = "/etc/devdb"
PGPASS = f"{DIRECTORY}/pgpass"
CONF, HBA = f"{DIRECTORY}/postgresql.conf", f"{DIRECTORY}/pg_hba.conf"
NOBODY = 65534
"""The user of what needs no user of its own: PgBouncer refuses root, and wants no passwd entry."""
_CERTIFICATE, _KEY, _CA = (f"{DIRECTORY}/{name}" for name in ("server.crt", "server.key", "ca.crt"))
_IMMEDIATE = (1, 23)
"""From this PgBouncer on SIGTERM waits for the clients to leave, and SIGQUIT is the fast one."""
PASSWORD_FILE = "password"  # noqa: S105 - its name
INITDB_ARGUMENTS = "--encoding=UTF8 --auth=scram-sha-256"
TEMPLATE = "/devdb-template"
"""Where a container has the volume that its new data is copied from."""
WHOLE = "devdb-whole"
"""What PG_VERSION is called in a template, which is thereby no data that a server would start."""
_COPY = """\
here=$1; shift
sync_all() { sync -f "$PGDATA" || sync; }
copy() { cp -a --reflink=auto "$@" 2>/dev/null || cp -a "$@"; }
is_to_be_filled() {
    [ ! -e "$PGDATA/PG_VERSION" ] && [ -e "$here/devdb-whole" ] || return 1
    [ -e "$PGDATA/devdb-filling" ] || [ -z "$(ls -A "$PGDATA" 2>/dev/null)" ]
}
if is_to_be_filled; then
    set -e
    mkdir -p "$PGDATA"
    : > "$PGDATA/devdb-filling"
    mkdir -p "$PGDATA/base"
    chmod 700 "$PGDATA" "$PGDATA/base"
    copying=
    for each in "$here"/base/*; do copy "$each" "$PGDATA/base/" & copying="$copying $!"; done
    for each in "$here"/*; do [ "$each" = "$here/base" ] || copy "$each" "$PGDATA/"; done
    for each in $copying; do wait "$each"; done
    sync_all
    mv "$PGDATA/devdb-whole" "$PGDATA/PG_VERSION"
    rm "$PGDATA/devdb-filling"
    sync "$PGDATA" || sync
fi
exec "$@"
"""
"""Copies a template, unless there is data, or anything else that is not half a copy, then goes on.

It takes a system half a millisecond a file, so databases are copied side by side.

There is data from when the file with the version has its name, and all of it is on the disk by
then. Where the template is not whole, the image's own entry point makes the data.
"""
ENTRY_POINT = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID", "KILL")
"""What the official image's needs: it gives the data to the user that it then becomes.

KILL is its init process': a signal from root to that user's server.
"""


@dataclass(frozen=True, slots=True)
class Net:
    """Where the servers are for each other, and for client programs in their containers."""

    postgres: tuple[str, int] = (labels.POSTGRES, 5432)
    pgbouncer: tuple[str, int] = (labels.PGBOUNCER, 6432)
    is_joined: bool = False
    """Whether they share a network with others, and listen where clients look for them."""

    @classmethod
    def joined(cls, port: int, pool_port: int) -> Net:
        """In the network of a container that is there, on its 127.0.0.1."""
        return cls((HOST, port), (HOST, pool_port), is_joined=True)


_OWN_NET = Net()
"""The instance's own network, whose ports the engine publishes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that is put into a container before it starts."""

    name: str
    text: str = field(repr=False)
    mode: int
    owner: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """What new data is made with."""

    password: str = field(repr=False)
    """Its superuser's, replaced by the instance's own at the first login."""
    template: str | None = None
    """The volume that it is copied from; None: the image's entry point makes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """What a server that was built with TLS shows its clients."""

    certificates: Certificates
    owner: int
    """The user the server runs as: Postgres refuses a key that others could read."""

    def files(self) -> tuple[File, ...]:
        """The certificate, its key, and the CA that PgBouncer wants to see."""
        made = self.certificates
        return (
            File(name="server.crt", text=made.certificate, mode=0o444, owner=0),
            File(name="server.key", text=made.key, mode=0o400, owner=self.owner),
            File(name="ca.crt", text=made.ca, mode=0o444, owner=0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """All that a container is made from."""

    part: str
    image: str
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...]
    user: str | None
    environment: dict[str, str]
    files: tuple[File, ...]
    ports: dict[int, int]
    """Port in the container: port on 127.0.0.1."""
    volume: str | None
    """Where the data volume goes."""
    once: tuple[File, ...] = ()
    """Files of which only the making of the data takes notice."""
    template: str | None = None
    """The volume that new data is copied from."""
    tmpfs: tuple[str, ...] = ()
    init: bool = True
    """Whether an init process is PID 1: it is whom orphans go to, and who passes signals on."""
    stop_signal: str
    stop_timeout: int
    """Seconds the engine waits before it kills; long enough that it never does."""
    capabilities: tuple[str, ...] = ()
    """What its root may do; nobody in it gets more than that, whatever program they run."""
    open_files: int | None = None
    """How many files its processes may have open; None: what the engine gives them."""
    labels: dict[str, str] = field(default_factory=dict)
    """What it is labelled with beside what all of its instance is."""

    def labelled(self, spec: Spec, identity: Identity) -> dict[str, str]:
        """All its labels but the digest."""
        return identity.of_spec(spec, self.part) | self.labels

    def digest(self, spec: Spec, identity: Identity) -> str:
        """For the label MADE_FROM; keyed with the password, because the files have secrets.

        What the data was made with is no reason to make the container anew.
        """
        lasting = replace(self, once=(), template=None, labels=self.labelled(spec, identity))
        return spec.derive(json.dumps(asdict(lasting), sort_keys=True, default=str))[:16]

    def is_in(self, files: Mapping[str, bytes]) -> bool:
        """Whether a container with these files has all that it was made with, whole.

        The engine does not sync them: a power cut leaves a container whose files are empty. What
        only the making of the data reads only has to be there, whatever it was made with.
        """
        is_whole = all(files.get(file.name) == file.text.encode() for file in self.files)
        return is_whole and all(files.get(file.name) for file in self.once)

    def argv(self) -> tuple[list[str] | None, list[str]]:
        """Its entry point, None for the image's own, and the arguments."""
        if self.template is None:
            return list(self.entrypoint) if self.entrypoint else None, list(self.command)
        data = PurePosixPath(self.environment["PGDATA"]).relative_to(self.volume or "/")
        arguments = [f"{TEMPLATE}/{data}", *(self.entrypoint or ()), *self.command]
        return ["sh", "-c", _COPY, "sh"], arguments


def archive(files: Iterable[File]) -> bytes:
    """The files as a tar for `/`."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        directory = tarfile.TarInfo(DIRECTORY.lstrip("/"))
        directory.type, directory.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(directory)
        for file in files:
            data = file.text.encode()
            entry = tarfile.TarInfo(f"{DIRECTORY}/{file.name}".lstrip("/"))
            entry.size, entry.mode = len(data), file.mode
            entry.uid = entry.gid = file.owner
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def for_postgres(
    spec: Spec,
    image: Image,
    *,
    layout: str,
    owner: int,
    pooler_everywhere: bool,
    makes_database: bool,
    seed: Seed | None = None,
    tls: ServerTls | None = None,
    net: Net = _OWN_NET,
) -> Blueprint:
    """The Postgres container; `layout` is where in the volume the data is.

    `owner` is the user the image starts as, who reads the password before Postgres' own does.
    `makes_database`: its entry point makes the instance's database, because the image has init
    files that are run in there; made after the first login it costs a tenth.
    """
    hba = postgres.hba(pooler_everywhere=pooler_everywhere)
    database = DATABASE if makes_database else MAINTENANCE_DATABASE
    own = postgres.tls_settings(_CERTIFICATE, _KEY) if tls is not None else {}
    host, port = net.postgres
    listens = ("-c", f"listen_addresses={host}", "-c", f"port={port}") if net.is_joined else ()
    conf = postgres.conf({**own, **postgres.settings(spec)}, data=str(image.mount / layout))
    return Blueprint(
        part=labels.POSTGRES,
        image=image.reference,
        entrypoint=image.entrypoint or None,
        # Arguments, so that both hold for the entry point's temporary server as well.
        command=("postgres", "-c", f"config_file={CONF}", "-c", f"hba_file={HBA}", *listens),
        user=None,
        environment=environment(image, layout, database),
        files=(
            File(name=PurePosixPath(CONF).name, text=conf, mode=0o444, owner=0),
            File(name=PurePosixPath(HBA).name, text=hba, mode=0o444, owner=0),
            File(name="pgpass", text=reaping.passwords(spec), mode=0o600, owner=owner),
            *(tls.files() if tls else ()),
        ),
        ports={} if net.is_joined else {port: spec.port},
        volume=str(image.mount),
        once=(password_file(seed.password, owner),) if seed else (),
        template=seed.template if seed else None,
        stop_signal="SIGINT",
        stop_timeout=300,
        capabilities=ENTRY_POINT,
        labels={
            labels.PORT: str(spec.port),
            **({} if tls else {labels.NOTE: postgres.NO_TLS}),
        },
    )


def environment(image: Image, layout: str, database: str) -> dict[str, str]:
    """What the image's entry point makes data from, with that database in it, and where."""
    return {
        "POSTGRES_USER": USER,
        "POSTGRES_DB": database,
        "POSTGRES_PASSWORD_FILE": f"{DIRECTORY}/{PASSWORD_FILE}",
        "POSTGRES_INITDB_ARGS": INITDB_ARGUMENTS,
        "TZ": "UTC",  # as in its settings; spares initdb a search through all time zones
        "PGDATA": str(image.mount / layout),
    }


def password_file(password: str, owner: int) -> File:
    """What the entry point, which the user `owner` starts, reads the superuser's password from."""
    return File(name=PASSWORD_FILE, text=password, mode=0o400, owner=owner)


def for_pgbouncer(
    spec: Spec,
    image: Image,
    version: tuple[int, int, int],
    *,
    package: str | None = None,
    limits: Limits = UNKNOWN_LIMITS,
    tls: ServerTls | None = None,
    net: Net = _OWN_NET,
) -> Blueprint:
    """The PgBouncer container, for the version that is in the image and what the engine carries.

    `package` is the version of the Debian package that it is from.
    """
    mode, _ = pgbouncer.pool_mode(spec, version)
    more = (limits.note(spec), None if tls else pgbouncer.NO_TLS)
    notes = [*pgbouncer.notes(spec, version, package), *(text for text in more if text)]
    settings = pgbouncer.tls_settings(_CERTIFICATE, _KEY, _CA) if tls else {}
    port = net.pgbouncer[1]
    ini = pgbouncer.ini(
        spec,
        version,
        postgres_host=net.postgres[0],
        postgres_port=net.postgres[1],
        listen_addr=HOST if net.is_joined else "0.0.0.0",  # noqa: S104 - published on 127.0.0.1
        listen_port=port,
        auth_file=f"{DIRECTORY}/userlist.txt",
        clients=limits.clients(spec),
        # A name asked for before Postgres has joined the network would stay unknown for 15 s.
        extra={"dns_nxdomain_ttl": "1", "dns_max_ttl": "1", **settings},
    )
    return Blueprint(
        part=labels.PGBOUNCER,
        image=image.reference,
        entrypoint=("pgbouncer",),
        command=(f"{DIRECTORY}/pgbouncer.ini",),
        user=f"{NOBODY}:{NOBODY}",
        environment={"PATH": image.path},
        files=(
            File(name="pgbouncer.ini", text=ini, mode=0o400, owner=NOBODY),
            File(name="userlist.txt", text=pgbouncer.userlist(spec), mode=0o400, owner=NOBODY),
            *(tls.files() if tls else ()),
        ),
        ports={} if net.is_joined else {port: spec.pool_port},
        volume=None,
        tmpfs=image.volumes,
        init=False,  # it has no children, and handles its signals itself
        stop_signal="SIGQUIT" if version[:2] >= _IMMEDIATE else "SIGTERM",
        stop_timeout=20,
        open_files=limits.to_ask_for,
        labels={
            labels.PORT: str(spec.pool_port),
            labels.POOL_MODE: mode.value,
            labels.CLIENTS: str(limits.by_url(spec)),
            **({labels.NOTE: "\n".join(notes)} if notes else {}),
        },
    )


def for_reaper(spec: Spec, image: Image, net: Net = _OWN_NET) -> Blueprint:
    """The reaper's container: the Spec's script, in the Postgres image for its psql."""
    return Blueprint(
        part=labels.REAPER,
        image=image.reference,
        entrypoint=("sh", f"{DIRECTORY}/reaper.sh"),
        command=(),
        user=f"{NOBODY}:{NOBODY}",
        environment=reaping.environment(net.postgres, net.pgbouncer, PGPASS),
        files=(
            File(name="reaper.sh", text=spec.reaper or "", mode=0o444, owner=0),
            File(name="pgpass", text=reaping.passwords(spec), mode=0o600, owner=NOBODY),
        ),
        ports={},
        volume=None,
        tmpfs=image.volumes,  # the image's own would become an anonymous volume
        stop_signal="SIGTERM",
        stop_timeout=5,
    )


def layout(image: Image) -> str:
    """Where in a new volume the image puts the data: `.`, or `18/docker`."""
    return str(PurePosixPath(image.data_directory).relative_to(image.mount))
