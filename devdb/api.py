"""The Python API: `devdb.up()`, `devdb.instance()`, `devdb.temp()`.

Each blocks until it is done: with asyncio, `await asyncio.to_thread(devdb.up)`. All may be called
from several threads, and processes, at once.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from devdb import config, databases, marker, urls
from devdb.errors import NotFound, UsageError
from devdb.model import Progress, Spec
from devdb.workspace import names
from devdb.workspace import up as starting
from devdb.workspace.temp import make, opened
from devdb.workspace.up import Outcome, Ready

_LOG = logging.getLogger("devdb")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """An instance and how to reach it, as it was when it was asked for."""

    name: str
    engine: str
    """What runs it, e.g. `docker`."""
    project: Path | None
    """The directory that it belongs to."""
    port: int
    """Of Postgres, on 127.0.0.1."""
    pool_port: int
    """Of PgBouncer."""
    url: str = field(repr=False)
    """Straight to Postgres, to the database `main`, as a superuser."""
    pooled_url: str = field(repr=False)
    """Through PgBouncer."""
    http_url: str | None
    """Where its gateway is, once it had one; no password is in it."""

    @property
    def running(self) -> bool:
        """Whether all of it runs, asked each time."""
        from devdb.workspace.instances import State, find

        spec = marker.load(self.name)
        return spec is not None and find(spec).state == State.RUNNING

    def url_for(self, client: str, *, pooled: bool = False) -> str:
        """The URL as that client reads it, one of `devdb url --for`.

        >>> import devdb
        >>> devdb.up().url_for("sqlalchemy", pooled=True).partition("://")[0]
        'postgresql+psycopg'

        Raises DevdbError.
        """
        from devdb.urls.spelling import spelling

        spec = self._spec()
        return spelling(client, spec.pooled if pooled else spec.direct, pooled=pooled).text

    def env(self, preset: str | None = None) -> dict[str, str]:
        """The variables that `devdb env` would write in its project, or those of a preset.

        >>> import devdb
        >>> sorted(devdb.up().env("plain"))
        ['DATABASE_URL', 'DIRECT_URL']

        The databases beside `main` that they lead to are made, as there, where it runs. Raises
        DevdbError.
        """
        from devdb.workspace import environment, gateway

        spec = self._spec()
        project = spec.project or names.place(Path.cwd()).project
        settings = config.load(project, {"preset": preset}, os.environ)
        gated = partial(gateway.port_of, spec, settings)
        chosen = environment.variables(spec.direct, spec.pooled, settings, project, gated=gated)
        environment.ensure_databases(spec, chosen)
        return chosen.values

    def temp(
        self,
        *,
        ttl: str | timedelta = "24h",
        source: str | None = None,
        seed: str | Path | None = None,
        name: str | None = None,
    ) -> AbstractContextManager[Temp]:
        """A temporary database of this instance; see `devdb.temp`."""
        return temp(ttl=ttl, source=source, seed=seed, name=name, instance=self.name)

    def down(self) -> None:
        """Stop it; its data stays, and `devdb.up()` starts it again. Raises DevdbError."""
        from devdb.workspace.down import down

        down(self._spec())

    def _spec(self) -> Spec:
        return names.resolve_existing(self.name, self.project or Path())


def up(
    name: str | None = None,
    *,
    engine: str | None = None,
    pg: int | None = None,
    http: bool | None = None,
) -> Instance:
    """The instance of the project, or of that name: started, and made where there is none.

    >>> import devdb, psycopg
    >>> instance = devdb.up()
    >>> instance.running
    True
    >>> with psycopg.connect(instance.url) as connection:
    ...     connection.execute("SELECT current_database()").fetchone()
    ('main',)

    The project is the one around the current directory, whose settings hold, as for `devdb up`;
    `engine`, `pg` (the major version) and `http` (its gateway) go before them. It runs on after
    this process. The logger `devdb` tells what was done. Raises DevdbError.
    """
    project = names.place(Path.cwd()).project
    said = {"name": name, "engine": engine, "pg": pg, "http": http}
    settings = config.load(project, said, os.environ)
    ready = _last(starting.up(settings, project, names.resolve(settings.name, project)))
    if ready.outcome != Outcome.ATTACHED:
        _LOG.info("%s '%s'", ready.outcome.value, ready.instance.spec.name)
    for note in (*ready.changes, *ready.notes):
        _LOG.info("'%s': %s", ready.instance.spec.name, note)
    if ready.failed is not None:
        raise ready.failed
    return _as_instance(ready.instance.spec)


def instance(name: str | None = None) -> Instance:
    """The instance of the project, or of that name, whether it runs or not; none is made.

    >>> import devdb
    >>> devdb.instance().name == devdb.up().name
    True
    >>> devdb.instance("nobody-made-this")
    Traceback (most recent call last):
    devdb.errors.NotFound: There is no instance 'nobody-made-this'.

    Raises NotFound where there is none, DevdbError.
    """
    project = names.place(Path.cwd()).project
    settings = config.load(project, {"name": name}, os.environ)
    return _as_instance(names.resolve_existing(settings.name, project))


@dataclass(frozen=True, slots=True, kw_only=True)
class Temp:
    """A temporary database and how to reach it."""

    name: str
    """Of the database, and of the role that owns it."""
    url: str = field(repr=False)
    """Straight to Postgres."""
    pooled_url: str = field(repr=False)
    """Through PgBouncer."""
    expires: datetime
    """By the server's clock; from then on it lets nobody in."""
    instance: str
    skipped: Mapping[str, int] = field(default_factory=dict)
    """What of the seed was left out, and how many: `{"owners": 43}`."""


@contextmanager
def temp(
    *,
    ttl: str | timedelta = "24h",
    source: str | None = None,
    seed: str | Path | None = None,
    name: str | None = None,
    instance: str | None = None,
) -> Iterator[Temp]:
    """A temporary database of the project's instance, dropped at the end of the `with` block.

    >>> import devdb, psycopg
    >>> with devdb.temp(ttl="1h") as db, psycopg.connect(db.url) as connection:
    ...     connection.execute("SELECT current_database()").fetchone() == (db.name,)
    True

    The project is the one around the current directory, as for the command line; `instance`
    names another one. The instance is started when it does not run, and made where there is none,
    of which the logger `devdb` warns: it stays. `ttl` is what a process that dies in the block
    leaves it, e.g. `"90s"` or a timedelta, 1 s to 30 d. `source` is a database of the instance to
    copy, `seed` what to fill it from: a file with SQL or a dump of pg_dump's in any format, packed
    or not, or a directory (docs/seeds.md); `"-"` is what is piped in. `name` is the database's own
    name. One that was claimed in the block is kept.

    Raises DevdbError.
    """
    lifetime = databases.parse_ttl(ttl) if isinstance(ttl, str) else databases.check_ttl(ttl)
    with opened(seed) as content:
        project = names.place(Path.cwd()).project
        settings = config.load(project, {"name": instance}, os.environ)
        spec, made = make(
            settings,
            project,
            partial(_bring_up, settings, project),
            ttl=lifetime,
            source=source,
            seed=content,
            name=name,
        )
    assert made.expires is not None
    try:
        yield Temp(
            name=made.name,
            url=urls.url(made.direct),
            pooled_url=urls.url(made.pooled),
            expires=made.expires,
            instance=spec.name,
            skipped=made.loaded.counts() if made.loaded else {},
        )
    finally:
        # NotFound: it expired, or was dropped in the block. UsageError: it was claimed there.
        with suppress(NotFound, UsageError):
            databases.drop(spec, [made.name])


def _bring_up(settings: config.Settings, project: Path, spec: Spec | None) -> Spec:
    if spec is None:
        ready = _last(starting.up(settings, project, names.resolve(settings.name, project)))
    else:
        ready = _last(starting.up(*starting.as_it_is(spec, project)))
    if ready.outcome == Outcome.CREATED:
        _LOG.warning(names.made_instance(ready.instance.spec))
    return ready.instance.spec


def _last(run: Iterator[Progress | Ready]) -> Ready:
    *_, ready = run
    assert isinstance(ready, Ready), "the last item of up is a Ready"
    return ready


def _as_instance(spec: Spec) -> Instance:
    return Instance(
        name=spec.name,
        engine=spec.engine,
        project=spec.project,
        port=spec.port,
        pool_port=spec.pool_port,
        url=urls.url(spec.direct),
        pooled_url=urls.url(spec.pooled),
        http_url=urls.http(spec),
    )
