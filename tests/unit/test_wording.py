"""Times, sizes and counts in words, the same for the command line and the dashboard."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from devdb import wording


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (45.9, "45 s"),
        (60, "1 min"),
        (90, "1 min 30 s"),
        (3599, "59 min 59 s"),
        (3605, "1 h"),
        (8040, "2 h 14 min"),
        (86400 + 59 * 60, "1 d"),
        (273600, "3 d 4 h"),
    ],
)
def test_a_span_is_said_in_a_unit_and_the_next_one(seconds: float, said: str) -> None:
    assert wording.span(seconds) == said


def test_what_never_was_is_no_time_ago() -> None:
    assert wording.since(None) == ""
    assert wording.since(datetime.now(UTC) - timedelta(hours=2, seconds=30)) == "2 h"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.04, "0.0 s"), (3.26, "3.3 s"), (99.9, "99.9 s"), (125, "2:05 min")]
)
def test_what_a_step_took_is_said_to_the_tenth(seconds: float, said: str) -> None:
    assert wording.elapsed(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (7_400_000, "7.4 MB"), (5 * 10**14, "500 TB")],
)
def test_a_size_is_said_in_three_digits(count: int, said: str) -> None:
    assert wording.size(count) == said


def test_one_is_not_many() -> None:
    assert [wording.count(number, "client") for number in (0, 1, 2)] == [
        "0 clients",
        "1 client",
        "2 clients",
    ]


def test_what_became_of_a_key_is_said_with_what_it_was() -> None:
    assert wording.env_change("added") == "added"
    assert wording.env_change("replaced", old="x", places=2) == "replaced in 2 places (was x)"


def test_the_passwords_in_a_file_are_kept_from_others_and_from_git() -> None:
    file = Path("/shop/.env")
    assert wording.env_warnings(file, is_open=False, git="ignored") == []
    [of_mode, of_git] = wording.env_warnings(file, is_open=True, git="offered")
    assert "chmod 600 /shop/.env" in of_mode
    assert "echo .env >> .gitignore" in of_git
    [tracked] = wording.env_warnings(file, is_open=False, git="tracked")
    assert "git rm --cached .env" in tracked
