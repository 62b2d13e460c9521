"""The pytest plugin: a database of its own for each test, a clone of what the migrations built.

pytest loads it by its entry point. What it needs of devdb is imported when a test asks for a
database: a run without one pays for no more than this module.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from devdb.pytest_plugin.template import Template

if TYPE_CHECKING:
    from devdb.pytest_plugin.notice import Terminal
    from devdb.pytest_plugin.usage import Taken, Usage

__all__ = ["Template"]

_usage: pytest.StashKey[Usage] = pytest.StashKey()
_terminal: pytest.StashKey[Terminal] = pytest.StashKey()
_begun: pytest.StashKey[tuple[dict[str, str], str]] = pytest.StashKey()
_said: pytest.StashKey[dict[str, None]] = pytest.StashKey()
"""The lines of the summary, each once."""
_pid: pytest.StashKey[int] = pytest.StashKey()
_run: pytest.StashKey[str] = pytest.StashKey()
_taken: pytest.StashKey[list[Taken]] = pytest.StashKey()
_wide: pytest.StashKey[dict[str, Taken]] = pytest.StashKey()
"""What fixtures of a module or the session have, by their names."""


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """The options; that there are none to be given is the rule."""
    _leave_devdb_as_it_is(pluginmanager)
    group = parser.getgroup("devdb", "databases for tests (devdb)")
    group.addoption(
        "--devdb-keep",
        action="store_true",
        help="Keep a failing test's database, and print its URL in the report.",
    )
    group.addoption(
        "--devdb-for",
        metavar="CLIENT",
        help="Spell the URLs for it: asyncpg, sqlalchemy, ...; else devdb.toml's client, or libpq.",
    )
    group.addoption(
        "--devdb-instance",
        metavar="NAME",
        help="Use this running instance, and none of the tests' own; else DEVDB_NAME.",
    )
    group.addoption(
        "--devdb-disk",
        action="store_true",
        help="Have the data of the tests' own instance on disk, not in memory.",
    )


def _leave_devdb_as_it_is(pluginmanager: pytest.PytestPluginManager) -> None:
    """Have pytest rewrite no `assert` of devdb's own.

    It does that to every module of a plugin's distribution. It takes longer than the import itself
    where nobody may write a cache, and threads that import at the same time can fail by it
    (https://github.com/python/cpython/issues/106905). There is no public way to say so.
    """
    hook = pluginmanager.rewrite_hook
    getattr(hook, "_must_rewrite", set[str]()).discard("devdb")
    getattr(hook, "_marked_for_rewrite_cache", dict[str, bool]()).clear()


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a client that there is not, before anything is collected."""
    from devdb.pytest_plugin.notice import Terminal

    config.stash[_terminal] = Terminal()  # pytest captures nothing yet
    config.stash[_said] = {}
    config.stash[_pid] = os.getpid()
    _remember(config)
    if config.getoption("devdb_for") is not None:
        from devdb.errors import UsageError
        from devdb.urls import clients

        try:
            clients.client(config.getoption("devdb_for"))
        except UsageError as error:
            raise pytest.UsageError(f"--devdb-for: {error.message} {error.hint}") from None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing open, and no file of this run."""
    if _terminal in config.stash:
        config.stash[_terminal].close()
    if _run in config.stash:
        from devdb.pytest_plugin.content import shared_file

        shared_file(config.stash[_run]).unlink(missing_ok=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Remember the environment: what a conftest.py set counts, what a test sets does not."""
    _remember(session.config)


def _remember(config: pytest.Config) -> None:
    config.stash[_begun] = (dict(os.environ), str(Path.cwd()))


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Know the run that xdist's workers are of."""
    node.config.stash[_run] = node.workerinput["testrunuid"]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear what a worker has to say; one that crashed says nothing."""
    output = getattr(node, "workeroutput", None) or {}
    _say(node.config, output.get("devdb", []))


def _say(config: pytest.Config, lines: Iterable[str]) -> None:
    said = config.stash[_said]
    said.update(dict.fromkeys(lines))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Give everything back, and have a worker of xdist's tell its controller.

    trylast: all fixtures have ended.
    """
    config = session.config
    if (usage := config.stash.get(_usage, None)) is not None:
        usage.close()
        _say(config, usage.notes)
    if hasattr(config, "workeroutput"):
        config.workeroutput["devdb"] = [*config.stash[_said]]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which Postgres it was, and what is to be known of that."""
    for line in config.stash[_said]:
        terminalreporter.write_line(f"devdb: {line}")


@pytest.fixture(scope="session")
def devdb_template() -> None:
    """What the databases are copies of: override it in conftest.py.

    Return a function that is called with the URL of an empty database and runs the project's
    migrations there, once for all tests and again only when a file of the project has changed; the
    path of an SQL file, of a directory of them or of a dump, or a list of such paths; or
    devdb.pytest_plugin.Template(function, files=["migrations/**"]), to say which files count.
    By default it is empty.
    """
    return


@pytest.fixture(scope="session")
def _devdb(request: pytest.FixtureRequest) -> Usage:
    """What this process uses; made by the first test that asks for a database.

    It ends with the session and not as a fixture: the last test's report is only made then.
    """
    from devdb.pytest_plugin.host import Wishes
    from devdb.pytest_plugin.usage import Usage

    config = request.config
    environment, directory = config.stash[_begun]
    wishes = Wishes(
        root=config.rootpath,
        instance=config.getoption("devdb_instance"),
        client=config.getoption("devdb_for"),
        on_disk=config.getoption("devdb_disk"),
        environment=environment,
        directory=directory,
    )
    usage = Usage(
        wishes,
        config.stash[_terminal],
        tests=config.getini("python_files"),
        run=getattr(config, "workerinput", {}).get("testrunuid", ""),
        workers=int(environment.get("PYTEST_XDIST_WORKER_COUNT", "1")),
    )
    config.stash[_usage] = usage
    config.stash[_wide] = {}
    return usage


@pytest.fixture
def _devdb_taken(
    request: pytest.FixtureRequest, _devdb: Usage, devdb_template: object
) -> Iterator[Taken]:
    """This test's clone."""
    __tracebackhide__ = True
    taken = _take(_devdb, devdb_template)
    request.node.stash[_taken] = [taken]
    yield taken
    _devdb.leave(taken)


@pytest.fixture
def devdb_url(_devdb: Usage, _devdb_taken: Taken) -> str:
    """The URL of a database that is this test's own: a fresh copy of `devdb_template`."""
    return _devdb.url(_devdb_taken)


@pytest.fixture
def devdb_pooled_url(_devdb: Usage, _devdb_taken: Taken) -> str:
    """The database of `devdb_url`, through PgBouncer."""
    return _devdb.pooled_url(_devdb_taken)


@pytest.fixture(scope="module")
def devdb_module_url(
    request: pytest.FixtureRequest, _devdb: Usage, devdb_template: object
) -> Iterator[str]:
    """The URL of a database that the tests of a module share: a copy of `devdb_template`."""
    yield from _shared("devdb_module_url", request.config, _devdb, devdb_template)


@pytest.fixture(scope="session")
def devdb_session_url(
    request: pytest.FixtureRequest, _devdb: Usage, devdb_template: object
) -> Iterator[str]:
    """The URL of a database that all tests share, those of a worker of xdist's: a copy of
    `devdb_template`."""
    yield from _shared("devdb_session_url", request.config, _devdb, devdb_template)


def _shared(fixture: str, config: pytest.Config, usage: Usage, template: object) -> Iterator[str]:
    __tracebackhide__ = True
    taken = _take(usage, template)
    config.stash[_wide][fixture] = taken
    yield usage.url(taken)
    usage.leave(taken)


def _take(usage: Usage, template: object) -> Taken:
    __tracebackhide__ = True
    from devdb.errors import DevdbError
    from devdb.pytest_plugin.usage import Broken

    try:
        return usage.take(template)
    except DevdbError as error:
        _fail(f"{error.message}\n{error.hint}")
    except Broken as broken:
        _fail(f"the template could not be built, as the first test of it shows: {broken}")


def _fail(why: str) -> NoReturn:
    """End the test with that, and without a traceback through devdb."""
    raise pytest.fail.Exception(f"devdb: {why}", pytrace=False) from None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Refuse a shared database that is a copy of another template than the test's own."""
    outcome: Any = yield
    arguments = getattr(item, "funcargs", {})
    wide = item.config.stash.get(_wide, {})
    for fixture in ("devdb_module_url", "devdb_session_url"):
        if outcome.excinfo is None and fixture in arguments and fixture in wide:
            template = wide[fixture].template
            if arguments.get("devdb_template", template) is not template:
                try:
                    _fail(_OF_ANOTHER.format(fixture))
                except pytest.fail.Exception as error:
                    outcome.force_exception(error)


_OF_ANOTHER = """\
'{0}' was made for a test with another devdb_template, and here that is overridden.
Override '{0}' beside it, e.g. with the body `return devdb_url`; or use devdb_url."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keep what a failing test used, where that is wished; let go of it when the test is over."""
    outcome: Any = yield
    usage = item.config.stash.get(_usage, None)
    if usage is None:
        return
    report: pytest.TestReport = outcome.get_result()
    if report.failed and item.config.getoption("devdb_keep"):
        _keep(item, report, usage)
    if report.when == "teardown":
        usage.settle()
        item.stash[_taken] = []
        if os.getpid() != item.config.stash[_pid]:  # pytest-forked: no session ends there
            usage.close()


def _keep(item: pytest.Item, report: pytest.TestReport, usage: Usage) -> None:
    arguments = getattr(item, "funcargs", {})
    wide = item.config.stash[_wide]
    used = [*item.stash.get(_taken, []), *(wide[each] for each in wide if each in arguments)]
    item.stash[_taken] = []  # once: a test can fail in its teardown, too
    for taken in used:
        usage.keep(taken)
        report.sections.append(("devdb", f"The database is kept: {usage.url(taken)}"))
