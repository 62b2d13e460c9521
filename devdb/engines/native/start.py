"""Starting an instance: what is stale is cleared away, what is missing is made, until logins work.

A half-made fresh start is recognised by the file `initialised` not being there, one that is at
work (or was killed) by the file `starting`: nothing is remembered anywhere else.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial

from devdb.config import allowed
from devdb.engines import ports
from devdb.engines.native import data, failure, find, owner, stop
from devdb.engines.native.attempt import PREPARING, Attempt
from devdb.engines.native.failure import Vanished
from devdb.engines.native.layout import Layout
from devdb.engines.refusal import data_gone
from devdb.engines.waiting import Beats, beside, told
from devdb.errors import DataGone, DevdbError
from devdb.model import Progress, Spec, Step


def start(spec: Spec) -> Iterator[Progress]:
    """The whole start; see `Engine.start`."""
    allowed.check(spec.settings, contained=False)
    layout = Layout.of(spec.name)
    while True:
        try:
            notes = yield from _start(spec, layout)
            break
        except Vanished:
            continue  # it was dying when it was looked at: look again
        except OSError as error:
            raise failure.of_system(error, layout) from error
    yield Progress(step=Step.READY, server=find.look(layout), notes=notes)


def _start(spec: Spec, layout: Layout) -> Generator[Progress, None, tuple[str, ...]]:
    yield PREPARING
    runs_as = owner.choose(layout.data)
    if obstacle := runs_as.obstacle(layout.root):
        raise DevdbError(
            f"{runs_as.name}, whom root's servers run as, cannot pass {obstacle}.",
            "Set DEVDB_DATA_DIR to a directory it can reach, e.g. /var/lib/devdb.",
        )
    if spec.has_data:
        _require_data(spec, layout)
        data.make_directories(layout, runs_as)
    yield from told(PREPARING, _clear_away(spec, layout))
    return (yield from Attempt(spec, layout, runs_as).run())


def _require_data(spec: Spec, layout: Layout) -> None:
    """Raise DataGone where it was ready once, and its data is not there, or not whole."""
    if not find.has_data(layout):
        raise data_gone(spec, str(layout.data))
    if not layout.initialised.exists():
        raise DataGone(
            f"The data of '{layout.name}' in {layout.data} is not whole, or was put back.",
            f"Where it is whole: touch {layout.initialised}; else: "
            f"devdb up -n {layout.name} --anew",
            "Delete what is there, and make a new, empty one in its place?",
        )


def _clear_away(spec: Spec, layout: Layout) -> Beats[None]:
    """End and remove what a killed start or a killed server left."""
    if not layout.root.is_dir():
        # Servers may have outlived their directory, when that was removed under them.
        if any(ports.is_taken(port) for port in (spec.port, spec.pool_port)):
            yield from beside(partial(stop.end_leftovers, layout, patience=0))
    elif not (layout.initialised.exists() and find.has_data(layout)):
        yield from beside(partial(stop.destroy, layout))
    elif layout.starting.exists():
        yield from beside(partial(stop.stop, layout))
    elif find.postmaster(layout).stale:
        # Backends of a killed postmaster notice soon; until then the data is not free.
        yield from beside(partial(stop.end_backends, layout))
