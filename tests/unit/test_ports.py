from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from devdb import listeners, marker
from devdb.engines import ports as listening
from devdb.errors import PortInUse, UsageError
from devdb.model import Spec
from devdb.workspace import ports

SPEC = Spec(
    name="shop",
    project=None,
    engine="native",
    port=ports.FIRST_DIRECT,
    pool_port=ports.FIRST_POOLED,
    password="x",
    created=datetime(2026, 1, 1, tzinfo=UTC),
)


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_stopped_instance_keeps_its_ports() -> None:
    direct, pooled = ports.choose((None, None), [SPEC])
    assert direct > SPEC.port
    assert pooled > SPEC.pool_port
    assert direct - ports.FIRST_DIRECT == pooled - ports.FIRST_POOLED


def test_what_is_asked_for_is_taken() -> None:
    free = _free()
    assert ports.choose((free, None), [])[0] == free


def test_a_port_of_another_instance_is_refused_by_its_name() -> None:
    with pytest.raises(PortInUse, match="shop"):
        ports.choose((SPEC.port, None), [SPEC])
    with pytest.raises(PortInUse, match="shop"):
        ports.choose((None, SPEC.port), [SPEC])


def test_a_taken_port_is_refused_by_its_owner(listener: int) -> None:
    with pytest.raises(PortInUse, match=str(os.getpid())) as error:
        ports.refuse_if_taken(listener, [])
    assert error.value.exit_code == 5
    assert listening.is_taken(listener)
    assert listeners.accepts(listener)


def test_an_instance_is_not_the_one_that_holds_its_own_port(
    listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "_SERVERS", "")  # which any process begins with
    marker.save(replace(SPEC, port=listener))
    assert "instance 'shop'" in str(listening.in_use(replace(SPEC, name="other"), listener))
    words = listening.in_use(replace(SPEC, port=listener), listener).message
    assert words.endswith(f"(pid {os.getpid()}).")
    assert words.count("instance 'shop'") == 1


def test_a_port_that_is_roots_is_a_usage_error(
    listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_socket: socket.socket, _address: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(UsageError, match="only root may listen"):
        listening.require_free(SPEC, 80)


def test_skip_gives_the_next_pair() -> None:
    first = ports.choose((None, None), [])
    assert ports.choose((None, None), [], skip=1) > first


def test_the_two_ports_of_one_instance_never_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "is_taken", lambda _port: False)  # whatever listens on this machine
    first = ports.FIRST_DIRECT
    direct, pooled = ports.choose((None, first), [replace(SPEC, port=1, pool_port=2)])
    assert (direct != first, pooled) == (True, first)


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
