"""Temporary databases beside CREATE and DROP DATABASE by hand, and beside `createdb`, `dropdb`.

Time in the server is that of the statements, from sending each to having its answer: without the
logins, which a call cannot do without either, but which say nothing about how it works.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from measure import DEVDB, Clock, Row, new_spec, quietly, remove, seconds, start

from devdb import databases, engines, sessions, wire
from devdb.model import Spec

HOUR = timedelta(hours=1)
CREATE = "CREATE DATABASE by hand"
DROP = "DROP DATABASE by hand"
CREATEDB = "createdb"
OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'main'"
FILES = "CREATE DATABASE ... TEMPLATE, 500 MB"


def rows(engine_name: str, stack: ExitStack) -> list[Row]:
    """What one costs; while it is measured an instance of that engine runs."""
    spec = running(engine_name, stack)
    return [
        Row(CREATE, partial(create_by_hand, spec, "CREATE DATABASE by_hand")),
        Row("create(), in the server", partial(create, spec), against=CREATE, at_most=0.060),
        Row(DROP, partial(drop_by_hand, spec)),
        Row("drop(), in the server", partial(drop, spec), against=DROP, at_most=0.025),
        *programs(engine_name, spec),
    ]


def programs(engine_name: str, spec: Spec) -> list[Row]:
    """Whole processes, where the tools of the same Postgres are at hand."""
    if engine_name != "native":
        return []
    psql = Path(engines.get(engine_name).psql_argv(spec.name)[0])
    return [
        Row(CREATEDB, partial(run_tool, spec, psql.with_name("createdb"), make=True)),
        Row("dropdb", partial(run_tool, spec, psql.with_name("dropdb"), make=False)),
        Row("devdb temp -q", partial(temp, spec), against=CREATEDB, limit=2.5),
    ]


def copies(engine_name: str, stack: ExitStack) -> list[Row]:
    """Copies of a database of 500 MB."""
    spec = running(engine_name, stack)
    with sessions.direct(spec.direct, database="main") as session:
        session.query(
            "CREATE TABLE public.filling AS"
            " SELECT repeat('x', 1000) FROM generate_series(1, 440000)"
        )
        session.query("CHECKPOINT")
        strategies = session.major >= 15
    by_hand = "CREATE DATABASE by_hand TEMPLATE main"
    files = f"{by_hand} STRATEGY file_copy" if strategies else by_hand

    def row(title: str, measure: Callable[[], float], *against: Any) -> Row:
        return Row(title, partial(after, partial(create_by_hand, spec, files), measure), *against)

    wal = row(f"{FILES}, wal_log", partial(create_by_hand, spec, f"{by_hand} STRATEGY wal_log"))
    return [
        row(FILES, partial(create_by_hand, spec, files)),
        *([wal] if strategies else []),
        row("create(source=...), in the server", partial(create, spec, "main"), FILES, 1.3),
    ]


def after(first: Callable[[], object], measure: Callable[[], float]) -> float:
    """Measured after another copy, the same before each: who comes after half a gigabyte of WAL
    waits up to twice as long for the disk, whoever that is."""
    first()
    return measure()


def seeds(engine_name: str, stack: ExitStack) -> list[Row]:
    """A seed that takes seconds, beside `createdb` and `psql -f` of the same machine by hand."""
    spec = running(engine_name, stack)
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
    file = directory / "seed.sql"
    with file.open("w", encoding="ascii") as seed:
        seed.writelines(copied())
    by_hand = f"createdb and psql -f, {file.stat().st_size // 10**6} MB"
    return [
        Row(by_hand, partial(load_by_hand, spec, file)),
        Row("devdb temp --seed", partial(load, spec, file), by_hand, 1.3),
    ]


_TABLE = "CREATE TABLE people (id integer, name text, born timestamptz, about text);\n"
_KEY = "ALTER TABLE ONLY people ADD PRIMARY KEY (id);\n"
_WORDS = "It's about nothing in particular, but there is a lot of it"


def copied() -> Iterator[str]:
    """As pg_dump writes rows."""
    yield f"{_TABLE}COPY people (id, name, born, about) FROM stdin;\n"
    for n in range(1_600_000):
        yield f"{n}\tname {n}\t2026-01-01 00:00:{n % 60:02}+00\t{_WORDS}\n"
    yield f"\\.\n{_KEY}"


def load_by_hand(spec: Spec, file: Path) -> float:
    environment = {**os.environ, "PGPASSWORD": spec.password}
    where = ("-h", spec.direct.host, "-p", str(spec.port), "-U", spec.direct.user, "-w")
    tool = Path("psql")
    if spec.engine == "native":
        tool = Path(engines.get(spec.engine).tool_argv(spec.name, "psql")[0])
    with Clock() as clock:
        quietly(tool.with_name("createdb"), *where, "by_hand", env=environment)
        quietly(tool, *where, "-X", "-q", "-d", "by_hand", "-f", file, env=environment)
    with sessions.direct(spec.direct) as session:
        session.query("DROP DATABASE by_hand")
    return clock.seconds


def load(spec: Spec, file: Path) -> float:
    before = {one.name for one in databases.every(spec)}
    spent = seconds(DEVDB, "temp", "-q", "--name", spec.name, "--seed", file)
    databases.drop(spec, [one.name for one in databases.every(spec) if one.name not in before])
    return spent


def running(engine_name: str, stack: ExitStack) -> Spec:
    engine = engines.get(engine_name)
    spec = new_spec(engine)
    stack.callback(remove, engine, spec.name)
    start(engine, spec)
    databases.every(spec)  # installs the registry, once in an instance's life
    return spec


def create_by_hand(spec: Spec, statement: str) -> float:
    with sessions.direct(spec.direct) as session:
        while session.query(OTHERS):
            pass
        with Clock() as clock:
            session.query(statement)
        session.query("DROP DATABASE by_hand")
    return clock.seconds


def drop_by_hand(spec: Spec) -> float:
    with sessions.direct(spec.direct) as session:
        session.query("CREATE DATABASE by_hand")
        with Clock() as clock:
            session.query("DROP DATABASE by_hand")
    return clock.seconds


def create(spec: Spec, source: str | None = None) -> float:
    with in_the_server() as spent:
        made = databases.create(spec, ttl=HOUR, source=source)
    databases.drop(spec, [made.name])
    return sum(spent)


def drop(spec: Spec) -> float:
    made = databases.create(spec, ttl=HOUR)
    with in_the_server() as spent:
        databases.drop(spec, [made.name])
    return sum(spent)


def run_tool(spec: Spec, tool: Path, *, make: bool) -> float:
    """createdb or dropdb, as a process; what the other one does is done by hand."""
    options = {"env": {"PGPASSWORD": spec.password}}
    where = ("-h", spec.direct.host, "-p", str(spec.port), "-U", spec.direct.user, "-w")
    with sessions.direct(spec.direct) as session:
        if not make:
            session.query("CREATE DATABASE by_hand")
        spent = seconds(tool, *where, "--maintenance-db=postgres", "by_hand", **options)
        if make:
            session.query("DROP DATABASE by_hand")
    return spent


def temp(spec: Spec) -> float:
    """The whole process, Python and all."""
    before = {one.name for one in databases.every(spec)}
    spent = seconds(DEVDB, "temp", "-q", "--name", spec.name)
    databases.drop(spec, [one.name for one in databases.every(spec) if one.name not in before])
    return spent


@contextmanager
def in_the_server() -> Iterator[list[float]]:
    """Collects the seconds of each statement that Postgres is given."""
    spent: list[float] = []
    query = wire.Session.query

    def timed(session: wire.Session, *arguments: Any) -> Any:
        start = time.perf_counter()
        try:
            return query(session, *arguments)
        finally:
            if "bouncer" not in session.said["server_version"]:
                spent.append(time.perf_counter() - start)

    wire.Session.query = timed  # type: ignore[assignment, method-assign]
    try:
        yield spent
    finally:
        wire.Session.query = query  # type: ignore[method-assign]
