"""One of the two URLs: masked at rest, whole and copied when it is asked for."""

from __future__ import annotations

from textual import on, work
from textual.content import Content
from textual.events import Click, Mount, Resize
from textual.widgets import Static

from devdb import urls
from devdb.model import Endpoint
from devdb.tui import copying, words
from devdb.tui.keybar import KEY
from devdb.urls.spelling import spell

PURPOSES = {
    "t": ("Direct", "TCP, straight to Postgres: for migrations, psql"),
    "p": ("Pooled", "through PgBouncer: for your app"),
}
"""The two URLs, by the key that copies each."""

LABELLED = 56
"""With fewer cells a card without a frame leaves out what it is called."""


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
        self._told = Content("")

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
        self.remove_class("whole")
        self._tell(
            Content.assemble(
                (self._key, KEY), " copies it" if self._whole else " shows and copies it"
            )
        )

    @on(Resize)
    def _draw(self) -> None:
        """Whole where it was asked for, else in one line; without a frame all is in its text."""
        title, purpose = PURPOSES[self._key]
        reader = (f" for {self._client}", "$text-accent") if self._client else ""
        self.border_title = Content.assemble((title, "b"), reader, f"  {purpose}")
        self.border_subtitle = self._told
        before, after = Content(""), Content("")
        if self._is_bare:
            is_narrow = self.content_size.width < LABELLED
            label = Content("") if is_narrow else Content.assemble(title, reader, "  ")
            before = Content.assemble((self._key, KEY), " ", label)
            after = Content.assemble("\n", self._told)
        if self._whole or self.has_class("whole"):
            self.update(Content.assemble(before, self.url, after))
            return
        url = urls.masked(self.url)
        if self.content_size.width:
            url = words.shortened_url(url, self.content_size.width - before.cell_length)
        self.update(Content.assemble(before, url))

    @property
    def _is_bare(self) -> bool:
        return not self.styles.border_top[0]

    def show_and_copy(self) -> None:
        """Show it whole, copy it, and say which of the two happened."""
        self.add_class("whole")
        self._tell(Content("copying"))
        self._copy(self.url)

    @work(exclusive=True)
    async def _copy(self, text: str) -> None:
        self._tell(copying.told(await copying.copy(self.app, text)))

    @on(Click)
    def _show_at_a_click(self) -> None:
        self.show_and_copy()

    def _tell(self, told: Content) -> None:
        self._told = told
        self._draw()
