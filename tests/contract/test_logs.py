"""What both servers write, read by every engine alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import libpq
import psycopg
import pytest
import world

from devdb import databases, sessions, urls
from devdb.engines import Engine
from devdb.journal import Entry
from devdb.model import Endpoint, Spec
from devdb.workspace import logs, slow
from devdb.workspace.slow import OFF, THRESHOLD, Slow


def start(engine: Engine, spec: Spec) -> Spec:
    spec = replace(spec, reaper=databases.REAPER.replace("sleep 20", "sleep 0.5"))
    list(engine.start(spec))
    return spec


def written(spec: Spec) -> list[Entry]:
    return list(logs.written(spec, tail=10_000))


def ask_for(database: str, endpoint: Endpoint) -> str:
    """Ask for a database that is not there, as an app may; what both servers say of it."""
    said = f'database "{database}" does not exist'
    with pytest.raises(psycopg.OperationalError, match=said):
        psycopg.connect(urls.url(replace(endpoint, database=database)))
    return said


def has(entries: list[Entry], part: str, words: str) -> bool:
    return any(entry.part == part and words in entry.text for entry in entries)


def test_an_error_through_the_pooled_url_is_in_both_logs_in_order(running: Spec) -> None:
    before = len(written(running))
    words = ask_for("nowhere", running.pooled)
    found: list[Entry] = []

    def both() -> bool:
        found[:] = written(running)[before:]
        return has(found, "postgres", words) and has(found, "pgbouncer", words)

    world.eventually(both, "it in both logs")
    moments = [entry.moment for entry in found if entry.moment]
    assert len(moments) == len(found)
    assert moments == sorted(moments)
    assert abs(datetime.now(UTC) - moments[-1]) < timedelta(minutes=1)
    of_it = [entry for entry in found if "nowhere" in entry.text]
    postgres = next(entry for entry in of_it if entry.part == "postgres")
    pgbouncer = [entry for entry in of_it if entry.level == "WARNING"]
    assert (postgres.level, postgres.belongs) == ("FATAL", False)
    assert of_it.index(postgres) < of_it.index(pgbouncer[-1])
    assert not any(entry.is_housekeeping for entry in of_it)


def test_what_is_followed_comes_in_order_and_soon(running: Spec) -> None:
    following = logs.followed(running, tail=5)
    while next(following) is not None:
        pass
    words = ask_for("followed", running.pooled)
    came: list[Entry] = []
    for entry in following:
        came += [entry] if entry else []
        if has(came, "postgres", words) and has(came, "pgbouncer", words):
            break
    following.close()
    assert next(entry.part for entry in came if words in entry.text) == "postgres"


def test_a_message_of_many_lines_and_a_very_long_one_stay_whole(running: Spec) -> None:
    """A line longer than 16 KiB is kept in pieces by Docker, each with a time stamp."""
    long = "x" * 50_000
    statement = f"SELECT '{long}',\n  '2026-11-26 07:41:04.837 UTC [1] ERROR:  no',\n\tnowhere"
    failing = pytest.raises(psycopg.errors.UndefinedColumn)
    with psycopg.connect(urls.url(running.direct)) as connection, failing:
        connection.execute(statement.encode())
    found: list[Entry] = []

    def whole() -> bool:
        found[:] = [entry for entry in written(running) if entry.level == "STATEMENT"][-3:]
        return len(found) == 3 and found[-1].text == "\t\tnowhere"

    world.eventually(whole, "the statement")
    assert [entry.text for entry in found[:2]] == [
        f"SELECT '{long}',",
        "\t  '2026-11-26 07:41:04.837 UTC [1] ERROR:  no',",
    ]
    assert all(entry.belongs for entry in found)


def test_what_devdb_does_is_hidden_and_what_the_user_does_is_not(
    real_engine: Engine, real_spec: Spec
) -> None:
    spec = start(real_engine, real_spec)
    made = databases.create(spec, ttl=timedelta(hours=1))
    with libpq.connect(made.pooled), libpq.connect(made.direct):
        databases.drop(spec, [made.name])
    databases.create(spec, ttl=timedelta(seconds=1))
    world.eventually(lambda: databases.every(spec) == [], "its expiry", timeout=60)
    with libpq.connect(spec.direct) as connection:
        connection.execute(b"CREATE DATABASE mine STRATEGY file_copy")
        connection.execute(b"DROP DATABASE mine")
    words = ask_for("nowhere", spec.pooled)
    entries = written(spec)
    own = [entry.text for entry in entries if entry.is_housekeeping]
    shown = [entry for entry in entries if not entry.is_housekeeping]
    assert any(text.startswith("PAUSE") for text in own)
    assert any(text.startswith("checkpoint starting: ") for text in own)
    assert [entry.text for entry in shown if "command issued" in entry.text] == []
    assert [entry.text for entry in shown if "/devdb_pooler@" in entry.text] == []
    assert has(shown, "reaper", "drops ")
    assert has(shown, "postgres", "terminating connection due to administrator command")
    assert has(shown, "postgres", words)
    mine = [entry for entry in shown if entry.text.startswith("checkpoint starting: immediate")]
    assert mine, "of the user's own database"


def test_slow_queries_are_logged_from_one_key_to_the_next(
    real_engine: Engine, real_spec: Spec
) -> None:
    spec = start(real_engine, real_spec)

    def query(endpoint: Endpoint, sql: str) -> None:
        with psycopg.connect(urls.url(endpoint), autocommit=True) as connection:
            connection.execute(sql.encode())

    seen: dict[str, float] = {}

    def durations() -> dict[str, float]:
        """Also those in the log of a pod that is gone by now."""
        found = (entry for entry in written(spec) if entry.duration is not None)
        seen.update({entry.text.partition("SELECT ")[2]: entry.duration or 0 for entry in found})
        return seen

    def setting() -> str:
        with psycopg.connect(urls.url(spec.direct)) as connection:
            [value] = connection.execute("SHOW log_min_duration_statement").fetchone() or [""]
        return str(value)

    assert slow.look(spec) == Slow(OFF, OFF, is_turned=False)
    query(spec.pooled, "SELECT pg_sleep(0.3), 'before'")
    with psycopg.connect(urls.url(spec.direct), autocommit=True) as kept:
        assert slow.turn(spec) == slow.look(spec) == Slow(THRESHOLD, OFF, is_turned=True)
        world.eventually(lambda: setting() == "200ms", "the reload")
        kept.execute("SELECT pg_sleep(0.3), 'kept'")
    query(spec.pooled, "SELECT pg_sleep(0.3), 'pooled'")
    with sessions.direct(spec.direct) as own:
        own.query("SELECT pg_sleep(0.3), 'devdb''s own'")
    world.eventually(lambda: len(durations()) == 2, "those so far")
    real_engine.stop(spec.name)
    start(real_engine, spec)
    query(spec.direct, "SELECT pg_sleep(0.3), 'after a restart'")
    world.eventually(lambda: len(durations()) == 3, "the last of them")
    assert set(durations()) == {
        "pg_sleep(0.3), 'kept'",
        "pg_sleep(0.3), 'pooled'",
        "pg_sleep(0.3), 'after a restart'",
    }
    assert all(milliseconds >= 300 for milliseconds in durations().values())
    assert slow.turn(spec) == Slow(OFF, OFF, is_turned=False)
    world.eventually(lambda: setting() == "-1", "the reload")
    real_engine.stop(spec.name)
    spec = start(real_engine, replace(spec, settings=(("log_min_duration_statement", "0"),)))
    assert slow.look(spec) == Slow(0, 0, is_turned=False)
    query(spec.pooled, "SELECT 'at once'")
    world.eventually(lambda: "'at once'" in durations(), "a query that is not slow")
    others = [entry for entry in written(spec) if "SELECT 1 /* devdb */" in entry.text]
    assert all(entry.is_housekeeping for entry in others), "what devdb asks as any client would"
    assert slow.turn(spec) == Slow(OFF, 0, is_turned=True)
    assert slow.turn(spec) == Slow(0, 0, is_turned=False)
