"""Photograph the dashboard: the real one, over an engine without servers, the same each time."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

from devdb import engines, pgbouncer, postgres, temporary
from devdb.config import Settings
from devdb.engines.fake import FakeEngine
from devdb.engines.vitals import Health
from devdb.model import Server, Spec
from devdb.temporary import Stage, TemporaryDatabase
from devdb.tui import DevdbApp
from devdb.tui.ending import Unfinished
from devdb.tui.temporaries import Table
from devdb.workspace import instances, ports
from devdb.workspace.instances import Instance
from devdb.workspace.pulse import Pulse

ROOT = Path(__file__).resolve().parents[2]
SIZE = (84, 24)
PORTS = (15432, 16543)
UP = timedelta(hours=2, minutes=14, seconds=30)
TEMPORARY = (
    ("temp_quiet_heron", timedelta(hours=23, minutes=41, seconds=7), 7_700_000, 0),
    ("temp_amber_fjord", timedelta(minutes=38, seconds=12), 31_400_000, 2),
)
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


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "dashboard.svg"
    with tempfile.TemporaryDirectory() as home:
        project = Path(home) / "code" / "shop"
        project.mkdir(parents=True)
        os.environ.update(HOME=home, DEVDB_DATA_DIR=f"{home}/data")
        svg = asyncio.run(photograph(project))
    target.parent.mkdir(exist_ok=True)
    target.write_text(self_contained(svg), encoding="utf-8")


async def photograph(project: Path) -> str:
    settings = Settings(port=PORTS[0], pool_port=PORTS[1])
    app = DevdbApp(settings, project, project.name, Unfinished())
    with (
        mock.patch.object(engines, "get", return_value=Pictured(pace=0)),
        mock.patch.object(ports, "is_taken", return_value=False),
        mock.patch.object(Pulse, "look", look),
        mock.patch.object(temporary, "every", temporaries),
    ):
        async with app.run_test(size=SIZE) as pilot:
            while not app.screen.query(Table) or not app.screen.query_one(Table).row_count:
                await pilot.pause(0.05)
            await pilot.pause()
            return app.export_screenshot(title="devdb up")


def look(pulse: Pulse) -> tuple[Instance, Health]:
    """What a look at a healthy instance brings."""
    instance = instances.find(pulse.spec)
    assert instance.server is not None
    started = instance.server.part("postgres").started
    assert started is not None
    return instance, Health(
        postgres=postgres.PostgresHealth(
            version="18.0", started=started, connections=6, max_connections=100, full=False
        ),
        pgbouncer=pgbouncer.PgBouncerHealth(version="1.25.2", clients=48, servers=5),
    )


def temporaries(spec: Spec) -> list[TemporaryDatabase]:
    now = datetime.now(UTC)
    return [
        TemporaryDatabase(
            name=name,
            role=name,
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
        for name, left, size, sessions in TEMPORARY
    ]


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
