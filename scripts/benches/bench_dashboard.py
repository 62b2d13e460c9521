"""The dashboard: how soon it is there, and what it takes while it looks once a second.

It runs on a terminal of 200x50, as `devdb up` opens it on an instance that runs already. What it
asks is counted by the servers, in as long without it, too.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import crowd
import psutil
from measure import DEVDB, Row, running, seconds

from devdb import engines, pgbouncer, sessions
from devdb.model import MAINTENANCE_DATABASE, Spec

SCRIPTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from system import terminal  # noqa: E402 - it is beside the benches, not among them

TEXTUAL = 'python -c "import textual"'
ROWS, COLUMNS = 50, 200
PATIENCE = 60
SETTLES = 4.0
"""Seconds after the first frame in which it is not looked at: it imports and lays out."""
READY = "● ready"
FIRST, READY_LIMIT = 3.5, 5.0
"""How many times `import textual` may pass before there is something to see, and all of it: as
much as before it looked at pools and sessions (3.2 and 4.9), and what the next run differs by."""
IDLE, BUSY = 2.0, 6.0
"""Percent of one core, with nobody connected and with the crowd."""
STATEMENTS, SHOWS = 2.0, 4.0
"""A second."""
MEMORY = 95.0
"""MB of RSS."""
CLIENTS, DIRECT, WORKING = 500, 180, 20
"""Who is in the pool, who is in by the direct URL, and how many of each are at work: with the
pool's own that is 200 sessions in Postgres."""
SETTINGS = (("max_connections", "300"),)
REFRESHES, FIRST_REFRESHES = 10_000, 1_000
GROWTH = 2.0
"""MB that RSS may grow from the one to the other."""


class Dashboard:
    """One that runs on a terminal which is read all the time."""

    def __init__(self, *argv: str, **environment: str) -> None:
        self._ours, self._process = terminal.begin(
            argv,
            rows=ROWS,
            columns=COLUMNS,
            cwd=Path("/"),
            env={**os.environ, "TERM": "xterm-256color", **environment},
        )
        self._text = ""
        self._reading = threading.Thread(target=self._read)
        self._seen = threading.Condition()
        self._reading.start()

    def _read(self) -> None:
        while piece := terminal.read(self._ours, PATIENCE):
            with self._seen:
                text = self._text + piece.decode("utf-8", "replace")
                self._text = text[-200_000:]
                self._seen.notify_all()

    def wait_for(self, words: str) -> None:
        """Until they have been shown."""
        with self._seen:
            shown = self._seen.wait_for(lambda: words in terminal.plain(self._text), PATIENCE)
        if not shown:
            raise SystemExit(f"{words!r} never came:\n{terminal.plain(self._text)[-2000:]}")

    def cpu(self) -> float:
        """Seconds of CPU that it took."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def memory(self) -> float:
        """RSS in MB."""
        return float(psutil.Process(self._process.pid).memory_info().rss) / 1e6

    def leave(self) -> None:
        """Leave the instance running; or wait, if it goes by itself."""
        with suppress(OSError):
            os.write(self._ours, b"d")
        self._process.wait(timeout=PATIENCE)
        self._reading.join()
        os.close(self._ours)

    def ended(self) -> int:
        """Wait for it to go by itself; its exit code."""
        code = self._process.wait()
        self._reading.join()
        os.close(self._ours)
        return code


def rows(stack: ExitStack) -> list[Row]:
    """What is seen first; while it is measured a native instance runs."""
    spec = stack.enter_context(running(engines.get("native"), settings=SETTINGS))
    return [
        Row(TEXTUAL, partial(seconds, sys.executable, "-c", "import textual")),
        Row(
            "devdb up: the first frame",
            partial(shows_after, spec, f"devdb {spec.name}"),
            against=TEXTUAL,
            limit=FIRST,
        ),
        Row(
            "devdb up: the dashboard, ready",
            partial(shows_after, spec, READY),
            against=TEXTUAL,
            limit=READY_LIMIT,
        ),
    ]


def shows_after(spec: Spec, words: str) -> float:
    """Seconds from the command to those words on the screen."""
    begun = time.perf_counter()
    dashboard = Dashboard(DEVDB, "up", "--name", spec.name)
    try:
        dashboard.wait_for(words)
        took = time.perf_counter() - begun
        dashboard.wait_for(READY)
    finally:
        dashboard.leave()
    return took


def lines(watched: float, refreshes: int) -> Iterator[str]:
    """What it takes and asks in so many seconds, with and without clients, and whether it grows."""
    with running(engines.get("native"), settings=SETTINGS) as spec:
        yield from taken("nobody connected", spec, watched, IDLE)
        with Crowd(spec):
            yield from taken(f"{CLIENTS} clients, {DIRECT + 20} sessions", spec, watched, BUSY)
            yield grown(spec, refreshes)


def taken(title: str, spec: Spec, watched: float, limit: float) -> Iterator[str]:
    without = statements(spec, watched)
    dashboard = Dashboard(DEVDB, "up", "--name", spec.name)
    try:
        dashboard.wait_for(READY)
        time.sleep(min(SETTLES, 2 * watched))
        begun, cpu = time.monotonic(), dashboard.cpu()
        stated = statements(spec, watched) - without
        percent = 100 * (dashboard.cpu() - cpu) / (time.monotonic() - begun)
        memory = dashboard.memory()
        shown = shows(spec, watched)
    finally:
        dashboard.leave()
    yield line(f"{title}: CPU", percent, "% of a core", limit)
    yield line("  RSS", memory, "MB", MEMORY)
    yield line("  statements to Postgres", stated, "a second", STATEMENTS)
    yield line("  SHOWs to PgBouncer", shown, "a second", SHOWS)


def statements(spec: Spec, watched: float) -> float:
    """How many transactions a second Postgres counts where devdb's own sessions are.

    Each statement of the dashboard's is one, and so is a login.
    """

    def now() -> int:
        with sessions.direct(spec.direct) as session:
            [(count,)] = session.query(
                "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = {}",
                MAINTENANCE_DATABASE,
            )
        return int(count)

    before = now()
    time.sleep(watched)
    return (now() - before) / watched


def shows(spec: Spec, watched: float) -> float:
    """How many commands a second PgBouncer's console takes, by a log that tells each."""

    def logged() -> list[str]:
        log = engines.get(spec.engine).logs(spec.name, tail=10**6, follow=False)
        return [line.text for line in log if line is not None and "got admin query: " in line.text]

    before = len(logged())
    with pgbouncer.console(spec) as console:
        console.query("SET verbose = 1")
        time.sleep(watched)
        console.query("SET verbose = 0")
    deadline = time.monotonic() + PATIENCE
    while len(said := logged()) == before or not said[-1].endswith("SET verbose = 0"):
        if time.monotonic() > deadline:
            raise SystemExit("PgBouncer's log does not tell what it was asked")
        time.sleep(0.1)
    return (len(said) - before - 1) / watched


def grown(spec: Spec, refreshes: int) -> str:
    """How RSS changes from one tenth of so many refreshes to the last, as fast as they go."""
    first = max(1, refreshes * FIRST_REFRESHES // REFRESHES)
    program = Path(__file__).with_name("refreshing.py")
    place = Path(os.environ["DEVDB_DATA_DIR"]) / "refreshed"
    argv = (str(program), spec.name, str(first), str(refreshes), str(place))
    dashboard = Dashboard(sys.executable, *argv)
    if code := dashboard.ended():
        raise SystemExit(f"{program.name} ended with {code}")
    before, after = map(float, place.read_text(encoding="utf-8").split())
    title = f"{refreshes} refreshes, RSS since the {first}th"
    return line(title, after - before, f"MB more than {before:.1f}", GROWTH)


def line(title: str, value: float, unit: str, limit: float) -> str:
    mark = "met" if value <= limit else "MISSED"
    return f"  {title:<44} {value:8.2f} {unit} (limit {limit:g}: {mark})"


class Crowd:
    """Clients by both URLs; some of them always at work, each with another query."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._in, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._gather()))

    def __enter__(self) -> Crowd:
        self._thread.start()
        if not self._in.wait(crowd.DEADLINE):
            raise SystemExit("the crowd did not get in")
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    async def _gather(self) -> None:
        crowd.may_open(CLIENTS + DIRECT)
        pooled, refused = await crowd.gather(self._spec.pooled, CLIENTS)
        direct, too = await crowd.gather(self._spec.direct, DIRECT)
        if refused or too:
            raise SystemExit(f"not all got in: {refused + too}")
        try:
            self._in.set()
            working = (*pooled[:WORKING], *direct[:WORKING])
            await asyncio.gather(*(self._work(each, number) for number, each in enumerate(working)))
        finally:
            for client in (*pooled, *direct):
                client.close()

    async def _work(self, client: crowd.Client, number: int) -> None:
        turn = 0
        while not self._over.is_set():
            await client.query(f"SELECT pg_sleep(0.2) -- {number}, {turn}")
            turn += 1


def title() -> str:
    return f"The dashboard, {COLUMNS}x{ROWS}"
