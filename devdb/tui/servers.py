"""The state of the instance: each server in a line, and the last words of one that died."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from devdb import urls
from devdb.engines.vitals import Health
from devdb.model import SERVERS, Part, PartState, Server, title
from devdb.monitor.trouble import troubles
from devdb.tui import words
from devdb.tui.lastwords import LastWords
from devdb.tui.messages import Looked
from devdb.wording import count, since
from devdb.workspace import gateway
from devdb.workspace.instances import Instance, State

_IN_THE_BACKGROUND = ("reaper", "supervisor")
"""Nobody's concern while they do their work."""

Said = tuple[str, str]
"""A few words of how things stand, and their style."""
READY: Said = ("● ready", "$text-success")


def standing(seen: Looked, *, known_ready: bool = False) -> tuple[Said, ...]:
    """How things stand, the gist first; all troubles of one that runs, the worst first.

    Where there are none it ends with how long Postgres has been up. `known_ready`: somebody has
    logged in, though nobody asked since.
    """
    found = troubles(seen.look)
    marked = [(f"▲ {words}", "$text-warning") for words in found]
    up = _uptime(seen)
    rest = marked or ([(f"up {up}", "")] if up else [])
    wrong = _wrong(seen.instance)
    if wrong is not None:
        return wrong, *rest
    if marked:
        return (marked[0][0], "b $text-warning"), *marked[1:]
    if known_ready or (seen.health is not None and seen.health.ready):
        return READY, *rest
    return ("◐ runs, but lets nobody in", "$text-warning"), *rest


def _wrong(instance: Instance) -> Said | None:
    """What keeps the whole of it from running, in one phrase."""
    if instance.trouble is not None:
        return "✕ the engine does not answer", "$text-error"
    if not instance.is_marked:
        return "✕ removed", "$text-error"
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
    return None


def _uptime(seen: Looked) -> str:
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
        yield LastWords()

    def show(self, seen: Looked) -> None:
        """Show what was seen."""
        if self._shown is not None and _same(seen, self._shown):
            return
        self._shown = seen
        server, trouble = seen.instance.server, seen.instance.trouble
        parts = self.query_one("#parts", Static)
        parts.set_class(server is not None and trouble is None, "lines")
        if trouble is not None:
            parts.update(Content.assemble((trouble.message, "$text-error"), "\n", trouble.hint))
        elif server is None and not seen.instance.is_marked:
            parts.update("It was removed, with its data; r makes it anew, empty.")
        elif server is None:
            parts.update("Its data is gone; r asks whether to make it anew.")
        else:
            lines = _lines(server, seen.health)
            if seen.instance.gateway is not None:
                lines.append(_of_gateway(seen.instance, seen.instance.gateway))
            parts.update(Content("\n").join(lines))
        self.query_one(LastWords).show(seen.last_words)


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


def _of_gateway(instance: Instance, part: Part) -> Content:
    """Where it listens; or what brings it back."""
    is_on = part.state == PartState.RUNNING
    says = urls.http(instance.spec) if is_on else "h starts it"
    return _line(part, "  ".join(text for text in (says, part.detail) if text))


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
    is_told = part.state != PartState.RUNNING and part.name != gateway.PART
    return part.detail if is_told else ""


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
