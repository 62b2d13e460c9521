"""What PgBouncer is told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from devdb.errors import UsageError
from devdb.model import Spec
from devdb.pgbouncer import (
    NEWER,
    crash_warning,
    ini,
    max_clients,
    notes,
    parse_version,
    refuse_own,
)


def spec(max_connections: str | None = None, **pooler_settings: str) -> Spec:
    return Spec(
        name="shop",
        project=None,
        engine="fake",
        port=1,
        pool_port=2,
        password="p",
        created=datetime.now(UTC),
        settings=(("max_connections", max_connections),) if max_connections else (),
        pooler_settings=tuple(pooler_settings.items()),
    )


def text(wanted: Spec, version: tuple[int, int, int] = (1, 24, 0)) -> str:
    return ini(
        wanted,
        version,
        postgres_host="127.0.0.1",
        postgres_port=1,
        listen_addr="127.0.0.1",
        listen_port=2,
        auth_file="users",
        clients=100,
    )


@pytest.mark.parametrize(
    ("max_connections", "pool"), [(None, 20), ("100", 20), ("20", 10), ("1", 1), ("many", 20)]
)
def test_the_pool_leaves_room_for_the_direct_url(max_connections: str | None, pool: int) -> None:
    assert f"default_pool_size = {pool}\n" in text(spec(max_connections))


def test_what_the_project_says_goes_over_what_devdb_would() -> None:
    lines = text(spec(default_pool_size="7", query_wait_timeout="3", verbose="2")).splitlines()
    assert {"default_pool_size = 7", "query_wait_timeout = 3", "verbose = 2"} <= set(lines)
    names = [line.split(" = ")[0] for line in lines if " = " in line]
    assert len(names) == len(set(names))


def test_what_is_devdbs_own_is_never_written() -> None:
    with pytest.raises(UsageError, match="auth_type"):
        text(spec(auth_type="any"))


@pytest.mark.parametrize("value", ["0", "-1", "many", "1e3", "", "100001", "٣"])
def test_a_number_to_calculate_with_has_to_be_one(value: str) -> None:
    with pytest.raises(UsageError, match="max_client_conn"):
        refuse_own((("max_client_conn", value),))


def test_a_pgbouncer_that_knows_no_limit_for_a_user_is_told_none() -> None:
    assert "max_user_client_connections = 50\n" in text(spec())
    assert "max_user" not in text(spec(), (1, 23, 1))


@pytest.mark.parametrize(
    ("files", "asked", "number"),
    [
        (65_536, None, 10_000),
        (65_536, "20", 20),
        (65_536, "30000", 30_000),
        (4096, None, 4096 - 250),
        (4096, "30000", 4096 - 250),
        (64, None, 1),
    ],
)
def test_no_more_clients_than_files_carry(files: int, asked: str | None, number: int) -> None:
    wanted = spec(max_client_conn=asked) if asked else spec()
    assert max_clients(wanted, files) == number


@pytest.mark.parametrize(
    "package",
    [
        "1.24.1-1+deb13u2",
        "1.24.1-1+deb13u3",
        "1.24.1-1+deb13u10",
        "1.24.1-1+deb13u2+b1",
        "1.24.1-1+deb13u2~bpo12+1",
        "1.25.2-1",
        "1.25.2-1.pgdg120+1",
        "1.26.1-1",
        "2.0.0-1",
    ],
)
def test_a_package_with_the_fixes_is_not_warned_of(package: str) -> None:
    assert crash_warning(parse_version(package), package) is None


@pytest.mark.parametrize(
    "package",
    [
        "1.18.0-1+deb12u1",
        "1.22.0-1build4",
        "1.24.0-1+deb13u2",
        "1.24.1-1",
        "1.24.1-1+deb13u1",
        "1.24.1-1+deb14u2",
        "1.24.1-1.pgdg120+1",
        "1.24.1-2",
        "1.25.1-1",
    ],
)
def test_one_without_them_is_also_where_its_number_is_higher(package: str) -> None:
    warning = crash_warning(parse_version(package), package)
    assert warning is not None
    assert package.split("-")[0] in warning


@pytest.mark.parametrize(
    ("version", "crashes"), [((1, 24, 1), True), ((1, 25, 1), True), ((1, 25, 2), False)]
)
def test_where_the_package_is_unknown_the_version_decides(
    version: tuple[int, int, int], crashes: bool
) -> None:
    assert (crash_warning(version, None) is not None) == crashes
    assert any(note.endswith(NEWER) for note in notes(None, version, None)) == crashes


def test_an_idle_pooler_writes_nothing_to_the_log_unless_asked_to() -> None:
    assert "log_stats = 0\n" in text(spec(None))
    assert "log_stats = 1\n" in text(spec(None, log_stats="1"))
