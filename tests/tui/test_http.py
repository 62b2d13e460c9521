"""The key `h`: the HTTP URL, and the gateway behind it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import world
from driving import NAME, Driver

from devdb import marker
from devdb.config import Settings
from devdb.model import Spec
from devdb.tui.app import DevdbApp
from devdb.urls.serverless import SNIPPET
from devdb.workspace import down, gateway


@pytest.fixture
def port(free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The one that an instance gets which has none."""
    number = free_port()
    monkeypatch.setattr("devdb.workspace.ports.FIRST_HTTP", number)
    yield number
    if spec := marker.load(NAME):
        down.remove(spec)


def spec() -> Spec:
    found = marker.load(NAME)
    assert found is not None
    return found


def pid() -> int:
    part = gateway.part(spec())
    assert part is not None
    assert part.detail.startswith("pid "), part.detail
    return int(part.detail.split()[1])


def test_h_starts_the_gateway_then_shows_and_copies_its_url(
    drive: Callable[..., DevdbApp], copied: list[str], port: int
) -> None:
    url = f"http://127.0.0.1:{port}"

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        assert "Gateway" not in driver.text()
        await driver.press("h")
        lines = [line.strip() for line in SNIPPET.split("\n")]
        await driver.sees("✓ copied (xclip)", url, *lines)
        assert copied == [url]
        await driver.press("y")
        await driver.until(lambda: copied[1:] == [SNIPPET], "the lines are copied")
        await driver.press("escape")
        await driver.sees(f"running   {url}")

        os.kill(first := pid(), signal.SIGKILL)
        await driver.sees("h starts it", "● ready")
        await driver.press("h")
        await driver.until(lambda: copied[2:] == [url], "the URL is copied again")
        assert pid() != first
        await driver.sees(f"running   {url}")

        os.kill(pid(), signal.SIGKILL)
        await driver.sees("h starts it")
        await driver.press("h")
        await driver.until(lambda: copied[3:] == [url], "the URL is copied once more")
        await driver.press("escape")
        await driver.sees(f"running   {url}")

    # High enough for the gateway's line to be seen above what is shown.
    drive(scenario, size=(100, 70))


def test_h_of_a_gateway_that_runs_starts_none(
    drive: Callable[..., DevdbApp], copied: list[str], port: int, settings: Settings
) -> None:
    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.sees(f"running   http://127.0.0.1:{port}")
        first = pid()
        await driver.press("h")
        await driver.until(lambda: copied, "the URL is copied")
        assert pid() == first
        await driver.press("escape", "q")
        await driver.ended()
        assert not world.listening(port)

    drive(scenario, settings=replace(settings, http_port=port))


def test_h_says_what_is_in_the_way(
    drive: Callable[..., DevdbApp], copied: list[str], port: int, settings: Settings
) -> None:
    async def scenario(driver: Driver) -> None:
        await driver.ready()
        os.kill(pid(), signal.SIGKILL)
        await driver.sees("h starts it")
        with socket.create_server(("127.0.0.1", port)):
            await driver.press("h")
            await driver.sees(f"(pid {os.getpid()})")
            await driver.sees("is in use by somebody else")
        assert copied == []

    drive(scenario, size=(120, 40), settings=replace(settings, http_port=port))


def test_a_gateway_that_could_not_be_had_keeps_nobody_from_the_dashboard(
    drive: Callable[..., DevdbApp], port: int, settings: Settings
) -> None:
    wanted = replace(settings, http=True, sources=(("http", "--http"),))

    async def begin(driver: Driver) -> None:
        await driver.ready()
        await driver.press("d")
        await driver.ended()

    async def scenario(driver: Driver) -> None:
        await driver.ready()
        await driver.sees("runs, its gateway does not")

    drive(begin, settings=wanted)
    down.down(spec())
    with socket.create_server(("127.0.0.1", port)):
        drive(scenario, size=(160, 40), settings=wanted)
