"""The values that flow through devdb; frozen, and knowing nothing of the world.

config -> Spec -> Engine.start() -> Progress... -> Server -> Endpoint -> URL -> text
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

USER = "devdb"
DATABASE = "main"
MAINTENANCE_DATABASE = "postgres"
HOST = "127.0.0.1"
LOCAL = (HOST, "localhost", "::1")
"""What this machine is called in a URL."""

SHARED_ENGINES = ("kubernetes",)
"""What a team has in common: taken, asked and looked into only where somebody names it. What has no
marker there is a team-mate's, and no lost one."""
ENGINES = ("docker", "native", *SHARED_ENGINES)
"""What runs instances, each a package or module of `devdb.engines`."""
UNOFFERED_ENGINES = ("fake",)
"""For tests and pictures: taken where it is named, and never offered."""

LOOKUP_SCHEMA = "pg_devdb"
"""Where PgBouncer's question is answered. `pg_`: pg_dump takes it for Postgres' own and leaves it
out, wherever an old PgBouncer needs it."""
POOLER_ROLE = "devdb_pooler"
"""PgBouncer's own role: looks up other roles' verifiers, and may use the admin console."""
TEMPORARY_GROUP = "devdb_temporary"
CLAIMED_GROUP = "devdb_claimed"
"""Members of the two groups reach the database that bears their name, and no other."""


SERVERS = {"postgres": "Postgres", "pgbouncer": "PgBouncer"}
"""The parts of an instance that serve, and what people call them."""


def title(part: str) -> str:
    """What people call that part of an instance."""
    return SERVERS.get(part, part.capitalize())


class PoolMode(StrEnum):
    """When PgBouncer gives a server connection back: after each transaction, or at disconnect."""

    TRANSACTION = "transaction"
    SESSION = "session"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where and as whom a client connects; its spelling as a URL is `devdb.urls`' business."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    tracked: bool = True
    """Whether a prepared statement is there in the client's next transaction too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What an instance is: all that an engine needs to make it or to start it again.

    Saved as the instance's marker. Never run state: that is asked of the world.
    """

    name: str
    project: Path | None
    engine: str
    """One of `ENGINES`, or of those that are not offered."""
    port: int
    pool_port: int
    password: str = field(repr=False)
    created: datetime
    pool_mode: PoolMode = PoolMode.TRANSACTION
    """The mode asked for; a PgBouncer that cannot track prepared statements runs `session`."""
    major: int | None = None
    """Postgres major: the data's once there is data, else the one asked for, else the newest."""
    has_data: bool = False
    """Whether it was ready once: data that is gone then is not made anew unasked."""
    rekeyed: bool = False
    """Whether its password is another one than that its data was made with."""
    postgres_image: str | None = None
    pooler_image: str | None = None
    host: str | None = None
    """Where its engine is, e.g. `unix:///var/run/docker.sock`; None: it needs no telling."""
    settings: tuple[tuple[str, str], ...] = ()
    """Postgres settings (`postgresql.conf` names) on top of devdb's own."""
    pooler_settings: tuple[tuple[str, str], ...] = ()
    """PgBouncer settings (`pgbouncer.ini` names) on top of devdb's own."""
    http_port: int | None = None
    """Where its gateway listens, if it was ever asked for one; kept like the other two."""
    has_tls: bool = True
    """Whether its servers offer TLS, where they were built with it."""
    scram_rounds: int = 4096
    """Of hashing that a login of its own roles takes: as many as Postgres has by default."""
    in_memory: bool = False
    """Whether an engine that keeps data in volumes keeps it in memory; it ends with the server."""
    reaper: str | None = None
    """A POSIX sh script that drops what has expired, run by the engine; no secret in it."""

    def derive(self, purpose: str) -> str:
        """A password made of the instance's own by HMAC-SHA-256: URL-safe, 43 characters."""
        import hmac  # 5 ms that `devdb url` does not need

        digest = hmac.digest(self.password.encode(), purpose.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    @property
    def ports(self) -> tuple[int, ...]:
        """All that are its own, running or not: direct, pooled and, where it has one, HTTP."""
        return (self.port, self.pool_port, *((self.http_port,) if self.http_port else ()))

    @property
    def pooler_password(self) -> str:
        """The password of `POOLER_ROLE`."""
        return self.derive("pooler")

    @property
    def direct(self) -> Endpoint:
        """Straight to Postgres."""
        return Endpoint(
            host=HOST, port=self.port, user=USER, password=self.password, database=DATABASE
        )

    @property
    def pooled(self) -> Endpoint:
        """Through PgBouncer."""
        tracked = dict(self.pooler_settings).get("max_prepared_statements") != "0"
        return Endpoint(
            host=HOST,
            port=self.pool_port,
            user=USER,
            password=self.password,
            database=DATABASE,
            tracked=tracked or self.pool_mode == PoolMode.SESSION,
        )


class Step(StrEnum):
    """The steps of a start, in their order; an engine may leave some out."""

    WAIT = "wait"
    """Another devdb is at work on this instance."""
    CHOOSE = "engine"
    """Ports and name are settled too; the detail says why this engine."""
    PULL = "pull"
    INSTALL = "install"
    """Programs that the machine lacks are got, by somebody's consent."""
    PREPARE = "prepare"
    """Data directory or volume, configuration, network."""
    POSTGRES = "postgres"
    PGBOUNCER = "pgbouncer"
    LOGIN = "login"
    """Waiting for a real login and `SELECT 1` through both URLs."""
    HTTP = "http"
    """The gateway; the servers are ready by then."""
    READY = "ready"


class PartState(StrEnum):
    """What one server of an instance is doing."""

    RUNNING = "running"
    STARTING = "starting"
    STOPPED = "stopped"
    """Not running, and nothing wrong with that."""
    DEAD = "dead"
    """Not running although the rest of the instance is, or ended by itself with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of an instance as it is found now: `postgres`, `pgbouncer`, `reaper` and, where
    the engine has one, the `supervisor` of the others."""

    name: str
    state: PartState
    version: str | None = None
    """As the server or its binary tells it, e.g. `17.6`; None where it cannot be asked."""
    started: datetime | None = None
    detail: str = ""
    """What is worth knowing about the state: `pid 123`, `exit code 137`, ..."""

    @property
    def title(self) -> str:
        """What people call it."""
        return title(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An instance as an engine finds it in the world at this moment."""

    name: str
    engine: str
    parts: tuple[Part, ...]
    pool_mode: PoolMode = PoolMode.TRANSACTION
    """The mode PgBouncer really runs."""
    notes: tuple[str, ...] = ()
    """What the user should know, e.g. why the pool mode is session."""
    location: str = ""
    """Where the data is: a directory, or `volume NAME`."""
    max_clients: int | None = None
    """How many clients the pooled URL takes at once; None where nothing was made yet."""

    @property
    def serving(self) -> bool:
        """Whether Postgres and PgBouncer both run (not yet: whether they answer)."""
        return all(self.part(name).state == PartState.RUNNING for name in SERVERS)

    @property
    def running(self) -> bool:
        """Whether all of it runs: what serves, and what looks after it, if only just started."""
        up = (PartState.RUNNING, PartState.STARTING)
        return self.serving and all(part.state in up for part in self.parts)

    @property
    def stopped(self) -> bool:
        """Whether nothing of it runs."""
        return all(part.state in (PartState.STOPPED, PartState.DEAD) for part in self.parts)

    def part(self, name: str) -> Part:
        """The part of that name; one that is not there is a stopped one."""
        for part in self.parts:
            if part.name == name:
                return part
        return Part(name=name, state=PartState.STOPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One thing that happened while an instance starts.

    The same step comes again and again while it lasts (at least every 0.3 s: a heartbeat);
    a reader that only wants the steps looks at where `step` changes.
    """

    step: Step
    detail: str = ""
    layer: str | None = None
    """With PULL: the image layer that is got; None between two of them."""
    done: int = 0
    """Bytes of the layer that were pulled, of `total`."""
    total: int = 0
    server: Server | None = None
    """With READY: the instance as it was found ready."""
    notes: tuple[str, ...] = ()
    """With READY: what had to be made anew; with the last INSTALL: what came of each."""


class Level(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of `devdb doctor`: what was found, and the command that mends it."""

    level: Level
    subject: str
    message: str
    fix: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line that a server of the instance wrote."""

    part: str
    text: str
    moment: datetime | None = None
    """When the engine got it, where it keeps that; what the line itself says is another matter."""
