"""devdb's own small client against the real servers, and against one that is not."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from devdb import wire
from devdb.model import HOST, Endpoint, Spec


def test_it_logs_in_and_asks_through_both_endpoints(running: Spec) -> None:
    for endpoint in (running.direct, running.pooled):
        with wire.Session(endpoint) as session:
            assert session.query("SELECT 1, NULL, 'ä', ''") == [(1, None, "ä", "")]
            assert session.query("") == []
            assert session.query("SELECT 1; SELECT 2, 3") == [(1,), (2, 3)]
            rows = session.query("SELECT repeat('x', 10000) FROM generate_series(1, 500)")
            assert rows == [("x" * 10_000,)] * 500
            assert session.query("DO $$ BEGIN RAISE NOTICE 'heard'; END $$; SELECT 4") == [(4,)]

        with pytest.raises(wire.Refused) as caught:
            wire.Session(replace(endpoint, password="wrong"))
        with ExitStack() as stack:
            for _ in range(1100):
                stack.enter_context(Path(os.devnull).open())
            with wire.Session(endpoint) as session:
                session.send("SELECT 6")
                assert session.answers_within(5)
                assert session.receive() == [(6,)]
        with wire.Session(endpoint) as session:
            with pytest.raises(wire.Refused, match="no_such_table") as caught:
                session.query("SELECT FROM no_such_table; SELECT 1")
            assert caught.value.sqlstate == "42P01"
            assert session.query("SELECT 5") == [(5,)]

    with pytest.raises(wire.Refused) as caught:
        wire.Session(replace(running.direct, password="wrong"))
    assert caught.value.sqlstate == "28P01"
    with pytest.raises(wire.Refused) as caught:
        wire.Session(replace(running.direct, database="nowhere"))
    assert caught.value.sqlstate == "3D000"


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


OK = _message(b"R", struct.pack("!i", 0))
READY = _message(b"Z", b"I")


@contextmanager
def impostor(answer: bytes) -> Iterator[Endpoint]:
    """A server that gives that answer to whatever it is sent."""
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(1024)
                client.sendall(answer)
                client.recv(1024)

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        yield Endpoint(host=HOST, port=port, user="devdb", password="secret", database="main")
        thread.join()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (OK + READY, "without proving"),
        (_message(b"R", struct.pack("!i", 3)), "does not offer SCRAM"),
        (_message(b"R", struct.pack("!i", 10) + b"SOMETHING\0\0"), "does not offer SCRAM"),
        (_message(b"R", struct.pack("!i", 12) + b"v=AAAA"), "does not know the password"),
    ],
)
def test_a_server_that_does_not_know_the_password_is_refused(answer: bytes, said: str) -> None:
    with impostor(answer) as endpoint, pytest.raises(wire.Stranger, match=said):
        wire.Session(endpoint)


def test_a_server_that_hangs_up_or_says_nothing_is_an_os_error() -> None:
    with impostor(b"") as endpoint, pytest.raises(OSError, match="timed out"):
        wire.Session(endpoint, timeout=0.2)
    with impostor(OK[:3]) as endpoint, pytest.raises(OSError, match="timed out"):
        wire.Session(endpoint, timeout=0.2)


def test_a_query_that_is_given_up_does_not_go_on(running: Spec) -> None:
    for endpoint in (running.direct, running.pooled) * 15:
        with wire.Session(endpoint, patience=0.001) as hasty, pytest.raises(TimeoutError):
            hasty.query("SELECT pg_sleep(60) /* given up */")
    with wire.Session(running.direct) as session:
        found = session.query(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
            " AND pid <> pg_backend_pid() AND strpos(query, '/* given up ' || '*/') > 0"
        )
    assert found == [(0,)]


def test_answers_come_as_they_are_said_and_leaving_them_ends_the_query(running: Spec) -> None:
    with wire.Session(running.direct) as session:
        told = [kind for kind, _ in session.answers("SELECT 1; CREATE TEMP TABLE t (a int)")]
        assert told == [b"T", b"D", b"C", b"C"]
        with pytest.raises(wire.Refused) as caught:
            list(session.answers("COPY t FROM STDIN"))
        assert "nothing is copied" in caught.value.fields["M"]
        answers = session.answers("SELECT generate_series(1, 10000000)")
        next(answers)
        answers.close()
        assert session.closed
        with pytest.raises(ConnectionResetError):
            next(session.answers("SELECT 1"))
