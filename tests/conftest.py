"""Fixtures of the whole suite: a data directory per test, the engines, instances that go away."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import available
import hypothesis
import kube
import pytest
import specs
import world
from instances import Instance
from world import NewSpec, Starts

from devdb import engines, marker, paths
from devdb.engines import Engine
from devdb.model import Server, Spec

REAL = ("native", "docker", *(["kubernetes"] if kube.is_there() else ()))
ENGINES = ("fake", *REAL)
KUBERNETES = ("contract", "kubernetes")
"""The folders that are run on it, too: a start takes seconds there, and other folders' subject is
the same on each engine."""


def pytest_configure(config: pytest.Config) -> None:
    # The same examples each time: what fails here fails for who looks at it, too. With others:
    # --hypothesis-profile=default
    hypothesis.settings.register_profile("suite", derandomize=True, deadline=None)
    if not config.getoption("--hypothesis-profile", None):
        hypothesis.settings.load_profile("suite")
    # Where there is CI, programs colour what they print, also into pipes; some by other variables.
    for variable in ("CI", "GITHUB_ACTIONS", "FORCE_COLOR", "CLICOLOR_FORCE", "PY_COLORS"):
        os.environ.pop(variable, None)
    # A shell has what it runs in the background ignore Ctrl-C, and that is inherited; here
    # processes are sent it.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    kube.use()
    world.docker_command()  # asked, and remembered, before a test hides the engine
    if not hasattr(config, "workerinput"):
        config.add_cleanup(_share_cache())
    for variable, image in available.local_test_images().items():
        os.environ.setdefault(variable, image)


def _share_cache() -> Callable[[], None]:
    """Make a cache for this run and its workers: what devdb's own has, apart from templates and
    what is told of instances for tests.

    Templates are copied and taken as data, which only works on one file system. Returns what
    removes it.
    """
    real = paths.cache_home()  # before any test changes HOME
    shared = world.new_directory("cache")
    os.environ["DEVDB_CACHE_DIR"] = str(shared)
    (real / "test").mkdir(parents=True, exist_ok=True)  # what old_pgbouncer gets
    for path in real.iterdir():
        if path.name not in ("templates", "tests"):
            (shared / path.name).symlink_to(path)

    def remove() -> None:
        world.eventually(lambda: not world.mentioning(shared), "nobody is at work in the cache")
        shutil.rmtree(shared)

    return remove


def pytest_report_header() -> list[str]:
    return [f"{name} engine: {line}" for name in ENGINES for line in available.findings(name)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = [item for item in items if _is_wanted(item)]


def _is_wanted(item: pytest.Item) -> bool:
    if _is_of_kubernetes(item):
        return kube.is_there() and _folder(item) in KUBERNETES
    return True


def _is_of_kubernetes(item: pytest.Item) -> bool:
    callspec = getattr(item, "callspec", None)
    is_parameter = callspec is not None and "kubernetes" in callspec.params.values()
    return is_parameter or _folder(item) == "kubernetes"


def _folder(item: pytest.Item) -> str:
    return item.path.relative_to(Path(__file__).parent).parts[0]


@pytest.fixture
def alone() -> None:
    """In Kubernetes, no other test is at work meanwhile: this one changes the cluster."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    if not _is_of_kubernetes(item):
        return (yield)
    with kube.turn(alone="alone" in getattr(item, "fixturenames", ())):
        return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not kube.is_there():
        terminalreporter.line(f"NOT RUN: the tests of Kubernetes; {kube.HOW} does")


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The test's own `DEVDB_DATA_DIR`: short, and passable for the user that root's servers get."""
    directory = world.new_directory("test")
    monkeypatch.setenv("DEVDB_DATA_DIR", str(directory))
    for variable in ("DEVDB_NAME", "DEVDB_ENGINE"):
        monkeypatch.delenv(variable, raising=False)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine in turn; what it needs is there, or the test is skipped with the reason."""
    return _engine(request.param)


@pytest.fixture(params=REAL)
def real_engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine that runs real servers."""
    return _engine(request.param)


def _engine(name: str) -> Engine:
    if reason := available.why_not(name):
        if name in available.required():
            pytest.fail(f"the {name} engine is required here, but: {reason}")
        pytest.skip(f"{name} engine: {reason}")
    return engines.get(name)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Makes ports nobody listens on, each a different one."""
    return specs.free_port


@pytest.fixture
def new_spec(home: Path, request: pytest.FixtureRequest) -> Iterator[NewSpec]:
    """Makes Specs with a marker; afterwards they are destroyed and nothing of them may be left."""
    made: list[tuple[Engine, Spec]] = []

    def make(engine: Engine, **changes: Any) -> Spec:
        spec = specs.new(engine.name, **changes)
        assert world.traces(spec.name, home, engine=engine.name) == []
        made.append((engine, spec))
        marker.save(spec)
        return spec

    yield make
    left: list[str] = []
    for engine, spec in made:
        engine.stop(spec.name, destroy=True)
        marker.delete(spec.name)
        left += world.traces(spec.name, home, engine=engine.name)
        if paths.instance_dir(spec.name).exists():
            left.append(f"directory {paths.instance_dir(spec.name)}")
    assert left == []


@pytest.fixture(scope="session")
def instances() -> Iterator[Callable[[str], Instance]]:
    """Starts one of each engine, for whoever asks first, and keeps it to the end."""
    made: dict[str, Instance] = {}

    def get(engine: str) -> Instance:
        if engine not in made:
            made[engine] = Instance(engine)
        return made[engine]

    yield get
    with_reaper = [engine for engine, instance in made.items() if "reaper" in instance.parts]
    for instance in made.values():
        instance.destroy()
    assert with_reaper == [], "a test started a reaper, which drops what the others expect to find"


@pytest.fixture(scope="session", params=REAL)
def shared(request: pytest.FixtureRequest, instances: Callable[[str], Instance]) -> Instance:
    """An instance of each engine in turn, running, and without a reaper; left as it was."""
    return instances(request.param)


@pytest.fixture
def running(shared: Instance, monkeypatch: pytest.MonkeyPatch) -> Spec:
    """The Spec of the shared instance, in whose data directory the test then is."""
    monkeypatch.setenv("DEVDB_DATA_DIR", str(shared.home))
    return shared.spec


@pytest.fixture
def spec(engine: Engine, new_spec: NewSpec) -> Spec:
    """A Spec for the engine under test, with free ports; not started."""
    return new_spec(engine)


@pytest.fixture
def start(engine: Engine) -> Starts:
    """Starts a Spec to the end; the Server that READY carries."""

    def run(spec: Spec) -> Server:
        server = list(engine.start(spec))[-1].server
        assert server is not None
        return server

    return run


@pytest.fixture
def real_spec(real_engine: Engine, new_spec: NewSpec) -> Spec:
    """A Spec for the real engine under test, with free ports; not started."""
    return new_spec(real_engine)
