"""A project as a reader has it: `devdb` on PATH, a directory to work in, and real servers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import available
import pytest
import world
from commandline import Done, ended

TOOLS = ("bash", "psql", "pg_dump", "gzip", "zstd", "npm")
"""What the examples call besides devdb."""
DEV = 'psql "$DATABASE_URL" -c "SELECT 1"'
"""What `npm run dev` and `npm test` start there."""
SCHEMA = """
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO customers VALUES (1, 'Ada'), (2, 'Grace');
"""


@dataclass(frozen=True)
class Reader:
    """Types into a shell what is shown, with nobody at a terminal."""

    project: Path
    env: dict[str, str]

    def __call__(self, line: str) -> Done:
        argv = ["bash", "-euo", "pipefail", "-c", line]
        return ended(argv, cwd=self.project, env=self.env, alone=True)


@pytest.fixture
def reader(tmp_path: Path, home: Path, free_port: Callable[[], int]) -> Iterator[Reader]:
    """One in the project `shop`, without an instance; afterwards nothing of one may be left."""
    if reason := available.why_not("native"):
        if "native" in available.required():
            pytest.fail(f"the native engine is required here, but: {reason}")
        pytest.skip(f"native engine: {reason}")
    if missing := [tool for tool in TOOLS if not shutil.which(tool)]:
        pytest.skip(f"the examples call {', '.join(missing)}")
    scripts = Path(sys.executable).parent
    assert (scripts / "devdb").exists(), "devdb is not installed in this environment"
    project = tmp_path / "shop"
    (project / ".git").mkdir(parents=True)
    (project / "package.json").write_text(json.dumps({"scripts": {"dev": DEV, "test": DEV}}))
    (project / "shop.sql").write_text(SCHEMA)
    first, *ports = (str(free_port()) for _ in range(5))
    env = {
        **{key: value for key, value in os.environ.items() if not key.startswith("DEVDB_")},
        "PATH": f"{scripts}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
        "DEVDB_DATA_DIR": str(home),
        "DEVDB_CACHE_DIR": os.environ["DEVDB_CACHE_DIR"],
        "DEVDB_ENGINE": "native",
        "DEVDB_PORT": first,
        "DEVDB_POOL_PORT": ports[0],
        "HTTP_PORT": ports[3],
        "OTHER_PORTS": f"--port {ports[1]} --pool-port {ports[2]}",
    }
    yield Reader(project, env)
    names = [path.name for path in home.glob("instances/*")]
    for name in names:
        done = subprocess.run([scripts / "devdb", "rm", "-f", name], env=env, capture_output=True)
        assert done.returncode == 0, done.stderr
    assert [trace for name in names for trace in world.traces(name, home, engine="native")] == []
