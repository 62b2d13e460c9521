"""The pools, from what each PgBouncer says of them; and how their last minute is drawn."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from devdb import pgbouncer
from devdb.monitor.history import LENGTH, History
from devdb.monitor.pools import Counts, Pool, backend_pids, counts, pools
from devdb.pgbouncer import Limits

LIMITS = Limits(
    clients=100, pool=5, reserve=0, per_database=0, per_user=0, mode="transaction", prepared=200
)


def shown(database: str = "main", user: str = "devdb", **counted: Any) -> dict[str, Any]:
    """A line of SHOW POOLS, as 1.24 and newer have it."""
    line = {
        "database": database,
        "user": user,
        **dict.fromkeys(
            (
                *("cl_active", "cl_waiting", "cl_active_cancel_req", "cl_waiting_cancel_req"),
                *("sv_active", "sv_active_cancel", "sv_being_canceled", "sv_idle", "sv_used"),
                *("sv_tested", "sv_login", "maxwait", "maxwait_us"),
            ),
            0,
        ),
        "pool_mode": "transaction",
        "load_balance_hosts": None,
    }
    assert counted.keys() <= line.keys()
    return line | counted


CONSOLE = shown("pgbouncer", "pgbouncer", cl_active=1, pool_mode="statement")
LOOKUP = shown("postgres", "devdb_pooler", cl_active=0, sv_idle=1)


def one(*lines: dict[str, Any], limits: Limits = LIMITS, rate: float | None = None) -> Pool:
    rates = {} if rate is None else {"main": rate}
    (pool,) = pools(lines, limits, rates)
    return pool


def test_a_pool_is_what_its_line_says() -> None:
    line = shown(cl_active=5, cl_waiting=6, sv_active=3, sv_active_cancel=1, sv_being_canceled=1)
    line |= {"sv_idle": 2, "sv_used": 1, "sv_tested": 1, "sv_login": 1}
    line |= {"maxwait": 9, "maxwait_us": 250_000}
    assert one(CONSOLE, line, LOOKUP, rate=12.5) == Pool(
        database="main",
        users=("devdb",),
        mode="transaction",
        active=5,
        waiting=6,
        oldest_wait=9.25,
        used=5,
        open=10,
        size=5,
        per_second=12.5,
    )


def test_a_pgbouncer_that_counts_no_microseconds_and_names_its_columns_otherwise() -> None:
    """As before 1.18."""
    line = shown(cl_active=2, cl_waiting=1, sv_active=2, maxwait=3)
    for name in ("maxwait_us", "cl_active_cancel_req", "sv_active_cancel", "sv_being_canceled"):
        del line[name]
    pool = one(line | {"cl_cancel_req": 1})
    assert (pool.active, pool.waiting, pool.oldest_wait, pool.used, pool.open) == (2, 1, 3, 2, 2)


def test_the_users_of_a_database_are_one_pool() -> None:
    pool = one(
        shown("main", "devdb", cl_active=1, cl_waiting=2, sv_active=5, maxwait=1),
        shown("main", "another", cl_active=3, cl_waiting=1, sv_active=2, sv_idle=1, maxwait=4),
        shown("main", "gone"),
    )
    assert pool.users == ("another", "devdb")
    assert (pool.active, pool.waiting, pool.oldest_wait) == (4, 3, 4)
    assert (pool.used, pool.open, pool.size) == (7, 8, 10)


@pytest.mark.parametrize(
    ("limits", "size"),
    [
        (LIMITS, 10),
        (replace(LIMITS, reserve=2), 14),
        (replace(LIMITS, per_database=8), 8),
        (replace(LIMITS, per_database=50), 10),
    ],
)
def test_its_size_is_what_all_of_them_may_have(limits: Limits, size: int) -> None:
    lines = (shown("main", "devdb", sv_idle=1), shown("main", "another", sv_idle=1))
    assert one(*lines, limits=limits).size == size


def test_those_that_wait_come_first_and_the_empty_ones_not_at_all() -> None:
    found = pools(
        (
            shown("shop", "devdb", cl_active=1),
            shown("busy", "devdb", cl_waiting=3, maxwait_us=900_000),
            shown("stuck", "devdb", cl_waiting=1, maxwait=2),
            shown("main", "devdb"),
            shown("dropped", "devdb"),
            CONSOLE,
            LOOKUP,
        ),
        LIMITS,
        {},
    )
    assert [pool.database for pool in found] == ["stuck", "main", "busy", "shop"]


def test_an_app_in_the_maintenance_database_is_shown_and_the_auth_query_is_not() -> None:
    assert pools((LOOKUP, shown("main", "devdb_pooler", sv_idle=1)), LIMITS, {}) == ()
    (pool,) = pools((LOOKUP, shown("postgres", "devdb", cl_active=1)), LIMITS, {})
    assert (pool.database, pool.users, pool.open) == ("postgres", ("devdb",), 0)


@pytest.mark.parametrize(
    ("line", "limits", "queues"),
    [
        (shown(), LIMITS, False),
        (shown(sv_active=4, cl_active=4), LIMITS, False),
        (shown(sv_active=5, cl_active=9), LIMITS, True),
        (shown(sv_active=4, sv_login=1), LIMITS, True),
        (shown(sv_active=4, sv_idle=1), LIMITS, False),
        (shown(sv_active=4, cl_waiting=1), replace(LIMITS, per_database=4), True),
        (shown(sv_active=4, cl_waiting=1), replace(LIMITS, per_user=4), True),
        # Clients that wait at a pool that is not full: nobody gets a connection at all.
        (shown(cl_waiting=3, maxwait=9), LIMITS, False),
        (shown("shop", sv_active=5), LIMITS, False),
        (shown("shop", sv_active=5), replace(LIMITS, per_user=5), True),
    ],
)
def test_who_comes_next_queues_where_all_are_at_work_and_there_may_be_no_more(
    line: dict[str, Any], limits: Limits, queues: bool
) -> None:
    assert pgbouncer.would_queue([CONSOLE, LOOKUP, line], limits) == queues


def test_it_queues_too_where_postgres_has_no_room() -> None:
    assert pgbouncer.would_queue([shown(sv_active=1)], LIMITS, can_open=False)
    assert not pgbouncer.would_queue([shown(sv_idle=1)], LIMITS, can_open=False)


def stats(**queries: int) -> list[dict[str, Any]]:
    return [
        {"database": name, "total_xact_count": "1", "total_query_count": str(count)}
        for name, count in queries.items()
    ]


def test_queries_a_second_are_counted_from_one_look_to_the_next() -> None:
    first = counts(stats(main=100, shop=7), 10.0)
    second = counts(stats(main=350, shop=7, late=3), 12.5)
    assert first.since(None) == {}
    assert second.since(first) == {"main": 100.0, "shop": 0.0}
    assert second.since(second) == {}


def test_a_pgbouncer_started_anew_counts_from_zero_and_nothing_is_negative() -> None:
    before = Counts(at=1.0, queries={"main": 100, "shop": 5})
    after = Counts(at=2.0, queries={"main": 3, "shop": 9})
    assert after.since(before) == {"shop": 4.0}


def test_devdbs_own_query_is_not_counted() -> None:
    before = Counts(at=1.0, queries={"main": 100})
    assert Counts(at=2.0, queries={"main": 101}).since(before, own=1) == {"main": 0.0}
    assert Counts(at=2.0, queries={"main": 100}).since(before, own=1) == {"main": 0.0}


def test_the_pids_are_those_that_postgres_tells() -> None:
    assert backend_pids([{"remote_pid": 81, "state": "idle"}, {"remote_pid": 0}]) == {81, 0}


def pool(database: str, rate: float | None) -> Pool:
    return replace(one(shown()), database=database, per_second=rate)


def history(*rates: float | None) -> History:
    made = History()
    for rate in rates:
        made.add([pool("main", rate)])
    return made


def test_a_quiet_minute_is_a_low_line_and_something_is_never_drawn_as_nothing() -> None:
    assert history(*[0.0] * 90).line("main", 60) == "▁" * 60
    assert history(0, 1, 0).line("main", 60) == "▁▂▁"
    assert history(0, 0.01, 10_000).line("main", 60) == "▁▂█"
    assert history(0, 20, 40, 60, 80, 100, 120, 140).line("main", 60) == "▁▂▃▄▅▆▇█"


def test_what_nobody_knows_is_a_gap() -> None:
    made = history(None, 20)
    made.add(None)
    made.add([pool("main", 20)])
    assert made.line("main", 60) == " █ █"


def test_the_last_minute_has_room_in_any_width() -> None:
    made = history(*range(1, 200))
    for width in range(1, 100):
        line = made.line("main", width)
        assert len(line) <= min(width, LENGTH)
        assert line.endswith("█")
    assert made.line("main", 0) == made.line("nowhere", 60) == ""
    assert len(made.line("main", 60)) == LENGTH


def test_a_narrow_line_only_moves() -> None:
    """What is drawn stays what it was, and goes to the left; nothing in it flickers."""
    made, lines = History(), []
    for second in range(120):
        made.add([pool("main", 80.0 if second % 7 == 0 else 10.0)])
        lines.append(made.line("main", 12))
    settled = lines[LENGTH:]
    for before, after in pairwise(settled):
        # But for its end, to which a look is added, and its beginning, of which one is forgotten.
        assert after[1:-1] in (before[1:-1], before[2:] + after[-2:-1], before[2:])


def test_a_database_that_is_gone_is_forgotten() -> None:
    made = history(50, 50)
    made.add([pool("shop", 50)])
    assert made.line("main", 60) == ""
    made.add([pool("main", 50)])
    assert made.line("main", 60) == "█"
    made.add([])
    made.add(None)
    assert made.line("main", 60) == ""
