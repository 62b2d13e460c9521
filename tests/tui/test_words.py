"""Times and sizes in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from devdb.tui import words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (45.9, "45 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (8040, "2 h 14 min"),
        (86400, "1 d"),
        (273600, "3 d 4 h"),
    ],
)
def test_a_duration_is_said_in_its_two_greatest_units(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "00:00:00"), (3599.9, "00:59:59"), (86399, "23:59:59"), (90000, "1 d 01:00:00")],
)
def test_a_countdown_is_a_clock(seconds: float, said: str) -> None:
    assert words.countdown(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (3.26, "3.3 s"), (99.9, "99.9 s"), (125, "2:05 min")]
)
def test_a_span_is_said_to_the_tenth(seconds: float, said: str) -> None:
    assert words.elapsed(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (7_400_000, "7.4 MB"), (5 * 10**14, "500 TB")],
)
def test_a_size_is_said_in_three_digits(count: int, said: str) -> None:
    assert words.size(count) == said


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
