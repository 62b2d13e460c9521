"""Every command that a page or the help shows is typed into a shell, and works."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from documentation import pages
from documentation.conftest import Reader
from documentation.pages import PAGES, ROOT

PYTHON = """
import psycopg

def run_my_tests(*urls):
    for url in urls:
        with psycopg.connect(url) as connection:
            connection.execute("SELECT 1")
"""
"""What a reader's own code has around the Python that is shown."""

_DUMP = 'pg_dump -Fc -f shop.dump "$(devdb url)"'
_SPARE = "DEVDB_ENGINE=fake DEVDB_PORT= DEVDB_POOL_PORT= devdb up -d -n"
_FORGET = f"{_SPARE} spare; devdb rm spare --keep-data && devdb rm -f spare"
_MAJOR = "$(devdb psql -XAtc 'SHOW server_version_num' | cut -c 1-2)"
BEFORE = {
    "devdb temp --seed shop.dump": _DUMP,
    "devdb temp --seed shop.dump.gz": f"{_DUMP}; gzip shop.dump",
    "devdb temp --seed shop.sql.zst": "zstd -q shop.sql",
    "devdb doctor - < error.log": "echo 'FATAL: sorry, too many clients already' > error.log",
    "devdb down 'shop-*'": f"{_SPARE} shop-2",
    "devdb rm -f 'test-*'": f"{_SPARE} test-1; {_SPARE} test-2",
    "devdb temp claim temp_calm_owl --as shop2": "devdb temp -q --as temp_calm_owl",
    "devdb sql -d temp_calm_owl 'select 1'": "devdb temp -q --as temp_calm_owl",
    "devdb temp claim NAME": "devdb temp -q --as shop",
    "devdb temp extend NAME --ttl 3d": "devdb temp -q --as shop",
    "devdb up -n NAME --adopt": "devdb down; rm $DEVDB_DATA_DIR/instances/shop/marker.json",
    "devdb up -n NAME --anew": "devdb down; rm -r $DEVDB_DATA_DIR/instances/shop/native",
    "devdb status": "devdb up",
    "devdb url --http": "devdb up --http-port $HTTP_PORT",
}
"""What the reader has to have, and how it is made."""

INSTEAD = {
    # With nobody to be asked; the question is answered in tests/cli/test_terminal.py.
    "devdb rm NAME": "devdb rm -f shop",
    "devdb rm shop": "devdb rm -f shop",
    # One that no other line needs.
    "devdb rm shop --keep-data": _FORGET,
    "devdb rm NAME --keep-data": _FORGET,
    "devdb temp drop NAME": "devdb temp -q --as gone; devdb temp drop -f gone",
    "devdb psql -f FILE": "devdb psql -f shop.sql",
    # With the Postgres that is here, and ports that are this test's.
    "devdb up -n pg16 --pg 16": f"devdb up -n pg16 --pg {_MAJOR} $OTHER_PORTS",
    "devdb up -n NAME --pg MAJOR": f"devdb up -n beside --pg {_MAJOR} $OTHER_PORTS",
    "devdb up --port N": "devdb up --port ${OTHER_PORTS##* }",
    "devdb up --http": "devdb up --http --http-port $HTTP_PORT",
    'pg_dump "$PRODUCTION" | devdb temp --seed -': 'export PRODUCTION="$(devdb url)"; '
    'pg_dump "$PRODUCTION" | devdb temp --seed -',
}
"""What stands for a line that cannot be typed as it is."""

ELSEWHERE = {
    # In a project of its own.
    **{
        line: "tests/documentation/test_recipes.py"
        for recipe in pages.recipes(ROOT / "docs" / "testing.md")
        for line in recipe.lines
    },
    "scripts/first-minute --way action": "scripts/first-minute",
    # On the machine of who installs, from an index, or to publish there.
    "uv tool install devdb": "scripts/first-minute",
    "uv tool upgrade devdb": "docs/releasing.md",
    "pipx install devdb": "scripts/first-minute",
    "pip install devdb": ".github/workflows/wheel.yml",
    "pipx install --force devdb": "docs/releasing.md",
    "pipx install dist/devdb-0.2.0-py3-none-any.whl": ".github/workflows/wheel.yml",
    "pipx upgrade devdb": "docs/releasing.md",
    "scripts/up --link": "scripts/first-minute",
    "scripts/up": "tests/scripts/test_up.py",
    "devdb doctor --fix": "tests/cli/test_fix.py",
    "devdb up --fix": "tests/cli/test_fix.py",
    # On another machine, or in a cluster.
    "export DOCKER_HOST=ssh://box": "tests/far/test_ssh.py",
    "devdb up --engine kubernetes": "tests/kubernetes/test_pod.py",
    "devdb up -n NAME --engine kubernetes": "tests/kubernetes/test_pod.py",
    "devdb up -d -n shop --engine kubernetes": "tests/kubernetes/test_pod.py",
    "DEVDB_ENGINE=kubernetes devdb doctor": "tests/kubernetes/test_rights.py",
    # By who builds devdb; they run this, or take minutes.
    "scripts/test --kubernetes": ".ci/run",
    "scripts/test": ".ci/run",
    "scripts/test -k words tests/unit": ".ci/run",
    "scripts/check": ".ci/run",
    "scripts/wheel dist": ".github/workflows/wheel.yml",
    "scripts/lock --upgrade": "tests/unit/test_lock.py",
    "scripts/bench --only tls": "tests/scripts/test_bench.py",
    # Until it is left or interrupted; and on ports that are no test's own.
    "devdb logs -f": "tests/cli/test_signals.py",
    "CREATE_DB_WORKER_URL=http://127.0.0.1:17654 CLAIM_DB_WORKER_URL=http://127.0.0.1:17654"
    " npx create-db -r us-east-1": "tests/clients/test_createdb.py",
    "devdb up --web": "tests/tui/test_web.py",
    "devdb ui": "tests/tui/test_instances.py",
    "devdb http": "tests/gateway/test_life.py",
    "devdb http --create-db": "tests/gateway/test_life.py",
    "devdb up --preset digitalocean": "tests/cli/test_up.py",
}
"""What no test may run here, and what does: a test, a workflow, a person with a list."""

HERE = re.compile(r'(\w+=("[^"]*"|\S+) )*(devdb|psql|pg_dump|npm run)\b')
"""A line that may be typed here: another program could do anything to this machine."""
SHOWN = pages.shown()
TYPED = {
    page: found
    for page, shown in SHOWN.items()
    if (found := [line for line in shown if line not in ELSEWHERE and HERE.match(line)])
}


@pytest.mark.parametrize("page", TYPED)
def test_each_command_of_the_page_works(page: str, reader: Reader) -> None:
    lines = TYPED[page]
    if lines[0] != "devdb up":
        lines = ["devdb up", *lines]  # whom another page has brought here
    for line in lines:
        for typed in (BEFORE.get(line), INSTEAD.get(line, pages.filled(line))):
            if typed is not None:
                done = reader(typed)
                assert done.code == 0, f"{typed}\n{done.err}"
                assert not re.search("Traceback|^error:|command not found", done.err, re.MULTILINE)


@pytest.mark.parametrize("code", [code for page in PAGES for code in pages.blocks(page, "python")])
def test_the_python_of_the_pages_works(code: str, reader: Reader) -> None:
    assert reader("devdb up").code == 0
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PYTHON + code],
        cwd=reader.project,
        env=reader.env,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert reader("devdb temp ls").out == ""


def test_what_is_not_typed_here_is_run_elsewhere() -> None:
    shown = {line for lines in SHOWN.values() for line in lines}
    assert {line for line in shown - {*ELSEWHERE} if not HERE.match(line)} == set()


def test_no_exception_is_of_a_command_that_no_page_shows() -> None:
    shown = {line for lines in SHOWN.values() for line in lines}
    assert {*BEFORE, *INSTEAD, *ELSEWHERE} - shown == set()


@pytest.mark.parametrize("place", sorted({*ELSEWHERE.values()}))
def test_what_runs_the_others_is_there(place: str) -> None:
    assert (ROOT / Path(place)).is_file()
