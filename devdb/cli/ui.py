"""`devdb ui`."""

from __future__ import annotations

from pathlib import Path

from devdb.cli.grammar import App
from devdb.errors import UsageError
from devdb.output import streams

app = App()

_EXAMPLES = """\b
Examples:
  devdb ui     enter opens an instance, u starts it, x stops it
  devdb ls     the same for a pipe; --json
"""


@app.command(epilog=_EXAMPLES)
def ui() -> int:
    """Show all your instances: open, start, stop them.

    The key i of a dashboard opens the same list. Leaving it stops nothing.
    """
    if not streams.full_screen():
        raise UsageError("devdb ui draws on a terminal, and there is none here.", "devdb ls")
    from devdb import tui
    from devdb.config import Settings
    from devdb.workspace.names import place

    return tui.run(Settings(), place(Path.cwd()).project, None)
