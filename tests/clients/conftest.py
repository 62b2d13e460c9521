"""What the clients need: those that are not Python's come from `scripts/clients`."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clients.programs import Run, program
from clients.stacks import NEW, OLD, Stack, running
from clients.workload import console
from instances import Instance

from devdb.model import PoolMode

HERE = Path(__file__).parent
SCRIPT = HERE.parents[1] / "scripts" / "clients"


@functools.cache
def installed() -> tuple[dict[str, str], str]:
    """What `scripts/clients` has, and what it says of the rest."""
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines()), done.stderr.strip()


def path_of(variable: str) -> Path:
    """Where a client is; skips the test where it cannot be had, with the script's reason."""
    if given := os.environ.get(variable):
        return Path(given)
    found, reasons = installed()
    if variable not in found:
        pytest.skip(reasons or f"scripts/clients printed no {variable}")
    return Path(found[variable])


@pytest.fixture(scope="session")
def node() -> dict[str, str]:
    """The environment in which node finds the clients."""
    home = path_of("DEVDB_TEST_NODE_CLIENTS")
    return {**os.environ, "NODE_PATH": f"{home / 'node_modules'}:{home}"}


@pytest.fixture(scope="session")
def pgjdbc(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The start of a command that runs one of tests/clients/java's classes with pgJDBC."""
    jar = path_of("DEVDB_TEST_PGJDBC")
    classes = tmp_path_factory.mktemp("classes")
    sources = sorted(str(path) for path in (HERE / "java").glob("*.java"))
    subprocess.run(["javac", "-cp", str(jar), "-d", str(classes), *sources], check=True)
    return ["java", "-cp", f"{jar}:{classes}"]


@pytest.fixture(scope="session")
def new_stack() -> Iterator[Stack]:
    """An instance whose PgBouncer tracks prepared statements, in transaction mode."""
    with running(NEW) as stack:
        assert stack.tracked
        assert stack.mode == PoolMode.TRANSACTION
        yield stack


@pytest.fixture(scope="session")
def old_stack() -> Iterator[Stack]:
    """An instance whose PgBouncer cannot track them, and therefore runs in session mode."""
    with running(OLD) as stack:
        assert not stack.tracked
        assert stack.mode == PoolMode.SESSION
        yield stack


@pytest.fixture
def instance() -> Iterator[Instance]:
    """A native one of the test's own."""
    made = Instance("native")
    yield made
    made.destroy()


@pytest.fixture
def untracked(old_stack: Stack) -> Iterator[Stack]:
    """Transaction mode forced on a PgBouncer that cannot track."""
    with console(old_stack.spec) as tell:
        tell("SET pool_mode = 'transaction'")
        yield old_stack
        tell("SET pool_mode = 'session'")


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Callable[[str], Run]:
    """Finds the program of a client; what it needs is installed, or the test is skipped."""

    def find(client: str) -> Run:
        if client in ("psycopg", "asyncpg", "sqlalchemy", "sqlalchemy-asyncpg"):
            script = str(HERE / "python" / "work.py")
            return program([sys.executable, "-W", "error", script], dict(os.environ))
        if client == "jdbc":
            return program([*request.getfixturevalue("pgjdbc"), "Work"], dict(os.environ))
        script = str(HERE / "node" / "work.cjs")
        return program(["node", script], request.getfixturevalue("node"))

    return find
