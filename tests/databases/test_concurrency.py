"""Many callers at once, each a process of its own."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from inside import Inside, login, until
from instances import ONE_ENGINE

from devdb import databases, marker
from devdb.errors import NotFound, UsageError
from devdb.model import Spec

CALLERS = 20
EACH = 10
CALLER = f"""
import sys
from datetime import timedelta
from devdb import marker, databases
spec = marker.load(sys.argv[1])
for _ in range({EACH}):
    print(databases.create(spec, ttl=timedelta(hours=1)).name)
"""


@ONE_ENGINE
@pytest.mark.timeout(600)
def test_twenty_callers_make_two_hundred_and_all_expire(spec: Spec, inside: Inside) -> None:
    marker.save(spec)
    callers = [
        subprocess.Popen([sys.executable, "-c", CALLER, spec.name], stdout=subprocess.PIPE)
        for _ in range(CALLERS)
    ]
    printed = [caller.communicate()[0].decode().split() for caller in callers]
    assert [caller.returncode for caller in callers] == [0] * CALLERS
    names = [name for some in printed for name in some]
    made = databases.every(spec)
    assert len(names) == len(set(names)) == CALLERS * EACH
    assert {one.name for one in made} == set(names)
    assert len({one.direct.password for one in made}) == len(made)
    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(login, [one.pooled for one in made[::10]]))
    assert answers == {"in"}
    inside.expire(*names)
    until(lambda: databases.reap(spec) is not None and inside.entries() == {}, seconds=120)
    inside.assert_tidy()
    assert login(made[0].pooled) != "in"
    again = databases.create(spec, ttl=databases.DEFAULT_TTL, name=names[0])
    assert login(again.pooled) == "in"


def test_one_name_wanted_by_many_is_given_to_one(spec: Spec, inside: Inside) -> None:
    def attempt(_: int) -> str:
        try:
            return databases.create(spec, ttl=databases.DEFAULT_TTL, name="wanted").name
        except UsageError:
            return "taken"

    with ThreadPoolExecutor(6) as pool:
        results = sorted(pool.map(attempt, range(6)))
    assert results == ["taken"] * 5 + ["wanted"]


def test_many_drop_the_same_ones_and_nobody_fails_oddly(spec: Spec, inside: Inside) -> None:
    names = [databases.create(spec, ttl=databases.DEFAULT_TTL).name for _ in range(4)]

    def attempt(_: int) -> str:
        try:
            databases.drop(spec, names)
        except NotFound:
            return "gone"
        return "dropped"

    with ThreadPoolExecutor(4) as pool:
        assert "dropped" in set(pool.map(attempt, range(4)))
    inside.assert_tidy()
    assert inside.entries() == {}
