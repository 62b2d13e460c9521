"""What PgBouncer is told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from devdb.model import Spec
from devdb.pgbouncer import ini


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
