"""A devdb that is killed between any two steps leaves nothing that the next one does not mend.

Each statement is a step; the process is ended by SIGKILL right before it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import libpq
import pytest
from inside import Inside, login, until
from instances import ONE_ENGINE

from devdb import databases, wire
from devdb.databases import cloning
from devdb.model import Spec

HOUR = timedelta(hours=1)


def killed_before(step: int, action: Callable[[], Any]) -> bool:
    """Run it in a process that is killed before that step; False when it has no such step."""
    child = os.fork()
    if child == 0:
        try:
            _kill_before(step)
            action()
        except BaseException:  # noqa: BLE001 # whatever it is: a child never returns into pytest
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    return status != 0


def _kill_before(step: int) -> None:
    left = count(step, -1)
    send = wire.Session.send

    def counted(session: wire.Session, sql: str, *values: object) -> None:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        send(session, sql, *values)

    wire.Session.send = counted  # type: ignore[assignment, method-assign]


def every_kill(inside: Inside, action: Callable[[], Any]) -> Iterator[int]:
    """Kill the action before each of its steps in turn, and let the next devdb mend that."""
    for step in count():
        killed = killed_before(step, action)
        # What the server was told it finishes, the lock in its hand: the next one waits for that.
        until(lambda: not inside.sql(BUSY), seconds=30)
        databases.reap(inside.spec)
        inside.assert_tidy()
        yield step
        if not killed:
            assert step > 3  # else nothing was killed
            return


BUSY = """
SELECT pid FROM pg_stat_activity
WHERE usename = 'devdb' AND (datname = 'postgres' OR state = 'active')
  AND pid <> pg_backend_pid()
"""


@ONE_ENGINE
def test_create(spec: Spec, inside: Inside) -> None:
    for _ in every_kill(inside, lambda: databases.create(spec, ttl=HOUR, name="made")):
        if inside.entries():
            [made] = databases.every(spec)
            assert login(made.direct) == login(made.pooled) == "in"
            databases.drop(spec, ["made"])
        databases.create(spec, ttl=HOUR, name="made")
        databases.drop(spec, ["made"])


@ONE_ENGINE
def test_create_as_a_copy(spec: Spec, inside: Inside) -> None:
    inside.sql("CREATE TABLE kept AS SELECT 42 AS answer", database="main")

    def action() -> None:
        databases.create(spec, ttl=HOUR, name="made", source="main")

    try:
        for step in every_kill(inside, action):
            assert step < 50
            assert inside.sql("SELECT answer FROM kept", database="main") == [42]
            if inside.entries():
                databases.drop(spec, ["made"])
    finally:
        inside.sql("DROP TABLE kept", database="main")


@ONE_ENGINE
@pytest.mark.parametrize("is_shared", [True, False])
def test_template_and_clone(spec: Spec, inside: Inside, is_shared: bool) -> None:
    def action() -> None:
        made = cloning.template(spec, "c0de" * 8, None, project="shop", shared=is_shared)
        clones = cloning.Clones(spec, made, shared=is_shared)
        clones.drop([clones.make()])

    for _ in every_kill(inside, action):
        databases.drop(spec, [name for name in inside.entries() if name.startswith("test_")])


@ONE_ENGINE
@pytest.mark.parametrize("new_name", [None, "kept"])
def test_claim(spec: Spec, inside: Inside, new_name: str | None) -> None:
    made = databases.create(spec, ttl=HOUR, name="made")
    for _ in every_kill(inside, lambda: databases.claim(spec, "made", new_name)):
        [found] = databases.every(spec)
        assert (found.name, found.state) in (("made", "ready"), (new_name or "made", "claimed"))
        assert found.direct.password == made.direct.password
        assert login(found.direct) == login(found.pooled) == "in"
        if found.state == "claimed":
            databases.drop(spec, [found.name], claimed=True)
            made = databases.create(spec, ttl=HOUR, name="made")


@ONE_ENGINE
def test_drop(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR, name="made")
    for _ in every_kill(inside, lambda: databases.drop(spec, ["made"])):
        if inside.entries():
            assert login(made.direct) == login(made.pooled) == "in"
        else:
            made = databases.create(spec, ttl=HOUR, name="made")
            assert login(made.direct) == login(made.pooled) == "in"


@ONE_ENGINE
def test_reap(spec: Spec, inside: Inside) -> None:
    def action() -> None:
        databases.reap(spec)

    def two() -> None:
        inside.expire(*(databases.create(spec, ttl=HOUR).name for _ in range(2)))

    two()
    for _ in every_kill(inside, action):
        assert inside.entries() == {}
        two()


@ONE_ENGINE
def test_a_half_made_one_lets_nobody_in(spec: Spec, inside: Inside) -> None:
    """Also before anybody mends it, and although its password is known by then."""
    seen = set()
    for step in count():
        killed = killed_before(step, lambda: databases.create(spec, ttl=HOUR, name="made"))
        until(lambda: not inside.sql(BUSY), seconds=30)
        if not killed:
            break
        seen |= set(inside.entries().values())
        for made in databases.every(spec):
            expected = made.state == "ready"  # it was killed when it had only to look
            assert (login(made.direct) == "in") is expected
            assert (login(made.pooled) == "in") is expected
        databases.reap(spec)
        databases.drop(spec, list(inside.entries()))
    assert {"making"} <= seen <= {"making", "ready"}


def test_what_is_being_made_is_not_mended(spec: Spec, inside: Inside) -> None:
    """Its maker holds the lock of its name."""
    databases.every(spec)
    with libpq.connect(spec.direct, database="postgres") as maker:
        maker.execute("SELECT _devdb.enter('made', '1 hour')")
        assert databases.reap(spec) == []
        assert inside.entries() == {"made": "making"}
    until(lambda: databases.reap(spec) is not None and inside.entries() == {})
