"""Packets that no client sends, from somebody who knows no password."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

import available
import pytest

from devdb import pgbouncer, wire
from devdb.engines import Engine
from devdb.model import Server, Spec

LENGTHS = (0xFFFFFFFF, 0xFFFFFFF0, 0x80000000, 0x7FFFFFFF, 1 << 20)
"""What a first SASL answer may say of itself; the first ends a PgBouncer without the fix of
CVE-2026-6664, whose sum of position and length overflows."""


def test_a_login_that_lies_about_its_length_ends_nothing(
    real_engine: Engine, real_spec: Spec
) -> None:
    list(real_engine.start(real_spec))
    before = _find(real_engine, real_spec)
    if any(pgbouncer.NEWER in note for note in before.notes):
        if real_engine.name in available.required():
            pytest.fail(f"there is no fixed PgBouncer here: {before.notes}")
        pytest.skip(f"there is no fixed PgBouncer here: {before.notes}")
    for length in LENGTHS:
        _send(real_spec.pool_port, length)
        assert _find(real_engine, real_spec) == before, hex(length)
    with wire.Session(real_spec.pooled) as session:
        assert session.query("SELECT 1") == [(1,)]


def _find(engine: Engine, spec: Spec) -> Server:
    server = engine.find(spec.name)
    assert server is not None
    return server


def _send(port: int, length: int) -> None:
    """Begin a login; returns when the other side has read it all, and has closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        words = b"user\0devdb\0database\0main\0\0"
        client.sendall(struct.pack("!ii", len(words) + 8, 196608) + words)
        assert b"SCRAM-SHA-256" in client.recv(1000)
        body = b"SCRAM-SHA-256\0" + struct.pack("!I", length)
        client.sendall(b"p" + struct.pack("!i", len(body) + 4) + body)
        client.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while client.recv(1000):
                pass
