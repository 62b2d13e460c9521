"""The state of the instance: each server in a line, and the last words of one that died."""

from __future__ import annotations

import re

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from devdb.engines.vitals import Health
from devdb.masking import visible
from devdb.model import SERVERS, Part, PartState, Server, title
from devdb.tui import words
from devdb.tui.messages import Looked
from devdb.wording import count, since
from devdb.workspace.instances import State

_IN_THE_BACKGROUND = ("reaper", "supervisor")
"""Nobody's concern while they do their work."""

_PREFIX = re.compile(r"^\d{4}-\d\d-\d\d (\d\d:\d\d:\d\d)\S* \S+ \[\d+\]")
"""What both servers put before a line; of it only the time is worth its place here."""

Verdict = tuple[str, str]
"""How things stand in a few words, and the style of them."""


def verdict(seen: Looked) -> Verdict:
    """The whole instance in one phrase."""
    instance = seen.instance
    if instance.trouble is not None:
        return "✕ the engine does not answer", "$text-error"
    if instance.server is None:
        return "✕ gone", "$text-error"
    dead = [part.name for part in instance.server.parts if part.state == PartState.DEAD]
    down = [name for name in dead if name not in _IN_THE_BACKGROUND]
    if not down and instance.state != State.STOPPED:
        down = dead
    if down:
        titles = " and ".join(map(title, down))
        return f"✕ {titles} {'is' if len(down) == 1 else 'are'} down", "$text-error"
    if instance.state == State.STOPPED:
        return "○ stopped", "$text-warning"
    if instance.state == State.DEGRADED:
        return "◐ not all of it runs", "$text-warning"
    if seen.health is None or not seen.health.ready:
        return "◐ runs, but lets nobody in", "$text-warning"
    return "● ready", "$text-success"


def uptime(seen: Looked) -> str:
    """How long Postgres has been up; empty when it is not."""
    started = seen.instance.server.part("postgres").started if seen.instance.server else None
    if seen.health is not None and seen.health.postgres is not None:
        started = seen.health.postgres.started
    return since(started)


class Servers(Vertical):
    """What the last look found."""

    _shown: Looked | None = None

    def compose(self) -> ComposeResult:
        """The lines, and room for last words."""
        yield Static(id="parts")
        yield Static(id="last-words", markup=False)

    def show(self, seen: Looked) -> None:
        """Show what was seen."""
        if self._shown is not None and _same(seen, self._shown):
            return
        self._shown = seen
        server, trouble = seen.instance.server, seen.instance.trouble
        parts = self.query_one("#parts", Static)
        if trouble is not None:
            parts.update(Content.assemble((trouble.message, "$text-error"), "\n", trouble.hint))
        elif server is None:
            parts.update("There is nothing left of it; r makes it anew.")
        else:
            parts.update(Content("\n").join(_lines(server, seen.health)))
        last_words = self.query_one("#last-words", Static)
        last_words.display = bool(seen.last_words)
        lines = (visible(_PREFIX.sub(r"\1", line.text)) for line in seen.last_words)
        last_words.update("\n".join(lines))


def _same(one: Looked, other: Looked) -> bool:
    return (one.instance, one.health, one.last_words) == (
        other.instance,
        other.health,
        other.last_words,
    )


def _lines(server: Server, health: Health | None) -> list[Content]:
    shown = list(SERVERS)
    shown += [name for name in _IN_THE_BACKGROUND if server.part(name).state == PartState.DEAD]
    return [_line(server.part(name), _says(name, server, health)) for name in shown]


def _line(part: Part, says: str) -> Content:
    sign, style = words.MARKS[part.state]
    state = "down" if part.state == PartState.DEAD else part.state.value
    details = "  ".join(text for text in (says, _detail(part)) if text)
    return Content.assemble(
        (f"{sign} ", style),
        (f"{part.title:<9} ", "b"),
        f"{part.version or '':<8} ",
        (f"{state:<9} ", style),
        (details, "$foreground-muted"),
    )


def _detail(part: Part) -> str:
    return part.detail if part.state != PartState.RUNNING else ""


def _says(name: str, server: Server, health: Health | None) -> str:
    if health is None or name not in SERVERS:
        return ""
    if name == "postgres":
        if (postgres := health.postgres) is None:
            return "lets nobody in"
        return f"{postgres.connections} of {postgres.max_connections} connections"
    if (pgbouncer := health.pgbouncer) is None:
        return "lets nobody in"
    return f"{count(pgbouncer.clients, 'client')}, {server.pool_mode} pooling"
