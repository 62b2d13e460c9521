"""What does not change while one looks at it: engine, data, project, notes."""

from __future__ import annotations

from textwrap import wrap

from textual import on
from textual.content import Content
from textual.events import Resize
from textual.widgets import Static

from devdb.model import Server, Spec
from devdb.tui import words

LABEL = 9


class Facts(Static):
    """Rows of a name and a text; a long text goes on below itself, not below its name."""

    _rows: tuple[tuple[str, str], ...] = ()

    def show(self, spec: Spec, server: Server | None, reason: str, news: tuple[str, ...]) -> None:
        """`reason`: why this engine; `news`: what is other than it was."""
        rows = [("engine", reason)]
        if server is not None and server.location:
            rows.append(("data", words.path(server.location)))
        if spec.project is not None:
            rows.append(("project", words.path(spec.project)))
        notes = (*news, *(server.notes if server is not None else ()))
        self._rows = (*rows, *(("note", note) for note in notes))
        self.draw()

    @on(Resize)
    def draw(self) -> None:
        """Fit the rows into the width there is."""
        width = max(20, (self.content_size.width or self.app.size.width) - LABEL)
        lines: list[Content] = []
        for name, text in self._rows:
            for index, piece in enumerate(wrap(text, width)):
                label = name if index == 0 else ""
                lines.append(Content.assemble((f"{label:<{LABEL}}", "$foreground-muted"), piece))
        self.update(Content("\n").join(lines))
