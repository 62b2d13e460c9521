"""What the dashboard alone words: countdowns, bars, short texts."""

from __future__ import annotations

from pathlib import Path

import pytest

from devdb.tui import words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "00:00:00"), (3599.9, "00:59:59"), (86399, "23:59:59"), (90000, "1 d 01:00:00")],
)
def test_a_countdown_is_a_clock(seconds: float, said: str) -> None:
    assert words.countdown(seconds) == said


def test_a_text_that_is_too_long_says_so() -> None:
    assert words.shortened("abcde", 5) == "abcde"
    assert words.shortened("abcdef", 5) == "abcd…"


def test_a_bar_is_as_long_as_it_is_asked_to_be() -> None:
    for done in (0, 3, 10, 12):
        filled, empty = words.bar(done, 10, 24)
        assert len(filled + empty) == 24
    assert words.bar(5, 10, 24) == ("━" * 12, "╌" * 12)
    assert words.bar(0, 0, 24) == ("", "╌" * 24)


def test_the_home_directory_is_a_tilde(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert words.path(Path("/home/me/code/shop")) == "~/code/shop"
    assert words.path("/srv/shop") == "/srv/shop"
    assert words.path("volume devdb-shop") == "volume devdb-shop"


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (43, "postgresql://devdb:***@127.0.0.1:15432/main"),
        (42, "…@127.0.0.1:15432/main"),
        (22, "…@127.0.0.1:15432/main"),
        (21, "…:15432/main"),
        (8, "…:15432…"),
        (0, ""),
    ],
)
def test_a_url_without_room_keeps_its_port_for_longest(width: int, shown: str) -> None:
    assert words.shortened_url("postgresql://devdb:***@127.0.0.1:15432/main", width) == shown


def test_a_url_without_an_account_loses_its_end() -> None:
    assert words.shortened_url("host=127.0.0.1 port=15432", 10) == "host=127.…"
