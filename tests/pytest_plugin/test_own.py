"""Tests that have an instance of their own: what each finds, and what is left of it."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import world
from pytest_plugin.conftest import Project

from devdb import paths

BEFORE = """
import multiprocessing
import os
import socket
import time
import unittest
import warnings

import psycopg
import pytest

left = []


def test_a_transaction_stays_open(devdb_url, devdb_pooled_url, count):
    assert count(devdb_url) == 1
    for url in (devdb_url, devdb_pooled_url):
        connection = psycopg.connect(url, prepare_threshold=None)
        connection.execute("SELECT FROM note FOR UPDATE" if url == devdb_url else "SELECT 1")
        left.append(connection)


def test_its_sessions_are_ended(devdb_url):
    with psycopg.connect(devdb_url, autocommit=True) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        deadline = time.monotonic() + 10
        while connection.execute(query, (left[0].info.dbname,)).fetchone() != (0,):
            assert time.monotonic() < deadline
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        connection.execute(f"ALTER DATABASE {name} SET search_path = nowhere")
    for each in left:
        each.close()


def test_drops_its_own(devdb_url, count, add):
    add(devdb_url, 2)
    with psycopg.connect(devdb_url) as connection:
        name = connection.info.dbname
    with psycopg.connect(devdb_url, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def in_a_child(body):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads
        child = multiprocessing.get_context("fork").Process(target=body)
        child.start()
        child.join()
    return child.exitcode


def test_forks(devdb_url, count, request):
    def body():
        assert count(devdb_url) == 1

    assert in_a_child(body) == 0


def test_asks_for_one_in_a_child(_devdb, request, count, devdb_template):
    def body():
        taken = _devdb.take(devdb_template)
        assert count(_devdb.url(taken)) == 1
        _devdb.close()

    assert in_a_child(body) == 0


def test_takes_the_ground_away(devdb_url, monkeypatch, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for name in list(os.environ):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PGHOST", "nowhere")
    monkeypatch.setenv("DEVDB_NAME", "nobody")


@pytest.mark.parametrize("number", range(4))
def test_stops_time_and_sockets(monkeypatch, number, request):
    def refuse(*_args, **_kwargs):
        raise RuntimeError("no sockets here")

    monkeypatch.setattr(time, "monotonic", lambda: 0.0)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "sleep", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    count = request.getfixturevalue("count")
    assert count(request.getfixturevalue("devdb_url")) == 1


class TestShared:
    def test_one(self, devdb_module_url, devdb_session_url, devdb_url, add):
        assert len({devdb_module_url, devdb_session_url, devdb_url}) == 3
        add(devdb_module_url, 2)

    def test_two(self, devdb_module_url, devdb_session_url, count):
        assert (count(devdb_module_url), count(devdb_session_url)) == (2, 1)


class Case(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _have(self, devdb_url, count):
        self.found = count(devdb_url)

    def test_in_a_class_of_unittest(self):
        assert self.found == 1
"""


def test_none_finds_what_another_left(own: Project) -> None:
    own.write(test_first=BEFORE)
    done = own.run()
    assert (done.code, done.counts) == (0, "13 passed"), done.out
    assert [line.partition(",")[2] for line in done.said] in ([" in memory"], [" on disk"]), (
        done.out
    )
    # No thread, no socket, no file that was left open is heard of, either.
    assert done.err == ""


MANY = """
import os
import time
from pathlib import Path

import psycopg
import pytest


@pytest.mark.parametrize("number", range({tests}))
def test_alone(devdb_url, number, count, add):
    # Both runs have a database at the same time, however long one of them takes to begin.
    both = [Path(os.environ["SEEN"] + run) for run in ("one", "other")]
    Path(os.environ["SEEN"] + os.environ["RUN"]).touch()
    deadline = time.monotonic() + 60
    while not all(map(Path.exists, both)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert count(devdb_url) == 1
    add(devdb_url, 2, 3)
    assert count(devdb_url) == 3
    with psycopg.connect(devdb_url) as connection:
        name, port = connection.info.dbname, connection.info.port
    with open(os.environ["SEEN"], "a") as seen:
        seen.write(f"{{name}} {{port}}\\n")
"""


def test_workers_and_another_run_share_it_and_see_nothing_of_each_other(own: Project) -> None:
    own.write(test_many=MANY.format(tests=20))
    seen = own.root.parent / "seen"
    with own.begun(SEEN=str(seen), RUN="other") as other:
        done = own.run("-n3", SEEN=str(seen), RUN="one")
        out, _ = other.communicate(timeout=120)
    assert done.counts == "20 passed", done.out
    assert out.strip().splitlines()[-1].startswith("20 passed"), out
    assert len(done.said) == 1
    databases = [line.split() for line in seen.read_text().splitlines()]
    assert max(Counter(name for name, _ in databases).values()) == 1
    assert len(databases) == 40
    assert len({port for _, port in databases}) == 1


HANGS = """
import os

import psycopg
import pytest


@pytest.fixture(scope="session")
def devdb_template():
    def migrate(url):
        connection = psycopg.connect(url)
        connection.execute("CREATE TABLE half ()")
        open(os.environ["SEEN"], "w").close()
        connection.execute("SELECT pg_sleep(600)")

    return migrate
"""


def test_a_hook_that_hangs_is_spoken_of_and_nothing_outlives_its_end(own: Project) -> None:
    own.write(conftest=HANGS, test_it="def test_it(devdb_url): pass")
    seen = own.root.parent / "seen"
    for number in (signal.SIGINT, signal.SIGKILL):
        with own.begun(SEEN=str(seen), _DEVDB_NOTICE="0.2") as process:
            world.eventually(seen.exists, "the hook runs")
            assert process.stderr is not None
            said = "waiting for the template to be built by 'devdb_template"
            assert any(said in line for line in process.stderr)
            assert own.instances() != []
            process.send_signal(number)
            process.wait(timeout=20)
        seen.unlink()


FILLS = """
import psycopg
import pytest


@pytest.mark.parametrize("number", range(12))
def test_it(devdb_url, number):
    with psycopg.connect(devdb_url) as connection:
        rows = "SELECT repeat('x', 1000) FROM generate_series(1, 20000)"
        connection.execute(f"CREATE TABLE t AS {rows}")
"""


def test_memory_that_fills_up_is_made_room_in(own: Project) -> None:
    """Twelve databases of 30 MB have no room there together."""
    own.write(test_it=FILLS)
    cache = tempfile.mkdtemp(prefix="devdb-cache-")  # the cache may be in what is covered
    Path(cache).chmod(0o755)
    script = (
        'mount --bind "$1" "$2" && mount -t tmpfs -o size=300m tmpfs /dev/shm && shift 2 && "$@"'
    )
    in_little = ("unshare", "-m", "sh", "-c", script, "sh", str(paths.cache_home()), cache)
    if subprocess.run([*in_little, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespace here")
    done = own.run(prefix=in_little, DEVDB_CACHE_DIR=cache)
    # To remove a directory takes away what is mounted on it in any other namespace: the keeper
    # would not find its own files any more.
    own.gone()
    Path(cache).rmdir()
    assert done.counts == "12 passed", done.out
    assert "in memory" in done.said[0]
