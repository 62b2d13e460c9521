"""The reaper, with no devdb alive: nothing of it runs between making databases and looking."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

import libpq
import psutil
import psycopg
import pytest
import world
from databases.reapers import SHORT, StartReaper, reapers
from inside import Inside, login, until
from instances import ONE_ENGINE, Instance

from devdb import databases
from devdb.model import Spec

HOUR = timedelta(hours=1)


def test_it_pauses_for_less_than_30_seconds() -> None:
    assert SHORT != databases.REAPER
    assert databases.REAPER.count("sleep 20") == 1


def test_what_expires_is_dropped_with_its_sessions(
    spec: Spec, inside: Inside, start_reaper: StartReaper
) -> None:
    short = [databases.create(spec, ttl=HOUR) for _ in range(3)]
    long, kept = (databases.create(spec, ttl=HOUR) for _ in range(2))
    databases.claim(spec, kept.name)
    with ExitStack() as stack:
        sessions = [
            stack.enter_context(libpq.connect(endpoint, prepare_threshold=None))
            for endpoint in (short[0].direct, short[0].pooled, short[1].pooled, short[1].pooled)
        ]
        for session in sessions[1:]:
            session.execute("BEGIN")
            session.execute("SELECT 1")
        sessions[-1].execute("COMMIT")
        inside.expire(*(one.name for one in short))
        start_reaper()
        until(lambda: set(inside.entries()) == {long.name, kept.name})
        until(lambda: inside.closed() == [])
        for session in sessions:
            with pytest.raises(psycopg.OperationalError):
                session.execute("SELECT 1")
    until(lambda: inside.closed() == [])
    inside.assert_tidy()
    assert login(long.pooled) == login(kept.pooled) == "in"
    again = databases.create(spec, ttl=HOUR, name=short[0].name)
    assert login(again.pooled) == "in"


def test_what_a_killed_devdb_closed_is_opened_again(
    spec: Spec, inside: Inside, start_reaper: StartReaper
) -> None:
    with libpq.connect(spec.direct, database="postgres") as connection:
        assert databases.every(spec) == []
        connection.execute("SELECT _devdb.announce('main')")
        connection.execute("SELECT _devdb.close('main')")
    with libpq.console(spec) as console:
        console.execute("PAUSE main")
    assert inside.closed() == ["main"]
    assert "not currently accepting" in login(spec.direct)
    start_reaper()
    until(lambda: inside.closed() == [])
    assert login(spec.direct) == login(spec.pooled) == "in"


def test_what_somebody_works_on_is_left_to_them(
    spec: Spec, inside: Inside, start_reaper: StartReaper
) -> None:
    assert databases.every(spec) == []
    marker = databases.create(spec, ttl=HOUR)
    with libpq.connect(spec.direct, database="postgres") as connection:
        connection.execute("SELECT _devdb.announce('main')")
        connection.execute("SELECT _devdb.close('main')")
        connection.execute("SELECT _devdb.enter('made', '1 hour')")
        inside.expire(marker.name)
        start_reaper()
        until(lambda: marker.name not in inside.entries())
        until(lambda: inside.closed() == ["main"])
        assert inside.entries() == {"made": "making"}
    until(lambda: inside.closed() == [] and inside.entries() == {})


@ONE_ENGINE
@pytest.mark.parametrize(
    "step",
    [
        "FROM _devdb.seize",
        "drain",
        "FROM _devdb.prepared",
        "_devdb.shut(%L)",
        "DROP DATABASE",
        "set answer",
        "forget",
        "set status",
    ],
)
def test_killed_in_the_middle_it_is_mended_by_the_next(
    spec: Spec, inside: Inside, start_reaper: StartReaper, step: str
) -> None:
    made = databases.create(spec, ttl=HOUR, name="made")
    pooled = libpq.connect(made.pooled, prepare_threshold=None)
    pooled.execute("SELECT 1")
    inside.expire("made")
    lines = [*SHORT[: SHORT.index("while :;")].splitlines(), "round"]
    at = next(n for n, line in enumerate(lines) if step in line)
    one_round = "\n".join([*lines[:at], r"\! kill -9 $PPID", *lines[at:]])
    assert start_reaper(one_round).wait(timeout=20) == -signal.SIGKILL
    expected = {"FROM _devdb.seize": {"made": "ready"}, "set status": {}}
    assert inside.entries() == expected.get(step, {"made": "dropping"})
    start_reaper()
    until(lambda: inside.entries() == {} and inside.closed() == [])
    pooled.close()
    inside.assert_tidy()


def test_one_that_resists_does_not_keep_the_others(
    spec: Spec, inside: Inside, start_reaper: StartReaper
) -> None:
    """A subscription keeps its database from being dropped."""
    one, two = (databases.create(spec, ttl=HOUR, name=name) for name in ("one", "two"))
    inside.sql(
        "CREATE SUBSCRIPTION sub CONNECTION 'host=nowhere' PUBLICATION p"
        " WITH (connect = false, slot_name = NONE)",
        database="one",
    )
    inside.expire(one.name, two.name)
    start_reaper()
    until(lambda: set(inside.entries()) == {"one"})
    assert login(one.direct) != "in"
    while inside.entries():
        # Each round closes it again, and the last one drops it.
        with contextlib.suppress(psycopg.Error):
            inside.sql("ALTER DATABASE one ALLOW_CONNECTIONS true")
            inside.sql("DROP SUBSCRIPTION IF EXISTS sub", database="one")


def test_told_to_end_it_ends_at_once(start_reaper: StartReaper) -> None:
    process = start_reaper(databases.REAPER)
    parent = psutil.Process(process.pid)
    until_it_rests(parent)
    children = parent.children(recursive=True)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    until(lambda: all(world.has_ended(child) for child in children))


def until_it_rests(reaper: psutil.Process) -> None:
    def sleeps() -> bool:
        with suppress(psutil.NoSuchProcess):  # one of a round that ends between the two questions
            return any(child.name() == "sleep" for child in reaper.children())
        return False

    until(sleeps)


@ONE_ENGINE
def test_told_to_end_while_it_begins_a_round_it_leaves_nothing(
    inside: Inside, start_reaper: StartReaper, tmp_path: Path
) -> None:
    """One in a hundred ends comes between the start of a round and its number's being known."""
    assert inside.entries() == {}
    for _ in range(5):
        process = start_reaper(f"# {tmp_path}\n{SHORT}")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        until_it_rests(psutil.Process(process.pid))
        resting = set(children.read_text().split())
        while set(children.read_text().split()) <= resting:
            pass  # for as long as it rests: its next child is a round that begins
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        until(lambda: not world.mentioning(tmp_path))


def test_without_a_pooler_it_drops_all_the_same(
    spec: Spec, inside: Inside, start_reaper: StartReaper
) -> None:
    made = databases.create(spec, ttl=HOUR)
    inside.expire(made.name)
    start_reaper(DEVDB_POOLER_PORT="1")
    until(lambda: inside.entries() == {})
    # What it could not resume it leaves written down, for one that can.
    assert inside.sql("SELECT name FROM _devdb.closed") == [made.name]


def test_it_outlives_a_restart_of_the_servers(
    new_instance: Callable[..., Instance], tmp_path: Path
) -> None:
    instance = new_instance()
    inside = Inside(instance.spec)
    made = databases.create(instance.spec, ttl=HOUR)
    inside.expire(made.name)
    instance.stop()
    with reapers(instance.spec, tmp_path) as start:
        reaper = start()
        time.sleep(1)  # some rounds in which nobody answers
        instance.start()
        until(lambda: inside.entries() == {} and inside.closed() == [])
        assert reaper.poll() is None
    inside.assert_tidy()


def test_after_a_pause_the_role_is_refused_and_the_drop_follows(
    new_instance: Callable[..., Instance],
) -> None:
    """The script as it is, with its own pause: dropped within 60 s of the start."""
    instance = new_instance(reaper=databases.REAPER)
    inside = Inside(instance.spec)
    made = databases.create(instance.spec, ttl=timedelta(seconds=5))
    instance.stop()
    time.sleep(5)  # nothing runs that could be asked
    instance.start()
    assert "authentication failed" in login(made.direct)
    assert login(made.pooled) != "in"
    until(lambda: inside.entries() == {}, seconds=60)
    assert login(made.direct) != "in"
    until(lambda: inside.closed() == [], seconds=10)
    inside.assert_tidy()


def test_a_session_that_is_open_at_the_end_is_ended_within_60_seconds(
    new_instance: Callable[..., Instance],
) -> None:
    instance = new_instance(reaper=databases.REAPER)
    inside = Inside(instance.spec)
    made = databases.create(instance.spec, ttl=timedelta(seconds=3))
    with libpq.connect(made.pooled, prepare_threshold=None) as session:
        session.execute("BEGIN")
        session.execute("SELECT 1")
        until(lambda: inside.entries() == {}, seconds=63)
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")
