"""Images of all kinds: other majors, other poolers, other users, other entry points."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import libpq
import psycopg
import pytest
import world
from docker import APIClient

from devdb.engines.docker.engine import DockerEngine
from devdb.engines.docker.image import Image
from devdb.engines.images import DEFAULT_POOLER, wanted_images
from devdb.errors import DataMismatch, EngineUnavailable, UsageError
from devdb.model import Level, PoolMode, Server, Spec
from devdb.pgbouncer import NEWER
from devdb.postgres import NEWEST_MAJOR

Starts = Callable[[Spec], Server]
Images = Callable[[str], str]


def official(major: int, data: str, *, volumes: tuple[str, ...], **environment: str) -> Image:
    variables = {"PG_MAJOR": str(major), "PGDATA": data, **environment}
    return Image(reference="r", id="i", environment=variables, user="", volumes=volumes)


@pytest.mark.parametrize(
    ("image", "mount"),
    [
        (official(17, "/var/lib/postgresql/data", volumes=("/var/lib/postgresql/data",)), "/data"),
        (official(18, "/var/lib/postgresql/18/docker", volumes=("/var/lib/postgresql",)), ""),
        (official(18, "/var/lib/postgresql/18/docker", volumes=()), "/18/docker"),
        (official(16, "/var/lib/postgresql/data", volumes=("/else", "/var/lib/postgresql")), ""),
    ],
)
def test_the_volume_goes_where_the_image_declares_it(image: Image, mount: str) -> None:
    assert image.mount == PurePosixPath(f"/var/lib/postgresql{mount}")


def test_what_is_not_named_comes_from_the_environment_then_from_the_major(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEVDB_POSTGRES_IMAGE", "mine:17")
    assert wanted_images(None, "pooler:1", 16) == ("mine:17", "pooler:1")
    assert wanted_images("named:1", "pooler:1", 16)[0] == "named:1"
    monkeypatch.delenv("DEVDB_POSTGRES_IMAGE", raising=False)
    monkeypatch.delenv("DEVDB_PGBOUNCER_IMAGE", raising=False)
    assert wanted_images(None, None, 16) == ("postgres:16", DEFAULT_POOLER)
    assert wanted_images(None, None, None)[0] == f"postgres:{NEWEST_MAJOR}"


@pytest.mark.parametrize("major", [15, 17, 18])
def test_data_of_each_major_survives_its_containers(
    major: int, spec: Spec, start: Starts, image: Images, engine: DockerEngine
) -> None:
    spec = replace(spec, postgres_image=image(f"devdb-test/postgres:{major}"))
    version = start(spec).part("postgres").version
    assert version is not None
    assert version.split(".")[0] == str(major)
    with libpq.connect(spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        row = connection.execute("SHOW data_directory").fetchone()
    assert row is not None
    changed = replace(spec, settings=(("work_mem", "5MB"),))
    start(changed)
    with libpq.connect(changed.pooled) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        assert connection.execute("SHOW work_mem").fetchone() == ("5MB",)
    _assert_on_the_volume(spec.name, str(row[0]))


def _assert_on_the_volume(name: str, data_directory: str) -> None:
    container = world.container(name, "postgres")
    mounts = next(i for _, i in world.docker_objects(name) if i["Id"] == container)["Mounts"]
    [volume] = [m for m in mounts if m["Type"] == "volume"]
    assert PurePosixPath(data_directory).is_relative_to(volume["Destination"])
    assert name in volume["Name"]


def test_an_image_of_another_major_never_starts_the_data(
    spec: Spec, start: Starts, image: Images, engine: DockerEngine
) -> None:
    spec = replace(spec, postgres_image=image("devdb-test/postgres:15"))
    started = start(spec).part("postgres").started
    with pytest.raises(DataMismatch, match=r"15.*17"):
        start(replace(spec, postgres_image=image("devdb-test/postgres:17")))
    found = engine.find(spec.name)
    assert found is not None
    assert found.part("postgres").started == started, "nothing was changed"


def test_an_image_of_another_major_than_asked_for_is_a_usage_error(
    spec: Spec, start: Starts, image: Images, home: Path
) -> None:
    wrong = replace(spec, postgres_image=image("devdb-test/postgres:15"), major=17)
    with pytest.raises(UsageError, match=r"17.*15"):
        start(wrong)
    assert world.traces(spec.name, home) == [str(home / "instances" / spec.name / "marker.json")]


def test_another_image_of_the_same_major_keeps_the_data(
    spec: Spec, start: Starts, client: APIClient, derived: Callable[..., str]
) -> None:
    start(spec)
    with libpq.connect(spec.direct) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    newer = derived(os.environ["DEVDB_POSTGRES_IMAGE"], "LABEL newer=1")
    start(replace(spec, postgres_image=newer))
    with libpq.connect(spec.pooled) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_pooler_that_cannot_track_prepared_statements_runs_session_and_says_why(
    spec: Spec, start: Starts, image: Images, engine: DockerEngine
) -> None:
    spec = replace(spec, pooler_image=image("devdb-test/pgbouncer:1.18"))
    server = start(spec)
    assert server.pool_mode == PoolMode.SESSION
    assert server.part("pgbouncer").version is not None
    assert str(server.part("pgbouncer").version).startswith("1.18")
    mode, crash = server.notes
    assert "prepared statements" in mode
    assert "can crash it" in crash
    found = engine.find(spec.name)
    assert found is not None
    assert (found.pool_mode, found.notes) == (server.pool_mode, server.notes)
    assert _pool_mode(spec) == "session"


def test_roles_and_databases_made_later_get_in_through_a_pooler_without_auth_dbname(
    spec: Spec, start: Starts, image: Images
) -> None:
    from devdb.postgres import verifier

    spec = replace(spec, pooler_image=image("devdb-test/pgbouncer:1.18"))
    start(spec)
    with libpq.connect(spec.direct) as connection:
        connection.execute(f"CREATE ROLE later LOGIN PASSWORD '{verifier('later secret')}'")
        connection.execute("CREATE DATABASE made_later OWNER later")
    later = replace(spec.pooled, user="later", password="later secret", database="made_later")
    with libpq.connect(later) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def status(version: str) -> dict[str, str]:
    """What dpkg knows in an image, between two other packages."""
    text = "".join(
        f"Package: {name}\nStatus: install ok installed\nVersion: {its}\nDescription: x\n y\n\n"
        for name, its in (("libc6", "2.41-12"), ("pgbouncer", version), ("zlib1g", "1:1.3"))
    )
    return {"var/lib/dpkg/status": text}


@pytest.mark.parametrize(
    ("files", "crashes"),
    [
        (None, False),  # Debian 13's own, which has the fixes as patches
        (status("1.24.1-1"), True),
        (status("1.24.1-1+deb13u3"), False),
        ({"var/lib/dpkg/status": "Package: libc6\nVersion: 2.41-12\n"}, True),
    ],
)
def test_doctor_warns_of_an_image_whose_pgbouncer_a_packet_can_crash(
    files: dict[str, str] | None,
    crashes: bool,
    image: Images,
    derived: Callable[..., str],
    engine: DockerEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = derived(image("devdb-test/pgbouncer:1.24"), files=files)
    monkeypatch.setenv("DEVDB_PGBOUNCER_IMAGE", name)
    warnings = [finding for finding in engine.check() if finding.level == Level.WARNING]
    assert len(warnings) == crashes
    for warning in warnings:
        assert warning.message.startswith(f"image {name}: Whoever reaches the port")
        assert warning.fix == NEWER
    assert engine.check() == engine.check()


def test_doctor_says_that_an_image_has_no_pgbouncer(
    engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVDB_PGBOUNCER_IMAGE", os.environ["DEVDB_POSTGRES_IMAGE"])
    [error] = [finding for finding in engine.check() if finding.level == Level.ERROR]
    assert "pgbouncer" in error.message
    assert error.fix is not None
    assert "--pooler-image" in error.fix


def test_the_newest_pooler_tracks_prepared_statements(
    spec: Spec, start: Starts, image: Images
) -> None:
    spec = replace(spec, pooler_image=image("devdb-test/pgbouncer:1.26"))
    server = start(spec)
    assert (server.pool_mode, server.notes) == (PoolMode.TRANSACTION, ())
    with libpq.connect(spec.pooled, prepare_threshold=0) as connection:
        for number in range(3):
            assert connection.execute("SELECT %s::int", (number,)).fetchone() == (number,)


def _pool_mode(spec: Spec) -> str:
    with libpq.console(spec) as console:
        rows = console.execute("SHOW CONFIG").fetchall()
    return next(str(row[1]) for row in rows if row[0] == "pool_mode")


@pytest.mark.parametrize("version", ["1.18", "1.24", "1.26"])
def test_a_pooler_with_a_client_stops_at_once(
    version: str, spec: Spec, start: Starts, image: Images, engine: DockerEngine
) -> None:
    """From 1.23 on SIGTERM would wait for the client to leave."""
    spec = replace(spec, pooler_image=image(f"devdb-test/pgbouncer:{version}"))
    start(spec)
    with libpq.connect(spec.pooled) as held:
        held.execute("SELECT 1")
        engine.stop(spec.name)
        with pytest.raises(psycopg.OperationalError):
            held.execute("SELECT 1")
    found = engine.find(spec.name)
    assert found is not None
    assert found.stopped
    assert {part.state.value for part in found.parts} == {"stopped"}


def test_an_image_without_a_pgbouncer_is_named(spec: Spec, start: Starts) -> None:
    wrong = os.environ["DEVDB_POSTGRES_IMAGE"]
    with pytest.raises(EngineUnavailable, match="pgbouncer") as caught:
        start(replace(spec, pooler_image=wrong))
    assert wrong in caught.value.message
    assert "--pooler-image" in caught.value.hint


def test_a_pgbouncer_that_is_off_the_images_path_is_found(
    spec: Spec, start: Starts, image: Images, derived: Callable[..., str]
) -> None:
    base = image("devdb-test/pgbouncer:1.24")
    hidden = derived(base, "ENV PATH=/nowhere", "ENTRYPOINT /no/such/entry-point")
    assert start(replace(spec, pooler_image=hidden)).running


def test_an_image_that_starts_as_an_ordinary_user_works(
    spec: Spec, start: Starts, derived: Callable[..., str]
) -> None:
    """The password file has to be that user's, who has a name and no number in the image."""
    unprivileged = derived(os.environ["DEVDB_POSTGRES_IMAGE"], "USER postgres")
    spec = replace(spec, postgres_image=unprivileged)
    assert start(spec).running
    with libpq.connect(spec.pooled) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_init_files_of_an_image_run_in_the_instances_database(
    spec: Spec, start: Starts, derived: Callable[..., str]
) -> None:
    sql = "CREATE TABLE seeded AS SELECT 7 AS answer;"
    image = derived(
        os.environ["DEVDB_POSTGRES_IMAGE"], files={"docker-entrypoint-initdb.d/seed.sql": sql}
    )
    spec = replace(spec, postgres_image=image)
    start(spec)
    with libpq.connect(spec.pooled) as connection:
        assert connection.execute("SELECT answer FROM seeded").fetchone() == (7,)
