"""`devdb up --web`: who is let in, what a tab is, and how it ends; without a browser."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import psutil
import pytest
import world
from commandline import ended
from driving import NAME
from tui.serving import PATIENCE, UP, Serving, answer, none_is_left, opened

from devdb import marker, urls
from devdb.model import Spec
from devdb.tui.web import server, tab
from devdb.tui.web.guard import Guard
from devdb.workspace import down, instances
from devdb.workspace.instances import State

UPGRADE = [
    "Connection: Upgrade, close",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
]
FILES = ("page.css", "page.js", "terminal.css", "terminal.js", "font.ttf")


@pytest.fixture
def environment(home: Path, free_port: Callable[[], int]) -> dict[str, str]:
    return {
        **os.environ,
        "DEVDB_DATA_DIR": str(home),
        "DEVDB_ENGINE": "fake",
        "DEVDB_PORT": str(free_port()),
        "DEVDB_POOL_PORT": str(free_port()),
    }


@pytest.fixture
def serve(project: Path, environment: dict[str, str]) -> Iterator[Callable[..., Serving]]:
    """Begins to serve the project's instance."""
    begun: list[Serving] = []

    def begin(**changes: str) -> Serving:
        begun.append(Serving(project, environment | changes))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()


@pytest.fixture
def serving(serve: Callable[..., Serving]) -> Serving:
    return serve()


def spec() -> Spec:
    found = marker.load(NAME)
    assert found is not None
    return found


def state() -> State:
    return instances.find(spec()).state


# Who is let in


def requests(serving: Serving, path: str) -> dict[str, list[str]]:
    """Requests for a path that nobody's own page sends, by what is wrong with them."""
    is_socket = path.startswith("socket")
    token, here, other = serving.token, serving.origin, "http://devdb.example"
    wrong_token = token[:-1] + ("A" if token[-1] != "A" else "B")

    def get(
        target: str = f"/{token}/{path}",
        *more: str,
        method: str = "GET",
        version: str = "1.1",
        hosts: Sequence[str] = (f"127.0.0.1:{serving.port}",),
        origins: Sequence[str] = (here,) if is_socket else (),
    ) -> list[str]:
        lines = [f"{method} {target} HTTP/{version}"]
        lines += [f"Host: {each}" for each in hosts]
        lines += [f"Origin: {each}" for each in origins]
        return [*lines, *(UPGRADE if is_socket else ["Connection: close"]), *more]

    return {
        "a host": get(hosts=["devdb.example"]),
        "its host and port": get(hosts=[f"devdb.example:{serving.port}"]),
        "no port": get(hosts=["127.0.0.1"]),
        "another port": get(hosts=[f"127.0.0.1:{serving.port + 1}"]),
        "another loopback": get(hosts=[f"127.0.0.2:{serving.port}"]),
        "what begins like it": get(hosts=[f"localhost:{serving.port}.example"]),
        "no host": get(version="1.0", hosts=[]),
        "an origin": get(origins=[other]),
        "its port": get(origins=["http://127.0.0.1:1"]),
        "its scheme": get(origins=[here.replace("http", "https")]),
        "an opaque one": get(origins=["null"]),
        "a second one": get(origins=[here, other]),
        "the other name's": get(origins=[here], hosts=[f"localhost:{serving.port}"]),
        "a token": get(f"/{wrong_token}/{path}"),
        "its start": get(f"/{token[:20]}/{path}"),
        "more behind it": get(f"/{token}A/{path}"),
        "no token": get(f"/{path}"),
        "one in the query": get(f"/{path}?/{token}/"),
        "one elsewhere": get(f"//{token}/{path}"),
        "an absolute address": get(f"{other}/{token}/{path}"),
        "a method": get(f"/{token}/{path}", "Content-Length: 0", method="POST"),
    } | ({"no origin": get(origins=[])} if is_socket else {})


def test_on_every_route_a_stranger_is_told_nothing(serving: Serving) -> None:
    host = f"Host: 127.0.0.1:{serving.port}"
    nothing = answer(serving.port, "GET /nothing HTTP/1.1", host, "Connection: close")
    assert nothing.startswith(b"HTTP/1.1 404 ")
    size = "?width=80&height=24"
    paths = ("", *FILES, f"socket{size}", "static/", "download/key", "../page.html")
    wrong = {
        (path, what): found
        for path in paths
        for what, lines in requests(serving, path).items()
        if (found := answer(serving.port, *lines).replace(b"HTTP/1.0", b"HTTP/1.1")) != nothing
    }
    assert wrong == {}
    assert serving.tabs() == []


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_what_the_browser_of_the_address_asks_for_is_there(serving: Serving, name: str) -> None:
    for path in ("", *FILES):
        found = answer(
            serving.port,
            f"GET /{serving.token}/{path} HTTP/1.1",
            f"Host: {name}:{serving.port}",
            f"Origin: http://{name}:{serving.port}",
            "Connection: close",
        )
        head, _, body = found.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), path
        assert body, path
        for said in (
            b"Referrer-Policy: no-referrer",
            b"X-Frame-Options: DENY",
            b"frame-ancestors 'none'",
            b"X-Content-Type-Options: nosniff",
            b"Cache-Control: no-store",
        ):
            assert said in head, path
        assert b"Access-Control" not in head
        assert b"unsafe-eval" not in head


@pytest.mark.parametrize("query", ["ping=http://devdb.example", "delay=1", "fontsize=9999"])
def test_a_page_takes_no_parameters(serving: Serving, query: str) -> None:
    host = f"Host: 127.0.0.1:{serving.port}"
    line = f"GET /{serving.token}/?{query} HTTP/1.1"
    assert answer(serving.port, line, host, "Connection: close").startswith(b"HTTP/1.1 404 ")


def test_what_is_no_request_is_answered_and_logged_nowhere(serving: Serving) -> None:
    before = serving.narration()
    assert answer(serving.port, "\x1b[2J", "Connection: close").startswith(b"HTTP/1.0 400 ")
    assert serving.narration() == before


def test_a_socket_without_a_size_or_a_key_is_none(serving: Serving) -> None:
    host, origin = f"Host: 127.0.0.1:{serving.port}", f"Origin: {serving.origin}"
    for path in ("socket", "socket?width=a&height=1", "socket?width=80&height=24"):
        line = f"GET /{serving.token}/{path} HTTP/1.1"
        assert b" 404 " in answer(serving.port, line, host, origin, "Connection: close")
    assert serving.tabs() == []


def test_it_listens_on_this_machine_only(serving: Serving) -> None:
    listening = [
        each.laddr
        for each in psutil.Process(serving.process.pid).net_connections()
        if each.status == psutil.CONN_LISTEN
    ]
    assert listening == [("127.0.0.1", serving.port)]
    with socket.socket(socket.AF_INET6) as other, pytest.raises(OSError, match="refused"):
        other.connect(("::1", serving.port))


def test_each_address_is_another_and_long() -> None:
    tokens = {Guard(port=1).token for _ in range(100)}
    assert len(tokens) == 100
    assert {len(token) for token in tokens} == {43}  # 256 bits
    assert all(token not in repr(Guard(port=1, token=token)) for token in tokens)


# A tab


def test_a_tab_shows_the_dashboard_and_takes_keys(serving: Serving) -> None:
    async def scenario() -> None:
        async with opened(serving.url) as tab:
            await tab.sees("● ready")
            await tab.sees("Quit (leaves it running)")
            assert spec().password not in tab.text
            await tab.type("t")
            await tab.sees(urls.url(spec().direct))

    asyncio.run(scenario())


def test_a_tab_has_no_terminal_to_lend_to_psql(serving: Serving) -> None:
    async def scenario() -> None:
        async with opened(serving.url, columns=120) as tab:
            await tab.sees("● ready")
            await tab.sees("l Logs")
            await tab.type("s?")
            await tab.sees("esc closes")
            await tab.sees("Leave, and leave the instance running")
            assert "Open psql" not in tab.text
            assert "cannot be lent" not in tab.text

    asyncio.run(scenario())


def test_a_tab_is_as_large_as_its_window(serving: Serving) -> None:
    async def scenario() -> None:
        async with opened(serving.url, columns=60, lines=20) as tab:
            await tab.sees("● ready")
            await tab.until(lambda: tab.widest() == 60, "lines of 60 columns")
            await tab.send("resize", {"width": 140, "height": 40})
            await tab.until(lambda: tab.widest() == 140, "lines of 140 columns")

    asyncio.run(scenario())


def test_the_process_of_a_tab_holds_no_secret_that_others_can_read(serving: Serving) -> None:
    async def scenario() -> None:
        async with opened(serving.url) as tab:
            await tab.sees("● ready")
            (process,) = serving.tabs()
            told = [*process.cmdline(), *process.environ().values()]
            told += psutil.Process(serving.process.pid).cmdline()
            for secret in (serving.token, spec().password):
                assert [each for each in told if secret in each] == []
            assert serving.token not in serving.narration()

    asyncio.run(scenario())


def test_q_leaves_its_tab_and_nothing_else(serving: Serving) -> None:
    async def scenario() -> None:
        async with opened(serving.url) as one, opened(serving.url) as other:
            await one.sees("● ready")
            await other.sees("● ready")
            assert len(serving.tabs()) == 2
            await one.type("q")
            assert await one.closed() == server.LEFT
            await other.type("t")
            await other.sees(urls.url(spec().direct))
            world.eventually(lambda: len(serving.tabs()) == 1, "one process is left")

    asyncio.run(scenario())
    assert state() == State.RUNNING


def test_a_tab_that_is_closed_ends_its_process_and_leaves_the_instance(serving: Serving) -> None:
    async def scenario() -> list[psutil.Process]:
        async with opened(serving.url) as tab:
            await tab.sees("● ready")
            return serving.tabs()

    processes = asyncio.run(scenario())
    assert len(processes) == 1
    none_is_left(processes)
    assert state() == State.RUNNING
    assert serving.process.poll() is None


def test_a_tab_starts_nothing_that_was_stopped_until_it_is_told_to(serving: Serving) -> None:
    async def scenario() -> None:
        down.down(spec())
        async with opened(serving.url) as tab:
            await tab.sees("○ stopped")
            assert "● ready" not in tab.text
            assert state() == State.STOPPED
            await tab.type("r")
            await tab.sees("● ready")
            await tab.type("q")
            assert await tab.closed() == server.LEFT

    asyncio.run(scenario())
    assert state() == State.RUNNING


def test_a_tab_makes_nothing_anew_that_was_removed(serving: Serving, home: Path) -> None:
    async def scenario() -> None:
        down.remove(spec())
        async with opened(serving.url) as tab:
            await tab.sees("was removed")
            await tab.type("q")
            assert await tab.closed() == server.BROKEN

    asyncio.run(scenario())
    assert marker.every() == []
    world.eventually(lambda: "was removed" in serving.narration(), "the error in the terminal")


# The end of the command


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("owned", [True, False])
def test_its_end_ends_all_tabs_and_what_it_started(
    serve: Callable[..., Serving],
    project: Path,
    environment: dict[str, str],
    number: signal.Signals,
    owned: bool,
) -> None:
    if not owned:
        up = [sys.executable, "-m", "devdb", "up", "-d"]
        assert ended(up, cwd=project, env=environment).code == 0
    serving = serve()

    async def scenario() -> list[psutil.Process]:
        async with opened(serving.url) as one, opened(serving.url) as other:
            await one.sees("● ready")
            await other.sees("● ready")
            processes = serving.tabs()
            serving.process.send_signal(number)
            assert {await one.closed(), await other.closed()} == {server.ENDED}
            return processes

    processes = asyncio.run(scenario())
    assert serving.ended() == 0
    assert [each for each in processes if not world.has_ended(each)] == []
    assert state() == (State.STOPPED if owned else State.RUNNING)
    assert serving.narration().endswith(
        f"'{NAME}' is stopped, its data is kept. devdb up starts it again.\n"
        if owned
        else f"'{NAME}' runs on. devdb up comes back to it, devdb down {NAME} stops it.\n"
    )


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_a_hang_up_leaves_the_instance_and_no_tab(serving: Serving, number: signal.Signals) -> None:
    async def scenario() -> list[psutil.Process]:
        async with opened(serving.url) as tab:
            await tab.sees("● ready")
            processes = serving.tabs()
            serving.process.send_signal(number)
            await tab.closed()
            return processes

    processes = asyncio.run(scenario())
    assert serving.ended() in (128 + signal.SIGHUP, -signal.SIGKILL)
    none_is_left(processes)
    assert state() == State.RUNNING


def test_a_tab_that_nobody_talks_to_any_more_ends_by_itself(
    project: Path, environment: dict[str, str]
) -> None:
    up = [sys.executable, "-m", "devdb", "up", "-d"]
    assert ended(up, cwd=project, env=environment).code == 0
    alone = subprocess.Popen(
        UP,
        cwd=project,
        env=environment | {"DEVDB_TAB": "1", "DEVDB_NAME": NAME},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with alone:
        try:
            assert alone.stdin is not None
            assert alone.stdout is not None
            while b"ready" not in alone.stdout.readline():
                assert alone.poll() is None
            alone.stdin.close()
            assert alone.stdout.read()  # it is listened to, to its end
            assert alone.wait(timeout=PATIENCE) == 128 + signal.SIGHUP
        finally:
            alone.kill()
    assert state() == State.RUNNING


def test_without_what_it_needs_it_says_so_and_starts_nothing(
    project: Path, environment: dict[str, str]
) -> None:
    bare = (
        "import sys; sys.modules.update(aiohttp=None, textual_serve=None); "
        "from devdb.cli import main; main()"
    )
    done = ended([sys.executable, "-c", bare, "up", "--web"], cwd=project, env=environment)
    assert (done.code, done.out) == (1, "")
    assert done.error[0] == "error: --web needs what is not installed: aiohttp, textual-serve."
    assert "pip install 'devdb[web]'" in done.error[1]
    assert marker.every() == []


@pytest.mark.parametrize("option", ["--detach", "--json"])
def test_it_goes_with_no_option_that_returns(
    project: Path, environment: dict[str, str], option: str
) -> None:
    done = ended([*UP, option], cwd=project, env=environment)
    assert done.code == 2
    assert f"{option} returns" in done.err + done.out
    assert marker.every() == []


# The server, around a program that is quicker to start than a dashboard


ECHO = """
import os, sys
os.write(1, b"noise\\n__GANGLION__\\n")
size = f"{os.environ['COLUMNS']}x{os.environ['ROWS']} ".encode()
os.write(1, b"D" + len(size).to_bytes(4, "big") + size)
while head := sys.stdin.buffer.read(5):
    body = sys.stdin.buffer.read(int.from_bytes(head[1:], "big"))
    os.write(1, b"M\\0\\0\\0\\2{}" + b"D" + head[1:] + body)
"""
"""Draws its size, then whatever it is sent; ends when its input does."""

DEAF = """
import os, signal, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.write(1, b"__GANGLION__\\nD\\0\\0\\0\\4deaf")
while True:
    time.sleep(60)
"""
"""Ends for nobody."""


class Local:
    """The server in this process."""

    def __init__(self, program: str) -> None:
        self.said: list[str] = []
        self.urls: asyncio.Queue[str] = asyncio.Queue()
        argv = [sys.executable, "-c", program]
        self._listening = socket.create_server(("127.0.0.1", 0))
        guard = Guard(port=self._listening.getsockname()[1])
        self.url = guard.url
        self.server = server.Server(NAME, guard, argv, dict(os.environ), self.said.append)
        self.hurry: asyncio.Queue[int] = asyncio.Queue()

    async def __aenter__(self) -> Local:
        await self.server.start(self._listening)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.server.close(self.hurry)
        self._listening.close()


def test_one_tab_too_many_says_so_and_another_ones_end_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "SEAT", 0.5)

    async def scenario() -> None:
        async with Local(ECHO) as local, AsyncExitStack() as stack:
            tabs = [await stack.enter_async_context(opened(local.url)) for _ in range(server.TABS)]
            for each in tabs:
                await each.sees("80x24")
            async with opened(local.url) as surplus:
                assert await surplus.closed() == server.FULL
            await tabs[0].socket.close()
            monkeypatch.setattr(server, "SEAT", PATIENCE)
            async with opened(local.url) as next_one:
                await next_one.sees("80x24")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "1",
        "[]",
        "{}",
        '["stdin"]',
        '["stdin", 1]',
        '["stdin", "a", "b"]',
        '["quit"]',
        '["resize", null]',
        '["resize", {"width": 80}]',
        '["resize", {"width": NaN, "height": 1e999}]',
        '["deliver_chunk_request", {"key": "x", "size": 1}]',
        "[" * 20_000,
        b"bytes",
    ],
    ids=lambda message: f"{len(message)}",
)
def test_what_no_page_sends_ends_that_tab(message: str | bytes) -> None:
    async def scenario() -> None:
        async with Local(ECHO) as local, opened(local.url) as tab, opened(local.url) as other:
            await tab.sees("80x24")
            if isinstance(message, bytes):
                await tab.socket.send_bytes(message)
            else:
                await tab.socket.send_str(message)
            await tab.closed()
            assert tab.socket.close_code == aiohttp.WSCloseCode.UNSUPPORTED_DATA
            await other.type("here")
            await other.sees("here")

    asyncio.run(scenario())


def test_a_message_has_a_largest_size() -> None:
    async def scenario() -> None:
        async with Local(ECHO) as local, opened(local.url) as tab:
            await tab.type("x" * 60_000)
            await tab.sees("x" * 60_000)
            await tab.type("x" * server.MESSAGE)
            await tab.closed()
            assert tab.socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG

    asyncio.run(scenario())


def test_any_text_can_be_typed() -> None:
    async def scenario() -> None:
        async with Local(ECHO) as local, opened(local.url) as tab:
            await tab.socket.send_str('["stdin", "é\\ud800\\u0000\\u001b["]')
            await tab.sees("é?\x00\x1b[")

    asyncio.run(scenario())


def test_a_program_that_does_not_end_is_not_waited_for_twice() -> None:
    before = set(psutil.Process().children())  # supervisors of other tests' instances

    async def scenario() -> None:
        async with Local(DEAF) as local, opened(local.url) as tab:
            await tab.sees("deaf")
            local.hurry.put_nowait(signal.SIGINT)
        assert set(psutil.Process().children()) <= before

    asyncio.run(scenario())


def test_a_program_that_cannot_be_started_breaks_one_tab_off() -> None:
    async def scenario() -> None:
        async with Local("raise SystemExit('no screen today')") as local:
            async with opened(local.url) as tab:
                assert await tab.closed() == server.BROKEN
            assert local.said == ["tab: no screen today"]
            local.server._argv = ["/nowhere/devdb"]
            async with opened(local.url) as tab:
                assert await tab.closed() == server.BROKEN
            assert "/nowhere/devdb" in local.said[-1]

    asyncio.run(scenario())


def test_words_of_a_close_have_room_in_its_frame() -> None:
    words = (server.LEFT, server.FULL, server.BROKEN, server.ENDED)
    assert max(len(each.encode()) for each in words) <= 123


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"width": 80, "height": 24}, (80, 24)),
        ({"width": "80", "height": "24", "more": 1}, (80, 24)),
        ({"width": 10**12, "height": -3}, (1000, 1)),
        ({"width": 80.7, "height": 24}, (80, 24)),
        ({"width": float("inf"), "height": 24}, None),
        ({"width": None, "height": 24}, None),
        ({"width": 80}, None),
        ([80, 24], None),
    ],
)
def test_a_size_is_within_bounds(given: object, found: tuple[int, int] | None) -> None:
    size = tab.size(given)
    assert (tuple(size.values()) if size else None) == found


def test_nothing_of_the_web_is_loaded_until_it_is_used(project: Path) -> None:
    asking = (
        "import sys, devdb.cli.up, devdb.tui.web; "
        "print(*{'aiohttp', 'jinja2', 'textual_serve'} & set(sys.modules))"
    )
    done = ended([sys.executable, "-c", asking], cwd=project, env=dict(os.environ))
    assert (done.code, done.out) == (0, "\n")
