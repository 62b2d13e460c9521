"""PgBouncer under clients that log in all the time, while databases come and go beneath it.

A KILL of a database crashes it (1.24) when it hits a client that is just logging in.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from inside import Inside, login

from devdb import databases
from devdb.model import Endpoint, Spec

HOUR = timedelta(hours=1)
ROUNDS = 4


@contextmanager
def clients(endpoint: Callable[[], Endpoint]) -> Iterator[dict[str, float]]:
    """Clients that log in again and again; what they were told, and the longest they waited."""
    told: dict[str, float] = {}
    end = threading.Event()

    def client() -> None:
        while not end.is_set():
            start = time.monotonic()
            answer = login(endpoint())
            told[answer] = max(told.get(answer, 0), time.monotonic() - start)

    threads = [threading.Thread(target=client) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        end.set()
        for thread in threads:
            thread.join()


def assert_it_lived(told: dict[str, float]) -> None:
    assert not any("refused" in answer or "terminated abnormally" in answer for answer in told)
    assert max(told.values()) < 10


@pytest.fixture(autouse=True)
def known_pooler(spec: Spec) -> None:
    assert login(spec.pooled) == "in"


def test_copies_of_what_they_log_in_to(spec: Spec, inside: Inside) -> None:
    with clients(lambda: spec.pooled) as told:
        for _ in range(ROUNDS):
            made = databases.create(spec, ttl=HOUR, source="main")
            databases.drop(spec, [made.name])
    assert_it_lived(told)
    assert "in" in told
    inside.assert_tidy()


@pytest.mark.parametrize("as_superuser", [False, True])
def test_drops_of_what_they_log_in_to(spec: Spec, inside: Inside, as_superuser: bool) -> None:
    made = [databases.create(spec, ttl=HOUR, name="wanted")]
    superusers = replace(spec.pooled, database="wanted")
    with clients(lambda: superusers if as_superuser else made[0].pooled) as told:
        for _ in range(ROUNDS):
            databases.drop(spec, ["wanted"])
            made[0] = databases.create(spec, ttl=HOUR, name="wanted")
    assert_it_lived(told)
    assert login(made[0].pooled) == "in"


def test_renames_of_what_they_log_in_to(spec: Spec, inside: Inside) -> None:
    made = [databases.create(spec, ttl=HOUR, name="wanted")]
    with clients(lambda: made[0].pooled) as told:
        for _ in range(ROUNDS):
            made[0] = databases.claim(spec, "wanted", "renamed")
            databases.drop(spec, ["renamed"], claimed=True)
            made[0] = databases.create(spec, ttl=HOUR, name="wanted")
    assert_it_lived(told)
    assert login(made[0].pooled) == "in"


def test_a_client_that_stalls_while_it_logs_in_holds_nothing_up(spec: Spec, inside: Inside) -> None:
    made = databases.create(spec, ttl=HOUR, name="wanted")
    assert login(made.pooled) == "in"
    words = b"\0\3\0\0user\0wanted\0database\0wanted\0\0"
    with socket.create_connection(("127.0.0.1", spec.pool_port)) as stalled:
        stalled.sendall(struct.pack("!i", len(words) + 4) + words)
        assert stalled.recv(1) == b"R"  # it is asked for its password, and does not answer
        start = time.monotonic()
        databases.drop(spec, ["wanted"])
        assert time.monotonic() - start < 5
        again = databases.create(spec, ttl=HOUR, name="wanted")
        assert login(again.pooled) == "in"
        assert login(made.pooled) != "in"
    assert login(again.pooled) == "in"
    inside.assert_tidy()
