"""What is wrong in an instance, in words."""

from __future__ import annotations

from datetime import UTC, datetime

import hypothesis
import pytest
from hypothesis import strategies as st

from devdb.monitor.backends import PREPARED, Backend
from devdb.monitor.look import Look
from devdb.monitor.pools import Pool
from devdb.monitor.trouble import troubles

STARTED = datetime(2026, 1, 1, tzinfo=UTC)


def backend(
    pid: int, *blocked_by: int, state: str = "active", age: float = 3.0, application: str = "app"
) -> Backend:
    return Backend(
        pid=pid,
        started=STARTED,
        database="main",
        role="devdb",
        application=application,
        client="127.0.0.1:50000",
        is_pooled=False,
        state=state,
        age=age,
        waits_for="Lock: tuple" if blocked_by else "",
        blocked_by=blocked_by,
        query="SELECT 1",
    )


def pool(database: str = "main", waiting: int = 0, oldest_wait: float = 0.0) -> Pool:
    return Pool(
        database=database,
        users=("devdb",),
        mode="transaction",
        active=20,
        waiting=waiting,
        oldest_wait=oldest_wait,
        used=20,
        open=20,
        size=20,
        per_second=0.0,
    )


def of_pools(*pools: Pool) -> tuple[str, ...]:
    return troubles(Look(pools=pools, backends=()))


def of(*backends: Backend) -> tuple[str, ...]:
    return troubles(Look(pools=(), backends=backends))


def test_where_all_is_well_there_is_nothing_to_say() -> None:
    assert troubles(Look(pools=None, backends=None)) == ()
    assert of_pools(pool(), pool("shop")) == ()
    assert of(backend(1), backend(2, state="idle in transaction", age=500)) == ()


def test_who_waits_for_the_pool_and_for_how_long() -> None:
    assert of_pools(pool(waiting=6, oldest_wait=9.7)) == ("6 wait for the pool, the oldest 9 s",)
    assert of_pools(pool(waiting=1, oldest_wait=75)) == (
        "1 waits for the pool, the oldest 1 min 15 s",
    )


def test_a_pool_is_named_where_there_are_several() -> None:
    assert of_pools(pool(), pool("shop", 6, 9)) == (
        "6 wait for the pool of 'shop', the oldest 9 s",
    )
    assert of_pools(pool("a", 6, 9), pool("b", 5, 12), pool("c")) == (
        "11 wait for 2 pools, the oldest 12 s",
    )


def test_who_waits_for_less_than_a_second_is_no_news() -> None:
    assert of_pools(pool(waiting=60, oldest_wait=0.99)) == ()
    assert of(backend(1), backend(2, 1, age=0.9)) == ()


def test_the_name_of_a_database_is_short_and_does_nothing_to_a_terminal() -> None:
    (words,) = of_pools(pool(), pool("\x1b]52;c;" + "x" * 55, 1, 2))
    assert "'\\x1b]52;c;xxxxxxxxx…'" in words
    assert "\x1b" not in words


@pytest.mark.parametrize(
    ("backends", "words"),
    [
        ((backend(4711), backend(2, 4711)), "1 blocked by pid 4711"),
        ((backend(1), backend(2, 1), backend(3, 2), backend(4, 3, 2)), "3 blocked by pid 1"),
        # Not who stands before them in the queue, but who is at its head.
        ((backend(1), backend(2, 1), backend(3, 2, 1), backend(4, 3, 2, 1)), "3 blocked by pid 1"),
        # Who is at its head is nobody's client: an autovacuum, or devdb itself.
        ((backend(2, 99), backend(3, 2)), "2 blocked by pid 99"),
        (
            (backend(1), backend(2, 1), backend(3, 1), backend(8), backend(9, 8)),
            "3 blocked, 2 of them by pid 1",
        ),
        # One who waits for both counts with both.
        (
            (backend(1), backend(8), backend(2, 1, 8), backend(3, 8)),
            "2 blocked, 2 of them by pid 8",
        ),
        ((backend(2, PREPARED), backend(3, 2)), "2 blocked by a prepared transaction"),
        ((backend(1, 2), backend(2, 1)), "2 block each other"),
        ((backend(1, 2), backend(2, 3), backend(3, 1), backend(4, 1)), "4 block each other"),
        # A ring that somebody is behind as well.
        ((backend(1, 2), backend(2, 1, 9), backend(9)), "2 blocked by pid 9"),
        # The oldest has waited long: those behind it count, however new they are.
        ((backend(1), backend(2, 1, age=2), backend(3, 2, age=0.1)), "2 blocked by pid 1"),
    ],
)
def test_who_is_blocked_by_whom(backends: tuple[Backend, ...], words: str) -> None:
    assert of(*backends) == (words,)
    assert of(*reversed(backends)) == (words,)


@pytest.mark.parametrize("state", ["idle in transaction", "idle in transaction (aborted)"])
def test_who_keeps_others_waiting_and_does_nothing(state: str) -> None:
    assert of(backend(1, state=state, age=42), backend(2, 1)) == (
        "1 blocked by pid 1",
        "pid 1 idle in transaction for 42 s",
    )
    # It may be about to go on.
    assert of(backend(1, state=state, age=4), backend(2, 1)) == ("1 blocked by pid 1",)
    assert of(backend(1, state="active", age=42), backend(2, 1)) == ("1 blocked by pid 1",)


def test_whose_all_connections_are() -> None:
    def taken(*holders: str, most: int = 100) -> tuple[str, ...]:
        return troubles(Look(pools=(), backends=(), max_connections=most, holders=holders))

    assert taken("95 by node (pid 4711)", "5 by PgBouncer") == (
        "all 100 connections are taken: 95 by node (pid 4711)",
    )
    assert taken() == ("all 100 connections are taken",)
    assert taken(most=0) == ("all connections are taken",)


def test_a_pooler_that_is_full() -> None:
    look = Look(pools=(), backends=(), max_clients=500, is_pooler_full=True)
    assert troubles(look) == ("PgBouncer takes no more than 500 clients",)


def test_the_worst_comes_first() -> None:
    look = Look(
        pools=(pool(waiting=6, oldest_wait=9),),
        backends=(backend(1, state="idle in transaction", age=9), backend(2, 1)),
        max_connections=20,
        holders=("20 by python3 (pid 5)",),
        max_clients=100,
        is_pooler_full=True,
    )
    assert [words.split()[0] for words in troubles(look)] == ["all", "PgBouncer", "6", "1", "pid"]
    two = troubles(Look(pools=look.pools, backends=look.backends))[:2]
    assert len("devdb shop" + "  ".join(two)) < 80


@st.composite
def graphs(draw: st.DrawFn) -> list[Backend]:
    pids = draw(st.lists(st.integers(1, 30), min_size=1, max_size=12, unique=True))
    behind = st.lists(st.sampled_from([*pids, PREPARED, 99]), max_size=3, unique=True)
    return [backend(pid, *(other for other in draw(behind) if other != pid)) for pid in pids]


@hypothesis.given(graphs())
def test_whatever_blocks_whom_it_is_told_who_is_at_the_end(backends: list[Backend]) -> None:
    blocked = {each.pid for each in backends if each.blocked_by}
    said = of(*backends)
    assert bool(said) == bool(blocked)
    for words in said[:1]:
        assert words.startswith(str(len(blocked)))
        assert not any(words.endswith(f"pid {pid}") for pid in blocked)
