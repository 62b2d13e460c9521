from __future__ import annotations

from datetime import timedelta

import pytest

from devdb.databases import check_ttl, names, parse_ttl
from devdb.errors import UsageError


@pytest.mark.parametrize(
    ("text", "ttl"),
    [
        ("1s", timedelta(seconds=1)),
        ("90s", timedelta(seconds=90)),
        ("30m", timedelta(minutes=30)),
        ("36h", timedelta(hours=36)),
        (" 7d ", timedelta(days=7)),
        ("30d", timedelta(days=30)),
        ("720h", timedelta(days=30)),
    ],
)
def test_a_number_with_a_unit_is_a_time(text: str, ttl: timedelta) -> None:
    assert parse_ttl(text) == ttl


@pytest.mark.parametrize(
    "text",
    ["0", "0s", "-1h", "abc", "999d", "31d", "721h", "", "1", "1.5h", "1h30m", "1 h", "24H", "h",
     "99999999999999d", "٣h", "1w", "1h\n2h"],
)  # fmt: skip
def test_anything_else_is_refused_with_a_way_out(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_ttl(text)
    assert "7d" in refused.value.hint or "30d" in refused.value.hint


def test_a_duration_is_held_to_the_same_bounds() -> None:
    assert check_ttl(timedelta(hours=1)) == timedelta(hours=1)
    for ttl in (timedelta(0), timedelta(milliseconds=999), timedelta(days=30, seconds=1)):
        with pytest.raises(UsageError):
            check_ttl(ttl)


def test_names_are_valid_and_many() -> None:
    made = {names.check(names.invent()) for _ in range(3000)}
    assert len(made) > 1500
    assert all(len(name) <= 30 for name in made)
    crowded = {names.check(names.invent(crowded=True)) for _ in range(3000)}
    assert len(crowded) == 3000


@pytest.mark.parametrize(
    "name",
    ["", "pgbouncer", "postgres", "template1", "devdb", "devdb_pooler", "pg_x", "all", "public",
     "Upper", "1st", "a b", 'a"b', "a;b", "ä", "a" * 64, "-a", "a\n", "a/b", "a%b"],
)  # fmt: skip
def test_a_name_that_would_not_work_everywhere_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        names.check(name)


@pytest.mark.parametrize("name", ["a", "my-app", "temp_x", "_1", "a" * 63])
def test_an_ordinary_name_is_taken(name: str) -> None:
    assert names.check(name) == name
