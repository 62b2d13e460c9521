"""The sessions, from what Postgres answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from devdb.monitor.backends import Activity, Backend
from devdb.wire import Row

STARTED = datetime(2026, 1, 1, tzinfo=UTC)


def row(pid: int, **changes: object) -> Row:
    """As Postgres answers; None is what one may not see."""
    columns = {
        "pid": pid,
        "started": STARTED,
        "database": "main",
        "role": "devdb",
        "application": "app",
        "address": "127.0.0.1",
        "port": 50000 + pid,
        "state": "active",
        "age": 1.5,
        "kind": None,
        "event": None,
        "blockers": None,
        "query": "SELECT 1",
    }
    assert changes.keys() <= columns.keys()
    return (*(columns | changes).values(), None, None, None)


def seen(rows: Sequence[Row], pooled: frozenset[int] = frozenset()) -> tuple[Backend, ...]:
    activity = Activity(
        version="18.0", started=STARTED, max_connections=100, is_beside=False, rows=tuple(rows)
    )
    return activity.backends(pooled)


def test_a_session_is_what_postgres_says() -> None:
    (found,) = seen(
        [row(7, kind="Lock", event="tuple", blockers="{4,4,0,9}", address="::1")], frozenset({7})
    )
    assert found == Backend(
        pid=7,
        started=STARTED,
        database="main",
        role="devdb",
        application="app",
        client="[::1]:50007",
        is_pooled=True,
        state="active",
        age=1.5,
        waits_for="Lock: tuple",
        blocked_by=(4, 0, 9),
        query="SELECT 1",
    )


def test_one_of_which_nothing_may_be_seen_is_there_all_the_same() -> None:
    hidden = ("database", "role", "address", "port", "state", "age", "kind", "event", "blockers")
    (found,) = seen([row(7, **dict.fromkeys((*hidden, "application")), query="<hidden>")])
    assert (found.pid, found.role, found.client, found.state, found.age) == (7, "", "", "", 0)
    assert (found.waits_for, found.blocked_by) == ("", ())


def test_one_that_is_not_in_yet_is_nobodys() -> None:
    assert seen([row(7, state="starting", role=None, database=None)]) == ()


@pytest.mark.parametrize("kind", ["Client", "Activity"])
def test_to_wait_for_ones_client_is_not_to_wait(kind: str) -> None:
    (found,) = seen([row(7, kind=kind, event="ClientRead")])
    assert found.waits_for == ""


def test_devdbs_own_are_not_among_them() -> None:
    rows = [
        row(1, application="devdb"),
        row(2, application="devdb-reaper"),
        row(3, role="devdb_pooler", application="app"),
        row(4, application="devdb-shop"),
        row(5, application="devdb", role="somebody"),
        row(6, application="psql"),
        row(7, application=""),
    ]
    assert [found.pid for found in seen(rows)] == [4, 5, 6, 7]


def test_a_pooled_one_that_devdb_used_last_is_still_an_apps() -> None:
    (found,) = seen([row(1, application="devdb", state="idle")], frozenset({1}))
    assert (found.pid, found.application, found.is_pooled) == (1, "", True)


def test_who_keeps_others_waiting_comes_first() -> None:
    rows = [
        row(1, state="idle", age=900.0),
        row(2, state="idle in transaction", age=5.0),
        row(3, age=0.5),
        row(4, age=30.0),
        row(5, kind="Lock", event="tuple", blockers="{6}", age=2.0),
        row(6, kind="Lock", event="tuple", blockers="{8}", age=3.0),
        row(7, state="idle in transaction (aborted)", age=8.0),
        row(8, state="idle in transaction", age=4.0),
    ]
    assert [found.pid for found in seen(rows)] == [8, 6, 5, 4, 3, 7, 2, 1]


def test_those_that_have_just_begun_keep_their_places() -> None:
    ages = {1: 0.1, 2: 0.9, 3: 0.4, 4: 1.2, 5: 7.0}
    found = seen([row(pid, age=age) for pid, age in ages.items()])
    assert [each.pid for each in found] == [5, 4, 1, 2, 3]
