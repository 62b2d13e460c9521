"""The databases are the user's, who drops, renames and copies them as any tool does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from libpq import connect
from psycopg import sql
from world import NewSpec

from devdb.engines import Engine
from devdb.model import PoolMode, Progress, Spec, Step
from devdb.workspace.instances import health
from devdb.workspace.pulse import Pulse


def start(engine: Engine, spec: Spec) -> Progress:
    last = list(engine.start(spec))[-1]
    assert last.step == Step.READY
    return last


def order(spec: Spec, *statements: str, database: str = "postgres") -> None:
    with connect(spec.direct, database=database) as connection:
        for statement in statements:
            connection.execute(statement)


def owner_of_main(spec: Spec) -> str:
    with connect(spec.pooled) as connection:
        row = connection.execute(
            "SELECT pg_get_userbyid(datdba)::text FROM pg_database"
            " WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    return str(row[0])


def test_a_main_that_was_dropped_or_renamed_is_made_anew_and_that_is_said(
    real_engine: Engine, real_spec: Spec
) -> None:
    assert start(real_engine, real_spec).notes == ()
    order(real_spec, "DROP DATABASE main WITH (FORCE)")
    assert not health(real_spec).ready
    attached = start(real_engine, real_spec)
    assert "'main' was gone" in " ".join(attached.notes)
    assert "there are also" not in " ".join(attached.notes)
    assert owner_of_main(real_spec) == "devdb"
    assert health(real_spec).ready

    order(real_spec, "CREATE TABLE kept ()", database="main")
    order(real_spec, "ALTER DATABASE main RENAME TO shop_old")
    real_engine.stop(real_spec.name)
    restarted = start(real_engine, real_spec)
    assert "'main' was gone" in " ".join(restarted.notes)
    assert "shop_old" in " ".join(restarted.notes)
    order(real_spec, "TABLE kept", database="shop_old")
    assert start(real_engine, real_spec).notes == ()


def test_what_postgres_itself_brings_may_be_gone_as_well(
    real_engine: Engine, real_spec: Spec
) -> None:
    """A dropped `postgres` and a dropped `template1`, each with a word."""
    start(real_engine, real_spec)
    order(real_spec, "DROP DATABASE main", "ALTER DATABASE template1 IS_TEMPLATE false")
    order(real_spec, "DROP DATABASE template1", "CREATE DATABASE main TEMPLATE template0")
    order(real_spec, "DROP DATABASE postgres", database="main")
    real_engine.stop(real_spec.name)
    notes = " ".join(start(real_engine, real_spec).notes)
    assert "'postgres'" in notes
    assert "template1" in notes
    assert start(real_engine, real_spec).notes == ()
    order(real_spec, "DROP DATABASE main")
    assert "'main' was gone" in " ".join(start(real_engine, real_spec).notes)
    assert health(real_spec).ready


KEPT = (("server_idle_timeout", "600"),)
"""What PgBouncer's own default is: what is left in the pool stays there."""


@pytest.mark.parametrize("mode", PoolMode)
def test_looking_at_it_leaves_the_pool_as_it_was(
    real_engine: Engine, new_spec: NewSpec, mode: PoolMode
) -> None:
    """With an app's connection in it, and with none that keeps a database from being dropped."""
    spec = new_spec(real_engine, pooler_settings=KEPT, pool_mode=mode)
    start(real_engine, spec)
    pulse = Pulse(spec)
    with connect(spec.pooled) as app:

        def backend() -> object:
            return app.execute("SELECT pg_backend_pid()").fetchone()

        mine = backend()
        for _ in range(2):
            assert pulse.look()[1]
            assert health(spec).ready
            start(real_engine, spec)
            assert backend() == mine
    order(spec, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'main'")
    assert health(spec).ready
    start(real_engine, spec)
    # Neither waits but for sessions that have just been ended.
    order(spec, "CREATE DATABASE copy TEMPLATE main", "DROP DATABASE main")
    pulse.close()


def test_what_an_app_left_in_the_pool_is_gone_before_postgres_gives_up_waiting(
    real_engine: Engine, real_spec: Spec
) -> None:
    """As a test runner does it, twice in a row: the app pooled, the database direct."""
    start(real_engine, real_spec)
    shop = sql.Identifier("shop")
    pooled = replace(real_spec.pooled, database="shop")
    with connect(real_spec.direct, database="postgres") as admin:
        for force in ("", " WITH (FORCE)", ""):
            admin.execute(sql.SQL("CREATE DATABASE {}").format(shop))
            with connect(pooled) as app:
                app.execute("SELECT 1")
            admin.execute(sql.SQL("DROP DATABASE {}" + force).format(shop))
