from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import libpq
import pytest
from inside import Inside, login
from instances import Instance

from devdb import postgres, temporary
from devdb.errors import DevdbError, EngineUnavailable, UsageError
from devdb.model import Spec

HOUR = timedelta(hours=1)
SQL = """
CREATE EXTENSION hstore;
CREATE TABLE people (name text, "quoted ; name" text);
COPY people FROM stdin;
Ada\tsemi;colon
Bob\t\\N
\\.
CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT 'a;b' $$;
\\echo a command of psql
INSERT INTO people SELECT current_user;
"""


def rows(made: temporary.TemporaryDatabase) -> list[tuple[object, ...]]:
    with libpq.connect(made.direct) as connection:
        return connection.execute("SELECT name FROM people ORDER BY name").fetchall()


@pytest.mark.parametrize("suffix", [".sql", ".sql.gz"])
def test_sql_is_run_by_psql_as_the_new_role(
    spec: Spec, shared: Instance, tmp_path: Path, suffix: str
) -> None:
    seed = tmp_path / f"seed{suffix}"
    seed.write_bytes(gzip.compress(SQL.encode()) if suffix.endswith("gz") else SQL.encode())
    made = temporary.create(spec, ttl=HOUR, seed=seed, psql=shared.psql, name="seeded")
    assert rows(made) == [("Ada",), ("Bob",), ("seeded",)]
    assert login(made.pooled) == "in"
    assert made.left == HOUR


@pytest.fixture
def without_psql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a docker command, and with no tools of Postgres."""
    docker = shutil.which("docker")
    assert docker is not None, "the suite's engine comes with one"
    path = tmp_path / "bin"
    path.mkdir()
    (path / "docker").symlink_to(docker)
    monkeypatch.setenv("PATH", str(path))


def test_without_a_psql_here_the_containers_is_used(
    tmp_path: Path, without_psql: None, request: pytest.FixtureRequest
) -> None:
    instance = Instance("docker")
    request.addfinalizer(instance.destroy)
    psql = instance.psql
    assert Path(psql[0]).name == "docker"
    for seed, content in (("a.sql", SQL.encode()), ("b.dump", pg_dump(instance))):
        (tmp_path / seed).write_bytes(content)
        made = temporary.create(instance.spec, ttl=HOUR, seed=tmp_path / seed, psql=psql)
        assert login(made.direct) == "in"
        assert instance.spec.password not in " ".join(psql)
    assert rows(temporary.every(instance.spec)[0])[:2] == [("Ada",), ("Bob",)]


def test_a_dump_is_restored_without_its_owners(
    spec: Spec, shared: Instance, inside: Inside, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if older_than(spec, shared.psql[0]):
        request.getfixturevalue("without_psql")  # the container's own are as new as the server
    dump = tmp_path / "main.dump"
    inside.sql("CREATE TABLE people AS SELECT 'Eve' AS name", database="main")
    try:
        dump.write_bytes(pg_dump(shared))
    finally:
        inside.sql("DROP TABLE people", database="main")
    made = temporary.create(spec, ttl=HOUR, seed=dump, psql=shared.psql)
    assert rows(made) == [("Eve",)]
    with libpq.connect(made.direct) as connection:
        connection.execute("DROP TABLE people")


def older_than(spec: Spec, psql: str) -> bool:
    told = subprocess.run([psql, "--version"], capture_output=True, text=True, check=True).stdout
    version = postgres.probe(spec.direct)
    assert version is not None
    return int(told.split()[2].split(".")[0]) < int(version.split(".")[0])


def pg_dump(instance: Instance) -> bytes:
    argv = [re.sub(r"psql$", "pg_dump", word) for word in instance.psql]
    return subprocess.run(
        [*argv, "-Fc"],
        env={**os.environ, "PGPASSWORD": instance.spec.password},
        capture_output=True,
        check=True,
    ).stdout


def test_the_first_error_ends_it_and_leaves_nothing(
    spec: Spec, shared: Instance, inside: Inside, tmp_path: Path
) -> None:
    seed = tmp_path / "broken.sql"
    seed.write_text("CREATE TABLE t (a int);\nSELECT nonsense;\nCREATE TABLE u (a int);\n")
    with pytest.raises(DevdbError) as failed:
        temporary.create(spec, ttl=HOUR, seed=seed, psql=shared.psql)
    assert 'column "nonsense" does not exist' in failed.value.message
    assert ":2:" in failed.value.message
    assert "broken.sql" in failed.value.message
    assert inside.entries() == {}
    inside.assert_tidy()


def test_an_error_early_in_a_big_packed_seed_is_still_told(
    spec: Spec, shared: Instance, inside: Inside, tmp_path: Path
) -> None:
    """psql is gone by the time most of the file has been unpacked for it."""
    seed = tmp_path / "big.sql.gz"
    seed.write_bytes(gzip.compress(b"SELECT nonsense;\n" + b"SELECT 1;\n" * 300_000, 1))
    with pytest.raises(DevdbError, match="nonsense"):
        temporary.create(spec, ttl=HOUR, seed=seed, psql=shared.psql)
    assert inside.entries() == {}


def test_a_broken_archive_leaves_nothing(
    spec: Spec, shared: Instance, inside: Inside, tmp_path: Path
) -> None:
    for name, content in (
        ("cut.sql.gz", gzip.compress(SQL.encode() * 100)[:-20]),
        ("none.sql.gz", b"no gzip"),
        ("none.dump", b"no dump"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DevdbError, match=name):
            temporary.create(spec, ttl=HOUR, seed=tmp_path / name, psql=shared.psql)
        assert inside.entries() == {}


def test_what_cannot_be_a_seed_is_refused_before_anything_is_made(
    spec: Spec, inside: Inside, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("")
    for seed in (tmp_path / "notes.txt", tmp_path / "missing.sql", tmp_path):
        with pytest.raises(UsageError):
            temporary.create(spec, ttl=HOUR, seed=seed, psql=["psql"])
    assert inside.entries() == {}


def test_without_a_psql_it_says_how_to_get_one(spec: Spec, inside: Inside, tmp_path: Path) -> None:
    seed = tmp_path / "seed.sql"
    seed.write_text(SQL)
    with pytest.raises(EngineUnavailable, match="/nowhere/psql"):
        temporary.create(spec, ttl=HOUR, seed=seed, psql=["/nowhere/psql"])
    assert inside.entries() == {}


def test_no_secret_is_in_the_tools_arguments(spec: Spec, tmp_path: Path) -> None:
    from devdb.temporary import seeding

    for name in ("a.sql", "a.sql.gz", "a.dump"):
        argv = seeding.command(spec.direct, tmp_path / name, ["/bin/psql", "-h", "127.0.0.1"])
        assert spec.password not in " ".join(argv)
