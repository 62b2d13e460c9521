"""Both URLs, as one client reads them, and the choice of that client."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical

from devdb.config import Settings
from devdb.errors import DevdbError
from devdb.model import Spec
from devdb.tui import dotenv, words
from devdb.tui.clientlist import Choice, ClientList
from devdb.tui.ending import Unfinished
from devdb.tui.messages import ClientChosen, Done, NotDone
from devdb.tui.urlcard import UrlCard
from devdb.urls.clients import CLIENTS, DEFAULT, Client
from devdb.workspace.environment import client_file, keep_client, named_client


class UrlPanel(Vertical):
    """A card for each URL; the settings say for whom they are spelled until somebody chooses."""

    def __init__(
        self,
        spec: Spec,
        settings: Settings,
        project: Path,
        directory: Path,
        unfinished: Unfinished,
    ) -> None:
        super().__init__()
        self._directory = directory
        self._spec = spec
        self._settings = settings
        self._project = project
        self._unfinished = unfinished
        self._client = CLIENTS[DEFAULT]

    def compose(self) -> ComposeResult:
        """Direct above pooled."""
        yield UrlCard("t", self._spec.direct)
        yield UrlCard("p", self._spec.pooled)

    def on_mount(self) -> None:
        """Spell them as the settings say."""
        try:
            named = named_client(self._settings)
        except DevdbError as error:
            self.post_message(NotDone(error))
        else:
            if named is not None:
                self._spell_for(named)

    def show(self, key: str) -> None:
        """Show one URL whole and copy it; the other one hides its password again."""
        for card in self.query(UrlCard):
            if card.id == f"url-{key}":
                card.show_and_copy()
                card.scroll_visible()
            else:
                card.rest()

    def rest(self) -> None:
        """Hide the passwords."""
        for card in self.query(UrlCard):
            card.rest()

    @work(thread=True, exclusive=True)
    def write_env(self) -> None:
        """Write `.env` in the dashboard's directory and say what was written."""
        try:
            with self._unfinished.work():
                lines = dotenv.write(self._spec, self._settings, self._project, self._directory)
        except DevdbError as error:
            self.post_message(NotDone(error))
        else:
            self.post_message(Done(tuple(lines)))

    def choose(self) -> None:
        """Ask for a client, spell both URLs for it; keep it where that was asked for."""
        self.app.push_screen(ClientList(self._client, client_file(self._project)), self._take)

    def _take(self, choice: Choice | None) -> None:
        if choice is None:
            return
        client = CLIENTS[choice.name]
        self._spell_for(client)
        try:
            kept = keep_client(self._project, client) if choice.keep else None
        except DevdbError as error:
            self.post_message(NotDone(error))
        else:
            self.post_message(Done(self._told(client, kept)))

    def _spell_for(self, client: Client) -> None:
        self._client = client
        self._settings = replace(self._settings, client=client.name)
        for card in self.query(UrlCard):
            card.spell_for(client.name)
        self.post_message(ClientChosen(client.name))

    def _told(self, client: Client, kept: Path | None) -> tuple[str, ...]:
        gist = f"t and p give the URLs for {client.name}"
        if kept is None:
            file = client_file(self._project)
            if file is None:
                return gist, "For this dashboard only."
            keep = f"f, then k keeps it in {words.path(file)}"
            return gist, f"For this dashboard only: nothing was written; {keep}."
        lines = [gist, f"Written: `client` in {words.path(kept)}"]
        source = self._settings.source("client")
        if source.startswith("DEVDB_"):
            lines.append(f"{source} is set, and stands above that file.")
        return tuple(lines)
