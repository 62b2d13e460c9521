"""What programs say of themselves, asked once: the answers are kept in the cache.

Postgres takes longer to print its version than PgBouncer takes to start.
"""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
from pathlib import Path

from devdb.engines import answers


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
    known = answers.recall("programs", question[:20])
    if known is not None:
        return known
    answer = _run(argv, {"LD_LIBRARY_PATH": libraries} if libraries else {})
    if answer is not None:
        answers.keep("programs", question[:20], answer)
    return answer


def _run(argv: tuple[str, ...], environment: dict[str, str]) -> str | None:
    try:
        result = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
            env={**os.environ, **environment},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None
