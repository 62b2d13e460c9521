"""One of the two URLs: masked at rest, whole and copied when it is asked for."""

from __future__ import annotations

from textual import on, work
from textual.content import Content
from textual.events import Click, Mount
from textual.widgets import Static

from devdb import clipboard, urls
from devdb.model import Endpoint
from devdb.tui.keybar import KEY
from devdb.tui.messages import Copied
from devdb.urls.spelling import spell

PURPOSES = {
    "t": ("Direct", "TCP, straight to Postgres: for migrations, psql"),
    "p": ("Pooled", "through PgBouncer: for your app"),
}
"""The two URLs, by the key that copies each."""


class UrlCard(Static):
    """A framed URL; the frame says what it is for, which key copies it, and whether it did."""

    def __init__(
        self, key: str, endpoint: Endpoint, *, client: str | None = None, whole: bool = False
    ) -> None:
        super().__init__(id=f"url-{key}")
        self._key = key
        self._endpoint = endpoint
        self._client = client
        self._whole = whole

    @property
    def url(self) -> str:
        """As the client reads it; the canonical one where none is named."""
        if self._client is None:
            return urls.url(self._endpoint)
        return spell(self._client, self._endpoint, pooled=self._key == "p")

    def spell_for(self, client: str) -> None:
        """Show it as that client reads it."""
        self._client = client
        self.rest()

    @on(Mount)
    def rest(self) -> None:
        """Show it as it is shown when nobody asks for it: mostly without its password."""
        title, purpose = PURPOSES[self._key]
        reader = (f" for {self._client}", "$text-accent") if self._client else ""
        self.border_title = Content.assemble((title, "b"), reader, f"  {purpose}")
        self.remove_class("whole")
        self._set_subtitle(
            (self._key, KEY), " copies it" if self._whole else " shows and copies it"
        )
        self.update(Content(self.url if self._whole else urls.masked(self.url)))

    def show_and_copy(self) -> None:
        """Show it whole, copy it, and say which of the two happened."""
        self.add_class("whole")
        self._set_subtitle("copying")
        self.update(Content(self.url))
        self._copy(self.url)

    @work(thread=True, exclusive=True)
    def _copy(self, text: str) -> None:
        self.post_message(Copied(text, clipboard.copy(text)))

    @on(Copied)
    def _say_what_happened(self, message: Copied) -> None:
        message.stop()
        if message.tool is not None:
            self._set_subtitle(("✓ copied", "b $text-success"), f" ({message.tool})")
            return
        # OSC 52: a terminal may drop it silently, so nothing more than this is known.
        self.app.copy_to_clipboard(message.text)
        self._set_subtitle(("→ sent to the terminal's clipboard", "$text-success"))

    @on(Click)
    def _show_at_a_click(self) -> None:
        self.show_and_copy()

    def _set_subtitle(self, *parts: str | tuple[str, str]) -> None:
        self.border_subtitle = Content.assemble(*parts)
