"""A Spec for a new instance on ports that nobody else has: for scripts/bench and for the tests."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from devdb.model import Spec

_taken: set[int] = set()


def new(engine: str, *, prefix: str = "test", **changes: Any) -> Spec:
    """One for that engine, without a marker yet; its name begins with `prefix`."""
    spec = Spec(
        name=new_name(prefix),
        project=None,
        engine=engine,
        port=free_port(),
        pool_port=free_port(),
        password=secrets.token_urlsafe(24),
        created=datetime.now(UTC),
    )
    return replace(spec, **changes)


def new_name(prefix: str) -> str:
    """A name that no other instance of this machine has."""
    return f"{prefix}-{secrets.token_hex(4)}"


def free_port() -> int:
    """A port nobody listens on, not handed out before in this process, off the ephemeral range.

    `DEVDB_TEST_PORTS=21000-21999` says where to look.
    """
    first, last = _range()
    offset = os.getpid() * 37 % (last - first)
    for step in range(last - first):
        port = first + (offset + step) % (last - first)
        if port not in _taken and _is_free(port):
            _taken.add(port)
            return port
    raise AssertionError(f"no free port between {first} and {last}")


def _range() -> tuple[int, int]:
    """The range to look in; where the suite runs in several processes, this one's share of it."""
    first, last = map(int, os.environ.get("DEVDB_TEST_PORTS", "20000-29999").split("-"))
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = (last - first) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return first + worker * share, first + (worker + 1) * share - 1


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
