"""Tests that have a database each: by devdb's plugin, and by pytest-postgresql, in turn.

Both make copies of the same thirty tables, with the same programs of the same Postgres, in memory,
with the same settings, for the same tests under the same pytest and psycopg. What a test is told by
pytest itself: how long it was set up and torn down, and when it ran.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from measure import Clock, quietly

from devdb import unprivileged
from devdb.engines.native import binaries
from devdb.workspace import keeper, storage
from devdb.workspace.tenancy import Tenancy

ROUNDS = 5
TESTS = 200
TABLES = 30
WORKERS = 4
OTHER = ("pytest-postgresql==10.0.0", "port-for==1.1.1", "mirakuru==3.1.0")
"""The other plugin, and what it needs that is not here anyway."""
KEPT = ("DEVDB_CACHE_DIR", "DEVDB_PG", "DEVDB_PG_BIN", "DEVDB_PGBOUNCER")
"""What may say which programs are measured."""

ADDED = 10.0
"""Milliseconds."""
TIMES = 3.0
SPREAD = 1.6

SCHEMA = "".join(
    f"CREATE TABLE t{number} (id serial PRIMARY KEY, name text NOT NULL, mail text UNIQUE,"
    f" parent int REFERENCES t{max(0, number - 1)}, at timestamptz NOT NULL DEFAULT now());\n"
    f"CREATE INDEX ON t{number} (name);\n"
    f"INSERT INTO t{number} (name, mail) SELECT 'n' || g, 'm' || g FROM generate_series(1, 5) g;\n"
    for number in range(TABLES)
)
INI = "[pytest]\n"
WATCHER = """
import json, os

reports = []

def pytest_runtest_logreport(report):
    reports.append([report.nodeid, report.when, report.outcome, report.start, report.stop])

def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        with open(os.environ["REPORTS"], "w") as file:
            json.dump(reports, file)
"""
"""What writes down what pytest says of each test."""
OURS = """
import psycopg, pytest

@pytest.mark.parametrize("number", range({tests}))
def test_row(devdb_url, number):
    with psycopg.connect(devdb_url) as connection:
        connection.execute("INSERT INTO t3 (name, mail) VALUES ('x', 'x')")
        assert connection.execute("SELECT count(*) FROM t3").fetchone() == (6,)
"""
OUR_CONFTEST = """
import pathlib, pytest

@pytest.fixture(scope="session")
def devdb_template():
    return pathlib.Path(__file__).with_name("schema.sql")
"""
THEIRS = """
import pytest

@pytest.mark.parametrize("number", range({tests}))
def test_row(postgresql, number):
    with postgresql:
        postgresql.execute("INSERT INTO t3 (name, mail) VALUES ('x', 'x')")
        assert postgresql.execute("SELECT count(*) FROM t3").fetchone() == (6,)
"""
THEIR_CONFTEST = """
import pathlib
from pytest_postgresql import factories

schema = pathlib.Path(__file__).with_name("schema.sql")
postgresql_proc = factories.postgresql_proc(
    executable={executable!r}, port=None, load=[schema], postgres_options={options!r},
    unixsocketdir={sockets!r},
)
postgresql = factories.postgresql("postgresql_proc")
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A run: in seconds, of the process; from the first test's body on; for each test's set-up
    and tear-down; and for the set-up of the first."""

    all: float
    testing: float
    added: list[float]
    begun: float


def why_not() -> str | None:
    """Why nothing can be told; None where it can."""
    return storage.obstacle(in_files=True)


def lines(rounds: int, tests: int) -> Iterator[str]:
    """A row for each figure."""
    measured: dict[str, list[Taken]] = {}
    ways: dict[str, Callable[[], Taken]] = {
        "devdb": lambda: ours(tests),
        "pytest-postgresql": lambda: theirs(tests),
        "on disk": lambda: ours(tests, "--devdb-disk"),
        "one": lambda: ours(tests, "-n", "1"),
        "four": lambda: ours(tests, "-n", str(WORKERS)),
    }
    for number in range(1, rounds + 1):
        for way, take in ways.items():
            print(f"round {number} of {rounds}: {way}", file=sys.stderr)
            measured.setdefault(way, []).append(take())
    for way, limit in (("devdb", ADDED), ("pytest-postgresql", None), ("on disk", None)):
        yield added(way, measured[way], limit)
    begun = [taken.begun for taken in measured["devdb"]]
    yield f"  {'devdb: the first test is set up in':<44} {statistics.median(begun):8.2f} s"
    mine, others = measured["devdb"], measured["pytest-postgresql"]
    yield times("tests a second", tests, testing(mine), testing(others), TIMES)
    yield times("  with start and end", tests, whole(mine), whole(others), TIMES)
    one, four = measured["one"], measured["four"]
    yield times(f"{WORKERS} workers, one", tests, testing(four), testing(one), SPREAD)
    yield times("  with start and end", tests, whole(four), whole(one), None)


def added(way: str, runs: list[Taken], limit: float | None) -> str:
    each = [1000 * seconds for taken in runs for seconds in taken.added]
    late = statistics.quantiles(each, n=20)[-1]
    median = statistics.median(each)
    text = f"  {f'{way}: added to a test':<44} {median:8.1f} ms, one in twenty over {late:.1f}"
    return text if limit is None else f"{text} (limit {limit:g}: {met(median <= limit)})"


def times(title: str, tests: int, fast: list[float], slow: list[float], least: float | None) -> str:
    """Tests a second of both, and the median of each round's ratio."""
    ratio = statistics.median(b / a for a, b in zip(fast, slow, strict=True))
    figures = " and ".join(f"{tests / statistics.median(each):.0f}" for each in (fast, slow))
    text = f"  {title:<44} {figures}: {ratio:.1f} x"
    return text if least is None else f"{text} (at least {least:g}: {met(ratio >= least)})"


def met(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def testing(runs: list[Taken]) -> list[float]:
    return [taken.testing for taken in runs]


def whole(runs: list[Taken]) -> list[float]:
    return [taken.all for taken in runs]


def ours(tests: int, *options: str) -> Taken:
    """By devdb's plugin; its instance, a new one each time, is gone afterwards."""
    with project(OUR_CONFTEST, OURS.format(tests=tests)) as place:
        env = {
            "DEVDB_ENGINE": "native",
            "DEVDB_DATA_DIR": os.environ["DEVDB_DATA_DIR"],
            "_DEVDB_LINGER": "0",
        }
        plugins = ["-p", "devdb.pytest_plugin", *(("-p", "xdist") if "-n" in options else ())]
        taken = take(place, [*plugins, *options], env, [])
        until_gone(place)
        return taken


def theirs(tests: int) -> Taken:
    """By the other's, whose server also root has to start as somebody else."""
    bins = binaries.postgres(None, data=None).directory
    settings = " ".join(f"-c {name}={value}" for name, value in keeper.FAST.items())
    with tempfile.TemporaryDirectory(prefix="devdb-bench-", dir=storage.MEMORY) as memory:
        conftest = THEIR_CONFTEST.format(
            executable=str(bins / "pg_ctl"), options=settings, sockets=memory
        )
        with project(conftest, THEIRS.format(tests=tests)) as place:
            prefix = []
            if os.geteuid() == 0 and (user := unprivileged.find()):
                for path in (Path(memory), place):
                    shutil.chown(path, user.pw_uid, user.pw_gid)
                who = (f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
                prefix = ["setpriv", *who]
            env = {"PYTHONPATH": str(other_plugin()), "HOME": str(place)}
            options = ["-p", "pytest_postgresql.plugin", f"--basetemp={memory}/data"]
            return take(place, options, env, prefix)


@contextmanager
def project(conftest: str, tests: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="devdb-bench-", dir="/var/tmp") as name:
        place = Path(name)
        place.chmod(0o755)
        files = {
            "pytest.ini": INI,
            "schema.sql": SCHEMA,
            "conftest.py": conftest,
            "watcher.py": WATCHER,
            "test_rows.py": tests,
        }
        for file, text in files.items():
            (place / file).write_text(text)
        yield place


def take(place: Path, options: list[str], env: dict[str, str], prefix: list[str]) -> Taken:
    """Run the project's tests, with no plugin but those that are named."""
    others = {name: text for name, text in os.environ.items() if not name.startswith("DEVDB_")}
    kept = {name: text for name, text in os.environ.items() if name in KEPT}
    python_path = os.pathsep.join(filter(None, (str(place), env.pop("PYTHONPATH", ""))))
    env = {
        **others,
        **kept,
        **env,
        "PYTHONPATH": python_path,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "REPORTS": str(place / "reports.json"),
    }
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "watcher"]
    with Clock() as clock:
        done = subprocess.run(
            [*prefix, *argv, *options], cwd=place, env=env, capture_output=True, text=True
        )
    if done.returncode != 0:
        raise SystemExit(f"the tests failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    reports = json.loads((place / "reports.json").read_text())
    each: dict[str, float] = {}
    for test, when, _, start, stop in reports:
        each[test] = each.get(test, 0.0) + (stop - start if when != "call" else 0.0)
    bodies = [start for _, when, _, start, _ in reports if when == "call"]
    ends = [stop for _, when, _, _, stop in reports if when == "teardown"]
    first, *rest = each.values()
    return Taken(clock.seconds, max(ends) - min(bodies), rest, first)


def until_gone(project: Path) -> None:
    """Wait for the end of its instance, which would disturb the next run."""
    digest = hashlib.sha256(os.fsencode(project)).hexdigest()[:8]
    place = Tenancy.of(digest, "").directory.parent
    deadline = time.monotonic() + 300  # a disk takes its time to forget 50,000 files
    while list(place.glob(f"{digest}-*")):
        if time.monotonic() > deadline:
            raise SystemExit(f"the tests' instance does not end: {place}")
        time.sleep(0.02)


@cache
def other_plugin() -> Path:
    """The directory that it is in, beside this pytest; pip's own configuration says wherefrom."""
    place = Path(os.environ["DEVDB_DATA_DIR"]) / "other"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", place)
    quietly(*pip, *OTHER)
    return place
