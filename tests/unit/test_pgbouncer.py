"""What PgBouncer is told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from devdb.model import Spec
from devdb.pgbouncer import NEWER, crash_warning, ini, notes, parse_version


@pytest.mark.parametrize(
    ("max_connections", "pool"), [(None, 20), ("100", 20), ("20", 10), ("1", 1), ("many", 20)]
)
def test_the_pool_leaves_room_for_the_direct_url(max_connections: str | None, pool: int) -> None:
    spec = Spec(
        name="shop",
        project=None,
        engine="fake",
        port=1,
        pool_port=2,
        password="p",
        created=datetime.now(UTC),
        settings=(("max_connections", max_connections),) if max_connections else (),
    )
    text = ini(
        spec,
        (1, 24, 0),
        postgres_host="127.0.0.1",
        postgres_port=1,
        listen_addr="127.0.0.1",
        listen_port=2,
        auth_file="users",
    )
    assert f"default_pool_size = {pool}\n" in text


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
