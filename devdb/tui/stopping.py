"""What is asked before an instance is stopped that others are connected to."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from devdb.engines.vitals import Health
from devdb.masking import visible
from devdb.monitor.look import Look
from devdb.tui.keybar import KEY
from devdb.wording import count

NAMED = 3
"""Applications that are named; the others only count."""


class Answer(Enum):
    """What to do with the instance."""

    STOP = "stop"
    DETACH = "detach"
    STAY = "stay"


class StopQuestion(ModalScreen[Answer]):
    """Whether to stop it all the same; Esc goes back to where it was asked."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,y", "answer('stop')", "Stop it", tooltip="Stop it all the same"),
        Binding("d", "answer('detach')", "Detach", tooltip="Leave, and leave it running"),
        Binding("escape,n", "answer('stay')", "Stay", tooltip="Go back"),
    ]

    def __init__(self, clients: str, *, detaches: bool = True) -> None:
        """`clients` is what connected() says; without `detaches` one cannot leave by it."""
        super().__init__()
        self._clients = clients
        self._detaches = detaches

    def compose(self) -> ComposeResult:
        """The question and its answers."""
        with Vertical(classes="dialog"):
            yield Static(Content(f"{self._clients}.\nStop it all the same?"))
            stop = (("enter", KEY), " or ", ("y", KEY), " stops it   ")
            leave = (("d", KEY), " leaves it running   ") if self._detaches else ()
            yield Static(
                Content.assemble(*stop, *leave, ("esc", KEY), " stays"),
                classes="answers",
            )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Where there is nothing to leave, one cannot."""
        if action == "answer" and parameters == (Answer.DETACH.value,):
            return self._detaches
        return super().check_action(action, parameters)

    def action_answer(self, answer: str) -> None:
        """Give it."""
        self.dismiss(Answer(answer))


def connected(health: Health | None, look: Look | None = None) -> str:
    """Who is connected besides devdb, e.g. `3 clients are connected (node, psql)`; empty: nobody.

    The connections that PgBouncer holds to Postgres are no clients: those who use them are.
    """
    number = _direct(health, look) + _pooled(health, look)
    if not number:
        return ""
    backends = (look.backends if look is not None else None) or ()
    names = sorted({visible(each.application) for each in backends if each.application})
    named = [*names[:NAMED], *(["..."] if len(names) > NAMED else [])]
    who = f" ({', '.join(named)})" if named else ""
    return f"{count(number, 'client')} {'is' if number == 1 else 'are'} connected{who}"


def _direct(health: Health | None, look: Look | None) -> int:
    if look is not None and look.backends is not None:
        return sum(not each.is_pooled for each in look.backends)
    if health is None or health.postgres is None:
        return 0
    of_pooler = health.pgbouncer.servers if health.pgbouncer is not None else 0
    return max(0, health.postgres.connections - of_pooler)


def _pooled(health: Health | None, look: Look | None) -> int:
    if look is not None and look.pools is not None:
        return sum(pool.active + pool.waiting for pool in look.pools)
    return health.pgbouncer.clients if health is not None and health.pgbouncer is not None else 0
