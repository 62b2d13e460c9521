"""The program itself: what one command costs beside the import it cannot do without."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial

from measure import DEVDB, Row, new_spec, remove, seconds, start

from devdb import engines

TYPER = 'python -c "import typer"'


def rows(stack: ExitStack) -> list[Row]:
    """The rows; while they are measured a native instance runs."""
    engine = engines.get("native")
    spec = new_spec(engine)
    stack.callback(remove, engine, spec.name)
    start(engine, spec)
    url = partial(seconds, DEVDB, "url", "--name", spec.name)
    return [
        Row(TYPER, partial(seconds, sys.executable, "-c", "import typer")),
        Row("devdb url, of a running instance", url, against=TYPER, limit=2.0),
    ]


def title() -> str:
    return f"devdb as a program, Python {sys.version.split()[0]}"
