"""What the plugin costs and says where no test asks for a database."""

from __future__ import annotations

from pytest_plugin.conftest import Project

LIGHT = """
import sys
import threading


def test_nothing_is_loaded():
    loaded = {name for name in sys.modules if name.startswith("devdb.")}
    assert loaded <= {
        "devdb.pytest_plugin", "devdb.pytest_plugin.template", "devdb.pytest_plugin.notice"
    }
    assert [each for each in threading.enumerate() if each.name.startswith("devdb")] == []


def test_its_own_asserts_are_left_as_they_are():
    import devdb.sessions

    assert "Rewriting" not in type(devdb.sessions.__spec__.loader).__name__
"""


def test_a_run_without_a_database_loads_nothing_and_says_nothing(project: Project) -> None:
    project.write(test_it=LIGHT)
    done = project.run()
    assert (done.counts, done.said, done.err) == ("2 passed", [], "")
    assert project.instances() == []


def test_fixtures_and_options_are_told_and_an_unknown_client_is_refused(project: Project) -> None:
    fixtures = project.run("--fixtures").out
    for name in ("url", "pooled_url", "module_url", "session_url", "template"):
        assert f"\ndevdb_{name}" in fixtures
    assert "_devdb_taken" not in fixtures
    refused = project.run("--devdb-for", "asyncpgg")
    assert refused.code == 4
    assert "--devdb-for: There is no client 'asyncpgg'" in refused.err
    assert "asyncpg" in refused.err
