"""What does not change while one looks at it: engine, data, project, and notes."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from devdb.model import Server, Spec
from devdb.tui import words


class Facts(Vertical):
    """A line for each note, and one for the rest where there is room; the help has all of it."""

    rows: tuple[tuple[str, str], ...] = ()
    """Each a name and a text, whole."""

    def compose(self) -> ComposeResult:
        """Two texts."""
        yield Static(classes="notes")
        yield Static(classes="rest")

    def show(self, spec: Spec, server: Server | None, reason: str, news: tuple[str, ...]) -> None:
        """`reason`: why this engine; `news`: what is other than it was."""
        rest = [("engine", reason)]
        if server is not None and server.location:
            rest.append(("data", words.path(server.location)))
        if spec.project is not None:
            rest.append(("project", words.path(spec.project)))
        notes = (*news, *(server.notes if server is not None else ()))
        self.rows = (*rest, *(("note", note) for note in notes))
        shown = self.query_one(".notes", Static)
        shown.update(
            Content("\n").join(
                Content.assemble(("! ", "b $text-warning"), " ".join(note.split()))
                for note in notes
            )
        )
        shown.display = bool(notes)
        self.query_one(".rest", Static).update(Content("  ·  ").join(text for _name, text in rest))
