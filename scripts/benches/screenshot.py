"""Photograph the dashboard: the real one, over an engine without servers, the same each time."""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from textual.pilot import Pilot

from devdb import engines
from devdb.config import Settings
from devdb.databases import Kind, Stage, TemporaryDatabase
from devdb.engines.fake import FakeEngine
from devdb.model import Server, Spec
from devdb.monitor.history import LENGTH, History
from devdb.monitor.pools import Pool
from devdb.tui import DevdbApp, dashboard
from devdb.tui.ending import Ending, Unfinished
from devdb.tui.panes import databases as databases_pane
from devdb.tui.panes.activity import Activity
from devdb.workspace import ports
from devdb.workspace.databases import Database, Databases, Standing

ROOT = Path(__file__).resolve().parents[2]
SIZE = (100, 36)
SIZES = ((80, 24), (120, 40), (200, 50))
VIEWS = {
    "dashboard": (),
    "activity": ("tab",),
    "session": ("tab", "down", "enter"),
    "urls": ("enter",),
    "new": ("n",),
    "client": ("f",),
    "logs": ("l",),
    "instances": ("i",),
    "help": ("question_mark",),
}
"""What there is to see, by the keys that lead to it."""
PORTS = (15432, 16543)
CLIENTS = "66"
UP = timedelta(hours=2, minutes=14, seconds=30)
TEMPORARY = (
    ("temp_quiet_heron", timedelta(hours=23, minutes=41, seconds=7), 7_700_000, 0),
    ("temp_amber_fjord", timedelta(minutes=38, seconds=12), 31_400_000, 2),
)
STILL = SimpleNamespace(monotonic=lambda: 0.0)
CELL = 12.2
"""Units of the picture from one column to the next."""
SPACE = "\xa0"
_TEXT = re.compile(r'(<text [^>]*x=")([\d.]+)("[^>]*textLength=")([\d.]+)("[^>]*>)([^<]*)</text>')
FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"


class Pictured(FakeEngine):
    """Says what a Docker engine would say of the same instance."""

    name = "docker"

    def find(self, name: str) -> Server | None:
        server = super().find(name)
        if server is None:
            return None
        started = datetime.now(UTC) - UP
        parts = tuple(replace(part, started=started) for part in server.parts)
        return replace(server, parts=parts, location=f"volume devdb-{name}-data")


class Empty(FakeEngine):
    """Has none."""

    def list(self) -> list[Server]:
        return []


def engine(name: str, host: str | None = None) -> FakeEngine:
    del host
    return Pictured(pace=0) if name == Pictured.name else Empty(pace=0)


class LastMinute(History):
    """One that is over: how many looks there were before the picture does not matter."""

    def __init__(self) -> None:
        super().__init__()
        for second in range(LENGTH):
            # A test run has begun.
            load = 0.2 + 0.8 * math.sin(math.pi / 2 * second / LENGTH) ** 4
            calm = 0.5 + 0.4 * math.sin(second / 5)
            super().add([_pool("main", 1240 * load), _pool("shop", 86 * calm)])

    def add(self, pools: object) -> None:
        pass


def _pool(database: str, per_second: float) -> Pool:
    return Pool(
        database=database,
        users=(),
        mode="transaction",
        active=0,
        waiting=0,
        oldest_wait=0,
        used=0,
        open=0,
        size=20,
        per_second=per_second,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/screenshot")
    parser.add_argument("file", nargs="?", type=Path, default=ROOT / "docs" / "dashboard.svg")
    parser.add_argument("--views", type=Path, metavar="DIRECTORY", help="all views at all sizes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        project = Path(home) / "code" / "shop"
        project.mkdir(parents=True)
        os.chdir(project)
        os.environ.update(HOME=home, DEVDB_DATA_DIR=f"{home}/data", DEVDB_FAKE_CLIENTS=CLIENTS)
        if options.views is None:
            pictures = {options.file: asyncio.run(photograph(project, SIZE, ()))}
        else:
            pictures = {
                options.views / f"{view}-{width}x{height}.svg": asyncio.run(
                    photograph(project, (width, height), keys)
                )
                for view, keys in VIEWS.items()
                for width, height in SIZES
            }
    for file, svg in pictures.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self_contained(svg), encoding="utf-8")


async def photograph(project: Path, size: tuple[int, int], keys: tuple[str, ...]) -> str:
    settings = Settings(port=PORTS[0], pool_port=PORTS[1])
    app = DevdbApp(settings, project, project.name, Unfinished())
    with made_up():
        async with app.run_test(size=size) as pilot:
            while not is_filled(app):
                await pilot.pause(0.05)
            await pressed(pilot, keys)
            return app.export_screenshot(title="devdb up")


@contextmanager
def made_up() -> Iterator[None]:
    """An engine, ports and databases that are the same each time."""
    with ExitStack() as stack:
        for patch in (
            mock.patch.object(engines, "get", engine),
            mock.patch.object(ports, "is_taken", return_value=False),
            mock.patch.object(Databases, "every", databases),
            mock.patch.object(dashboard, "History", LastMinute),
            # However long the picture takes, no countdown goes on meanwhile.
            mock.patch.object(dashboard, "time", STILL),
            mock.patch.object(databases_pane, "time", STILL),
        ):
            stack.enter_context(patch)
        yield


async def pressed(pilot: Pilot[Ending], keys: tuple[str, ...]) -> None:
    await pilot.press(*keys)
    drawn, before = "", None
    while drawn != before:
        await pilot.pause(0.2)
        await laid_out(pilot)
        drawn, before = pilot.app.export_screenshot(), drawn


async def laid_out(pilot: Pilot[Ending]) -> None:
    """What is shown has its place: a text that has changed first gets that of the one before it,
    and on a busy machine for longer than any pause."""
    done = asyncio.Event()
    pilot.app.screen.refresh(layout=True)
    pilot.app.screen.call_after_refresh(done.set)
    await done.wait()


def is_filled(app: DevdbApp) -> bool:
    """Whether a look has come, and what it brought is shown."""
    found = list(app.screen.query(Activity))
    listed = list(app.screen.query(databases_pane.Databases))
    return bool(found and found[0].chosen and listed[0].known)


def databases(listing: Databases) -> tuple[Database, ...]:
    """Main, one that somebody made, and two that go."""
    temporary = (_temporary(listing.spec, *each) for each in TEMPORARY)
    return (
        _database(listing.spec, "main", Standing.MAIN, 48_200_000, 6),
        _database(listing.spec, "shop", Standing.OTHER, 96_500_000, 2),
        *(
            _database(listing.spec, each.name, Standing.TEMPORARY, each.size, each.sessions, each)
            for each in temporary
        ),
    )


def _database(
    spec: Spec,
    name: str,
    standing: Standing,
    size: int,
    sessions: int,
    temporary: TemporaryDatabase | None = None,
) -> Database:
    return Database(
        name=name,
        standing=standing,
        size=size,
        sessions=sessions,
        direct=replace(spec.direct, database=name),
        pooled=replace(spec.pooled, database=name),
        temporary=temporary,
    )


def _temporary(
    spec: Spec, name: str, left: timedelta, size: int, sessions: int
) -> TemporaryDatabase:
    now = datetime.now(UTC)
    return TemporaryDatabase(
        name=name,
        role=name,
        kind=Kind.TEMPORARY,
        state=Stage.READY,
        created=now,
        expires=now + left,
        age=timedelta(),
        left=left + timedelta(milliseconds=900),
        size=size,
        sessions=sessions,
        direct=replace(spec.direct, user=name, database=name),
        pooled=replace(spec.pooled, user=name, database=name),
    )


def self_contained(svg: str) -> str:
    """A picture that fetches nothing and names nobody: the fonts are the reader's own."""
    svg = re.sub(r"\s*<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: [^;]*;", f"font-family: {FONTS};", svg)
    return _TEXT.sub(without_outer_spaces, svg)


def without_outer_spaces(text: re.Match[str]) -> str:
    """The text where its first letter is: renderers do not agree on what a leading space takes."""
    start, x, middle, length, end, words = text.groups()
    words = words.replace("&#160;", SPACE)
    before = len(words) - len(words.lstrip(SPACE))
    after = len(words) - len(words.rstrip(SPACE))
    if before == len(words):
        return ""
    width = float(length) - CELL * (before + after)
    inner = words.strip(SPACE)
    return f"{start}{float(x) + CELL * before:g}{middle}{width:g}{end}{inner}</text>"


if __name__ == "__main__":
    main()
