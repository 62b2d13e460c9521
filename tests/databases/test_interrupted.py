"""A devdb that is interrupted, killed or cut off while the server makes a database.

A lock on pg_database keeps CREATE DATABASE from getting anywhere for as long as a test wants.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import libpq
import pytest
from inside import Inside, login, until
from instances import Instance

from devdb import databases, marker
from devdb.model import Spec

CREATE = """
import sys
from datetime import timedelta
from devdb import marker, databases
from devdb.errors import DevdbError
try:
    databases.create(
        marker.load(sys.argv[1]), ttl=timedelta(hours=1), name="made", source=sys.argv[2] or None
    )
except KeyboardInterrupt:
    sys.exit(130)
except DevdbError as error:
    print(error.message, error.hint, sep="\\n")
    sys.exit(1)
"""
BUSY = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE DATABASE%' AND state = 'active'"


@contextmanager
def held_up(inside: Inside) -> Iterator[None]:
    with libpq.connect(inside.spec.direct, database="postgres") as connection:
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE pg_database IN SHARE MODE")
        yield


@contextmanager
def creating(inside: Inside, source: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """A process whose CREATE DATABASE has been sent, and waits in the server."""
    marker.save(inside.spec)
    command = [sys.executable, "-c", CREATE, inside.spec.name, source]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            until(lambda: inside.sql(BUSY))
            yield process
        finally:
            process.kill()


def test_interrupted_it_takes_back_what_it_began(spec: Spec, inside: Inside) -> None:
    databases.every(spec)
    with held_up(inside), creating(inside) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
    assert inside.entries() == {}
    inside.assert_tidy()


def test_interrupted_in_a_copy_it_opens_the_origin_again(spec: Spec, inside: Inside) -> None:
    """A comment in the making is in the way of nothing but CREATE DATABASE, which comes last."""
    databases.every(spec)
    with libpq.connect(spec.direct, database="postgres") as holder:
        holder.execute("BEGIN")
        holder.execute("COMMENT ON DATABASE main IS 'held'")
        with creating(inside, "main") as process:
            assert inside.closed() == ["main"]
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 130
        assert login(spec.direct) == login(spec.pooled) == "in"
        holder.execute("ROLLBACK")
    assert inside.entries() == {}
    inside.assert_tidy()


def test_killed_it_leaves_the_server_at_it_and_the_rest_to_the_next(
    spec: Spec, inside: Inside
) -> None:
    databases.every(spec)
    with held_up(inside), creating(inside) as process:
        process.kill()
        process.wait()
        assert databases.reap(spec) == []  # the server still holds the lock of the dead
        assert inside.entries() == {"made": "making"}
    until(lambda: databases.reap(spec) is not None and inside.entries() == {})
    inside.assert_tidy()


def test_killed_in_a_copy_the_origin_is_opened_by_the_next(spec: Spec, inside: Inside) -> None:
    """Closing the origin changes pg_database too: here it is held up right after that."""
    databases.every(spec)
    with libpq.connect(spec.direct, database="main") as session:
        session.execute("SELECT 1")
        child = os.fork()
        if child == 0:
            _copy_and_die(spec)
        os.waitpid(child, 0)
    assert inside.closed() == ["main"]
    assert "not currently accepting" in login(spec.direct)

    def is_open_again() -> bool:
        databases.reap(spec)
        return inside.closed() == []

    until(is_open_again)
    assert login(spec.direct) == login(spec.pooled) == "in"


def _copy_and_die(spec: Spec) -> None:
    from devdb.databases import copying

    def die(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    copying.strategy = die  # type: ignore[assignment]
    try:
        databases.create(spec, ttl=databases.DEFAULT_TTL, source="main")
    finally:
        os._exit(1)


def test_a_server_that_goes_away_is_an_error_and_mended_after_it(
    new_instance: Callable[..., Instance],
) -> None:
    instance = new_instance()
    inside = Inside(instance.spec)
    databases.every(instance.spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEVDB_DATA_DIR", str(instance.home))
        holder = libpq.connect(instance.spec.direct, database="postgres")
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE pg_database IN SHARE MODE")
        with creating(inside) as process:
            instance.stop()
            said = process.communicate(timeout=20)[0].decode()
        holder.close()
    assert process.returncode == 1
    assert len(said.splitlines()) == 2
    assert "SCRAM" not in said
    instance.start()
    until(lambda: databases.reap(instance.spec) is not None and inside.entries() == {})
    inside.assert_tidy()
