"""`devdb up --web` in Chromium: what is drawn, typed, copied; who else could use its address."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import available
import pytest
from driving import NAME
from tui import browser
from tui.browser import Browser, browsing, painted
from tui.serving import Serving, none_is_left

from devdb import marker, urls
from devdb.model import Spec
from devdb.tui.web import server
from devdb.workspace import down, instances
from devdb.workspace.instances import State

ATTACKER = "devdb.example"


@pytest.fixture
def serving(project: Path, home: Path, free_port: Callable[[], int]) -> Iterator[Serving]:
    """A real instance's, in an environment without a clipboard but the browser's."""
    if reason := browser.why_not() or available.why_not("native"):
        pytest.skip(reason)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SSH_") and name not in ("DISPLAY", "WAYLAND_DISPLAY")
    }
    env = {
        **kept,
        "DEVDB_DATA_DIR": str(home),
        "DEVDB_ENGINE": "native",
        "DEVDB_PORT": str(free_port()),
        "DEVDB_POOL_PORT": str(free_port()),
    }
    begun = Serving(project, env)
    try:
        yield begun
    finally:
        begun.close()
        down.remove(spec())


def spec() -> Spec:
    found = marker.load(NAME)
    assert found is not None
    return found


def test_the_dashboard_in_a_browser(serving: Serving, tmp_path: Path) -> None:
    async def scenario(chromium: Browser) -> None:
        page = await chromium.page()
        await chromium.allow(serving.origin, "clipboardReadWrite", "clipboardSanitizedWrite")
        await page.resize(900, 600)
        await page.go(serving.url)
        await page.sees("● ready")
        assert await page.value("""document.fonts.check("14px 'Roboto Mono'")""")
        first = await page.pictured(lambda picture: painted(picture) > 0.02, "a dashboard")

        await page.press("t")
        direct = urls.url(spec().direct)
        await page.sees(direct)

        await page.sees("→ sent to the browser")

        async def copied() -> bool:
            return bool(await page.value("navigator.clipboard.readText()") == direct)

        await page.until(copied, "the URL in the browser's clipboard")
        more = painted(first) + 0.001
        await page.pictured(lambda picture: painted(picture) > more, "the whole URL on it")

        page.forget()
        await page.resize(1400, 700)
        await page.until(lambda: any('"width":175' in sent for sent in page.sent), "a resize")
        await page.sees(direct)

        before = serving.tabs()
        assert len(before) == 1
        page.forget()
        await page.do("Page.reload")
        await page.sees("● ready")
        none_is_left(before)
        assert instances.find(spec()).state == State.RUNNING

        other = await chromium.page()
        await other.go(serving.url)
        await other.sees("● ready")
        await page.press("q")
        await page.says(server.LEFT)
        assert painted(await page.picture()) < 0.01
        other.forget()
        await other.press("p")
        await other.sees(urls.url(spec().pooled))
        (last,) = serving.tabs()
        await chromium.call("Target.closeTarget", {"targetId": other.target})
        none_is_left([last])

        await page.do("Page.reload")
        page.forget()
        await page.sees("● ready")
        serving.process.terminate()
        await page.says(server.ENDED)
        assert await asyncio.to_thread(serving.ended) == 0
        assert instances.find(spec()).state == State.STOPPED
        for each in (page, other):
            ours = (serving.url, serving.url.replace("http", "ws"))
            assert [address for address in each.requests if not address.startswith(ours)] == []
            assert each.complaints == []

    async def main() -> None:
        async with browsing(tmp_path / "profile") as chromium:
            await scenario(chromium)
        assert chromium.connections() == {f"127.0.0.1:{serving.port}"}
        assert chromium.names() == {"127.0.0.1"}

    asyncio.run(main())


KNOCK = """
new Promise(done => {
  const socket = new WebSocket("%s");
  socket.onopen = () => done("open");
  socket.onerror = () => done("refused");
})
"""
LOAD = """
new Promise(done => {
  const script = document.createElement("script");
  script.src = "%s";
  script.onload = () => done("loaded");
  script.onerror = () => done("refused");
  document.head.append(script);
})
"""


def test_a_foreign_page_gets_nothing_even_if_it_knew_the_address(
    serving: Serving, tmp_path: Path
) -> None:
    """By its own name, by one of its own that leads here (DNS rebinding), and in a frame."""
    ws = serving.url.replace("http", "ws") + "socket?width=80&height=24"
    rebound = ws.replace("127.0.0.1", ATTACKER)

    async def main() -> None:
        rules = f"--host-resolver-rules=MAP {ATTACKER} 127.0.0.1"
        async with browsing(tmp_path / "profile", rules) as chromium:
            page = await chromium.page()
            await page.go(serving.url.replace("127.0.0.1", ATTACKER))
            await page.says("404")
            frame = f"<iframe src='{serving.url}'></iframe>"
            for where in (f"http://{ATTACKER}:{serving.port}/", f"data:text/html,{frame}"):
                await page.go(where)
                await page.says("404" if where.startswith("http") else "")
                for address in (ws, rebound):
                    assert await page.value(KNOCK % address) == "refused"
                assert await page.value(LOAD % f"{serving.url}page.js") == "refused"
            assert serving.tabs() == []
            own = await chromium.page()
            await own.go(serving.url)
            await own.sees("● ready")
            assert await own.value("document.referrer") == ""

    asyncio.run(main())
