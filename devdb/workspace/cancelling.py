"""A start that was cancelled: what is undone of it, and how the instance is then."""

from __future__ import annotations

from devdb import marker
from devdb.errors import DevdbError
from devdb.workspace.down import down, remove
from devdb.workspace.instances import State, find
from devdb.workspace.up import Outcome, Ready


def take_back(ready: Ready) -> bool:
    """Undo a start that was cancelled when it was complete; False where that cannot be.

    What was new is removed, what was stopped is stopped again. Raises DevdbError.
    """
    if ready.outcome == Outcome.CREATED:
        remove(ready.instance.spec)
    elif ready.was == State.STOPPED and not ready.changes:
        down(ready.instance.spec)
    else:
        return False
    return True


def standing(name: str) -> str:
    """How the instance is after a start that was cancelled, to follow `cancelled the start of`."""
    try:
        spec = marker.load(name)
        if spec is None:
            return f"'{name}'"
        instance = find(spec)
    except DevdbError as error:
        return f"'{name}'; how it is now cannot be told: {error.message}"
    if instance.trouble is not None:
        return f"'{name}'; how it is now cannot be told: {instance.trouble.message}"
    words = {
        State.RUNNING: "it runs, as before",
        State.STOPPED: "it is stopped, its data is kept",
        State.DEGRADED: f"a part of it runs; devdb up or devdb down {name}",
    }
    return f"'{name}'; {words[instance.state]}"
