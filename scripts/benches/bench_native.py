"""The native engine beside the bare programs: `initdb` and `pg_ctl -w start`."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from measure import (
    Clock,
    Row,
    quietly,
    start_again,
    start_new,
    stopped,
    up_again,
    up_new,
)
from specs import free_port

from devdb import engines, paths
from devdb.engines.native import binaries, owner
from devdb.engines.native.layout import Layout

ENGINE = engines.get("native")
MAKE = "initdb + pg_ctl -w start"
START = "pg_ctl -w start, the same data"


def rows(_: ExitStack) -> list[Row]:
    return [
        Row(MAKE, initdb_and_start),
        Row("devdb up -d, new", partial(up_new, ENGINE), against=MAKE, limit=0.6),
        Row("Engine.start(), new", partial(start_new, ENGINE), against=MAKE),
        Row(START, bare_start),
        Row("devdb up -d, again", partial(up_again, ENGINE), against=START, limit=3.0),
        Row("Engine.start(), again", partial(start_again, ENGINE), against=START),
    ]


def title() -> str:
    postgres, pooler = binaries.postgres(None, data=None), binaries.pooler()
    return f"Native engine, Postgres {postgres.version}, PgBouncer {pooler.text}"


def initdb_and_start() -> float:
    with directory() as place:
        data = place / "data"
        with Clock() as clock:
            run("initdb", "-D", data, "--auth=scram-sha-256", f"--pwfile={password(place)}")
            pg_ctl_start(data, place)
        run("pg_ctl", "stop", "-D", data, "-m", "fast")
    return clock.seconds


def bare_start() -> float:
    """On data that devdb made, so that there is as much to open and to check."""
    with stopped(ENGINE) as spec, directory() as place:
        data = Layout.of(spec.name).data
        with Clock() as clock:
            pg_ctl_start(data, place)
        run("pg_ctl", "stop", "-D", data, "-m", "fast")
    return clock.seconds


def pg_ctl_start(data: Path, place: Path) -> None:
    options = f"-p {free_port()} -k {place}"
    run("pg_ctl", "start", "-w", "-D", data, "-l", place / "log", "-o", options)


def run(program: str, *arguments: str | Path) -> None:
    """Run one of Postgres' programs as the user the engine runs it as."""
    path = binaries.postgres(None, data=None).program(program)
    quietly(path, *arguments, cwd="/", **owner.choose().credentials)


def password(place: Path) -> Path:
    file = place / "password"
    file.write_text("password")
    return file


@contextmanager
def directory() -> Iterator[Path]:
    """A directory on the disk the instances are on, for the user the servers run as."""
    place = paths.data_home() / f"bare-{secrets.token_hex(3)}"
    place.mkdir(parents=True)
    owner.choose().give(place)
    try:
        yield place
    finally:
        shutil.rmtree(place)
