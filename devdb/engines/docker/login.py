"""Waiting until real logins work, and noticing when they never will."""

from __future__ import annotations

import time
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import replace
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from devdb import postgres
from devdb.engines.docker import labels
from devdb.engines.docker.background import begin
from devdb.engines.docker.blueprint import bootstrap_password
from devdb.errors import StartFailed, TimedOut
from devdb.model import DATABASE, MAINTENANCE_DATABASE, USER, Spec

if TYPE_CHECKING:
    from docker import APIClient

_PAUSE = 0.02
_LOOK_EVERY = 0.4
PATIENCE = 60.0
"""Seconds without a word from the servers after which a start is given up."""
_SERVERS = {labels.POSTGRES: "Postgres", labels.PGBOUNCER: "PgBouncer"}


def log_in(spec: Spec, started: Future[None], given_up: Event, *, new: bool) -> str:
    """Try until both URLs work; the server's version. `new`: the data may not be set up yet.

    `started` is the start of the Postgres container: a connection that is tried while its network
    is being made loses a packet, and a second with it. Returns "" when it is given up.
    """
    import psycopg  # noqa: F401 - takes its 0.2 s while the container starts

    wait([started])
    version = None
    while not given_up.wait(_PAUSE):
        version = version or settle(spec, new=new)
        if version is None:
            continue
        direct, pooled = begin(partial(postgres.probe, spec.direct)), postgres.probe(spec.pooled)
        if direct.result() is None:
            _make_database(spec)
        elif pooled is not None:
            return version
    return ""


def settle(spec: Spec, *, new: bool) -> str | None:
    """Put the instance's password and devdb's own roles into the data; None: nobody gets in yet."""
    if new:
        _set_password(spec)
    return postgres.set_up(spec)


def _set_password(spec: Spec) -> None:
    """Replace the password that the data was made with, if it still has that one."""
    import psycopg
    from psycopg import sql

    made_with = replace(spec.direct, password=bootstrap_password(spec))
    with (
        suppress(psycopg.OperationalError),
        postgres.connect(made_with, database=MAINTENANCE_DATABASE) as connection,
    ):
        connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                sql.Identifier(USER), sql.Literal(postgres.verifier(spec.password))
            )
        )


def _make_database(spec: Spec) -> None:
    """Make the instance's database if it has gone: dropped by hand, or never made."""
    import psycopg
    from psycopg import sql

    with (
        suppress(psycopg.Error),
        postgres.connect(spec.direct, database=MAINTENANCE_DATABASE) as connection,
    ):
        found = connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,))
        if found.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def watch(client: APIClient, spec: Spec, given_up: Event) -> None:
    """Look at the servers until it is given up.

    Raises StartFailed when one ends, TimedOut when they neither answer nor say anything new.
    """
    restarts: dict[str, int] = {}
    words: list[str] = []
    deadline = time.monotonic() + PATIENCE
    while not given_up.wait(_LOOK_EVERY):
        for part in _SERVERS:
            _check(client, spec, part, restarts)
        latest = [said(client, spec.name, part) for part in _SERVERS]
        if latest != words:
            words, deadline = latest, time.monotonic() + PATIENCE
        if time.monotonic() > deadline:
            raise TimedOut(
                f"No login within {PATIENCE:g} s; "
                + _quote(dict(zip(_SERVERS, words, strict=True))),
                f"`devdb logs -n {spec.name}` shows more; then try again.",
            )


def _check(client: APIClient, spec: Spec, part: str, restarts: dict[str, int]) -> None:
    from docker.errors import NotFound

    try:
        container = client.inspect_container(labels.object_name(spec.name, part))
    except NotFound:
        raise StartFailed(
            f"The {part} container was removed while it started.", "Try again: `devdb up`."
        ) from None
    state = container["State"]
    restarts.setdefault(part, container["RestartCount"])
    if state["Running"] and container["RestartCount"] == restarts[part]:
        return
    words = said(client, spec.name, part)
    raise StartFailed(
        f"{_SERVERS[part]} ended with exit code {state['ExitCode']}; " + _quote({part: words}),
        "Mend what it complains about (a setting? the image?), then `devdb up` again.",
    )


def said(client: APIClient, name: str, part: str) -> str:
    """What a server said last, on one line: its complaints if it has any."""
    text = client.logs(labels.object_name(name, part), tail=25).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    complaints = [line for line in lines if any(w in line for w in ("FATAL", "PANIC", "rror"))]
    return " / ".join((complaints or lines)[-3:])


def _quote(words: dict[str, str]) -> str:
    return "; ".join(f"the last words of {part}: {text or 'none'}" for part, text in words.items())
