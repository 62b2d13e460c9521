"""A start that somebody may cancel: what is undone of it then, and how the instance is."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing

from devdb import marker
from devdb.errors import DevdbError
from devdb.model import Progress, Step
from devdb.workspace.down import down, remove
from devdb.workspace.instances import State, find
from devdb.workspace.up import Outcome, Ready


def cancellable(
    start: Iterator[Progress | Ready], is_cancelled: Callable[[], bool]
) -> Generator[Progress | Ready, None, None]:
    """What `up` yields; raises KeyboardInterrupt once it was cancelled and all is undone.

    It is asked after each item, so at least every 0.3 s. From the start of its gateway on, and
    from READY, the instance is whole, and closing would leave it running: what `up` has then done
    is taken back. Where that cannot be, the Ready comes all the same. With it the instance's lock
    is let go of.
    """
    assert isinstance(start, Generator)
    with closing(start):
        is_whole = False
        for item in start:
            if isinstance(item, Ready):
                start.close()
                if is_cancelled() and _take_back(item):
                    raise KeyboardInterrupt
                yield item
                return
            yield item
            is_whole = is_whole or item.step in (Step.HTTP, Step.READY)
            if is_cancelled() and not is_whole:
                raise KeyboardInterrupt


def _take_back(ready: Ready) -> bool:
    """Remove what was new, stop what was stopped; False where neither can be."""
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
