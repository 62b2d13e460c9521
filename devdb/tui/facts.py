"""What does not change while one looks at it: engine, data, project, notes."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from devdb.model import Server, Spec
from devdb.tui import words


class Facts(Static):
    """Rows of a name and a text."""

    def show(self, spec: Spec, server: Server | None, reason: str, news: tuple[str, ...]) -> None:
        """`reason`: why this engine; `news`: what is other than it was."""
        rows = [("engine", reason)]
        if server is not None and server.location:
            rows.append(("data", words.path(server.location)))
        if spec.project is not None:
            rows.append(("project", words.path(spec.project)))
        notes = (*news, *(server.notes if server is not None else ()))
        rows += [("note", note) for note in notes]
        lines = [Content.assemble((f"{name:<9}", "$foreground-muted"), text) for name, text in rows]
        self.update(Content("\n").join(lines))
