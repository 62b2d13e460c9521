"""The program itself: what one command costs beside the import it cannot do without."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from functools import partial

from measure import DEVDB, Clock, Row, new_spec, remove, seconds, start

from devdb import databases, engines
from devdb.model import Spec

TYPER = 'python -c "import typer"'
URL = "devdb url, of a running instance"
RUN = "devdb run -- true"
TEMP = "devdb run --temp -- true"
BY_HAND = "that, and create() and drop() beside it"


def rows(stack: ExitStack) -> list[Row]:
    """The rows; while they are measured a native instance runs."""
    engine = engines.get("native")
    spec = new_spec(engine)
    stack.callback(remove, engine, spec.name)
    start(engine, spec)
    url = partial(seconds, DEVDB, "url", "--name", spec.name)
    run = partial(seconds, DEVDB, "run", "--name", spec.name)
    return [
        Row(TYPER, partial(seconds, sys.executable, "-c", "import typer")),
        Row(URL, url, against=TYPER, limit=2.0),
        Row(RUN, partial(run, "--", "true"), against=URL, limit=1.5),
        Row(BY_HAND, partial(_beside, partial(run, "--", "true"), spec)),
        Row(TEMP, partial(run, "--temp", "--", "true"), against=BY_HAND, limit=1.5),
    ]


def _beside(run: Callable[[], float], spec: Spec) -> float:
    with Clock() as clock:
        made = databases.create(spec, ttl=timedelta(hours=1))
        databases.drop(spec, [made.name])
    return clock.seconds + run()


def title() -> str:
    return f"devdb as a program, Python {sys.version.split()[0]}"
