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

DIRECT = "TCP, straight to Postgres: for migrations, psql"
POOLED = "through PgBouncer: for your app"


class UrlCard(Static):
    """A framed URL; the frame says what it is for, which key copies it, and whether it did."""

    def __init__(
        self, key: str, title: str, purpose: str, endpoint: Endpoint, *, whole: bool = False
    ) -> None:
        super().__init__(id=f"url-{key}")
        self._key = key
        self._title = title
        self._purpose = purpose
        self._url = urls.url(endpoint)
        self._whole = whole

    @on(Mount)
    def rest(self) -> None:
        """Show it as it is shown when nobody asks for it: mostly without its password."""
        self.border_title = Content.assemble((self._title, "b"), f"  {self._purpose}")
        self.remove_class("whole")
        self._say((self._key, KEY), " copies it" if self._whole else " shows and copies it")
        self.update(Content(self._url if self._whole else urls.masked(self._url)))

    def show_and_copy(self) -> None:
        """Show it whole, copy it, and say which of the two happened."""
        self.add_class("whole")
        self._say("copying")
        self.update(Content(self._url))
        self._copy()

    @work(thread=True, exclusive=True)
    def _copy(self) -> None:
        self.post_message(Copied(clipboard.copy(self._url)))

    @on(Copied)
    def _say_what_happened(self, message: Copied) -> None:
        message.stop()
        if message.tool is not None:
            self._say(("✓ copied", "b $text-success"), f" ({message.tool})")
            return
        # OSC 52: a terminal may drop it silently, so nothing more than this is known.
        self.app.copy_to_clipboard(self._url)
        self._say(("→ sent to the terminal's clipboard", "$text-success"))

    @on(Click)
    def _show_at_a_click(self) -> None:
        self.show_and_copy()

    def _say(self, *parts: str | tuple[str, str]) -> None:
        self.border_subtitle = Content.assemble(*parts)
