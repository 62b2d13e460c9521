"""Tests that use an instance which runs already, and stays as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest
import world
from inside import Inside
from instances import ONE_ENGINE
from pytest_plugin.conftest import Project

from devdb.model import Spec


@pytest.fixture
def inside(running: Spec) -> Iterator[Inside]:
    """What is in the shared instance; nothing of the tests' may be left there afterwards."""
    found = Inside(running)
    yield found
    found.tidy()


def clones(inside: Inside) -> list[str]:
    return [name for name in inside.entries() if not name.startswith("template_")]


FACES = """
import os

import psycopg
import pytest

taken = []


@pytest.mark.parametrize("number", range(3))
def test_is_no_superuser(devdb_url, devdb_pooled_url, number, count, add):
    with psycopg.connect(devdb_url) as connection:
        asked = "SELECT rolsuper, current_user::text FROM pg_roles WHERE rolname = current_user"
        is_super, user = connection.execute(asked).fetchone()
        assert (is_super, user) == (False, connection.info.dbname)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE ROLE another")
    with psycopg.connect(devdb_pooled_url, prepare_threshold=None) as connection:
        connection.execute("UPDATE note SET text = 'pooled'")
    add(devdb_url, 2)
    assert count(devdb_url) == 2


def test_fails(devdb_url, add):
    add(devdb_url, 7, 8)
    raise AssertionError


@pytest.fixture
def breaks(devdb_url, add):
    yield
    add(devdb_url, 9)
    raise AssertionError


def test_fails_in_its_teardown(breaks):
    pass


def test_fails_in_its_setup(devdb_module_url, add, request):
    add(devdb_module_url, 3)
    request.getfixturevalue("no such")


@pytest.mark.xfail
def test_is_to_fail(devdb_url):
    raise AssertionError
"""


def rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        [count] = connection.execute("SELECT count(*) FROM note").fetchone() or [0]
        return int(count)


SQL = """
import pytest


@pytest.fixture(scope="session")
def devdb_template():
    return ["schema.sql"]
"""
NOTE = """
CREATE TABLE note (id int PRIMARY KEY, text text);
INSERT INTO note VALUES (1, 'of the template');
"""


@pytest.mark.parametrize(
    ("shared", "how", "template"),
    [
        ("native", "-n0", ""),
        ("native", "-n2", ""),
        ("docker", "-n0", SQL),  # by the psql that is in the container
    ],
    indirect=["shared"],
    ids=["native", "native-workers", "docker-sql"],
)
def test_only_what_fails_is_kept_and_its_url_is_told(
    project: Project, inside: Inside, running: Spec, how: str, template: str
) -> None:
    (project.root / "schema.sql").write_text(NOTE)
    project.write(test_it=template + FACES)
    done = project.run("--devdb-keep", "--devdb-for", "psycopg", how, DEVDB_NAME=running.name)
    assert done.counts == "2 failed, 4 passed, 1 xfailed, 1 error", done.out
    kept = re.findall(r"^The database is kept: (\S+)$", done.out, re.MULTILINE)
    assert sorted(map(rows, kept)) == [2, 2, 3], done.out
    assert sorted(url.rpartition("/")[2] for url in kept) == sorted(clones(inside))
    assert len(done.said) == 1
    assert f"of the instance '{running.name}' ({running.engine})" in done.said[0]


HOOKS = """
import psycopg
import pytest

times = []


@pytest.fixture(scope="session")
def devdb_template():
    def migrate(url):
        times.append(url)
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE half ()")
            connection.commit()
            {body}

    return migrate


def pytest_sessionfinish():
    assert len(times) == 1
"""
THREE = """
import pytest


@pytest.mark.parametrize("number", range(3))
def test_it(devdb_url, number):
    pass
"""


@ONE_ENGINE
def test_a_hook_that_fails_is_shown_once_and_leaves_nothing(
    project: Project, inside: Inside, running: Spec
) -> None:
    for name, body in {
        "nonsense": "connection.execute('SELECT nonsense')",
        # An extension is the superuser's to make there.
        "extension": "connection.execute('CREATE EXTENSION dblink')",
        "skip": "pytest.skip('no migrations here')",
    }.items():
        modules = {"conftest": HOOKS.format(body=body), f"test_{name}": THREE}
        project.write(**{f"{name}__{module}": text for module, text in modules.items()})
    done = project.run(f"--devdb-instance={running.name}")
    assert done.counts == "3 skipped, 6 errors", done.out
    assert done.out.count("connection.execute('SELECT nonsense')") == 1
    assert done.out.count('as the first test of it shows: UndefinedColumn: column "nonsense"') == 2
    assert "devdb/databases" not in done.out
    assert "permission denied to create extension" in done.out or "not available" in done.out
    assert inside.entries() == {}


@ONE_ENGINE
def test_changed_migrations_are_another_template_and_the_old_one_goes(
    project: Project, inside: Inside, running: Spec
) -> None:
    (project.root / "schema.sql").write_text("CREATE TABLE one (id int);\n")
    (project.root / "more").mkdir()
    (project.root / "more" / "1.sql").write_text("CREATE TABLE two (id int);\n")
    project.write(
        conftest="""
        import pytest


        @pytest.fixture(scope="session")
        def devdb_template():
            return ["schema.sql", "more"]
        """,
        test_it="""
        import psycopg


        def test_it(devdb_url):
            with psycopg.connect(devdb_url) as connection:
                connection.execute("SELECT FROM one, two")
                connection.execute("INSERT INTO one VALUES (1)")
        """,
    )
    borrowed = f"--devdb-instance={running.name}"
    assert project.run(borrowed).counts == "1 passed"
    [first] = inside.entries()
    project.write(test_more="def test_more(devdb_url): pass")
    assert project.run(borrowed).counts == "2 passed"
    assert list(inside.entries()) == [first]

    # One that somebody used a moment ago stays, for the other checkout that may use it still.
    inside.sql("UPDATE _devdb.databases SET expires = expires - interval '1 hour'")
    (project.root / "more" / "1.sql").write_text("CREATE TABLE two (id bigint);\n")
    assert project.run(borrowed).counts == "2 passed"
    world.eventually(lambda: len(inside.entries()) == 1, "the old one goes")
    assert list(inside.entries()) != [first]


def test_one_that_is_not_there_is_not_made(project: Project) -> None:
    project.write(test_it=THREE)
    done = project.run("--devdb-instance", "nobody")
    assert done.counts == "3 errors"
    assert "devdb: There is no instance 'nobody'." in done.out
    (project.root / "devdb.toml").write_text('nonsense = "1"\n')
    assert "devdb.toml has a setting 'nonsense'" in project.run().out
    assert project.instances() == []
