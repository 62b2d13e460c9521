"""Filling a temporary database from a file, with the server's own tools."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import IO

from devdb.errors import DevdbError, EngineUnavailable, UsageError
from devdb.model import Endpoint
from devdb.psql import own_environment

_KINDS = (".sql", ".sql.gz", ".dump")


def check(seed: Path) -> None:
    """Raises UsageError when it is no file, or none of the kinds that can be run."""
    if not seed.name.endswith(_KINDS):
        raise UsageError(
            f"'{seed}' is no seed.", "It can be a .sql, .sql.gz or .dump file (pg_dump -Fc)."
        )
    if not seed.is_file():
        raise UsageError(f"There is no file '{seed}'.", "Give the path of one that is there.")


def run(endpoint: Endpoint, seed: Path, psql: Sequence[str]) -> None:
    """Run it in the endpoint's database and as its role, to the first error.

    `psql` is the command that opens psql on the instance (`Engine.psql_argv`). Raises DevdbError
    with what the tool said; EngineUnavailable when there is no such tool.
    """
    import tempfile

    argv = command(endpoint, seed, psql)
    environment = own_environment(endpoint.password)
    with tempfile.TemporaryFile() as said:
        try:
            with seed.open("rb") as content:
                status = _feed(argv, environment, content, said, packed=seed.suffix == ".gz")
        except FileNotFoundError:
            raise EngineUnavailable(
                f"There is no {argv[0]} to seed with.",
                "Install the Postgres client tools, or set DEVDB_PG_BIN to where they are.",
            ) from None
        except (OSError, EOFError) as error:
            raise DevdbError(
                f"'{seed}' cannot be read: {error}.", "Look at the file; nothing is left of this."
            ) from None
        said.seek(0)
        message = _error(said.read().decode(errors="replace"))
    if status:
        raise DevdbError(
            f"The seed '{seed.name}' failed: {message}",
            "Mend it and try again, nothing is left of this; a dump needs pg_dump --no-owner.",
        )


def command(endpoint: Endpoint, seed: Path, psql: Sequence[str]) -> list[str]:
    """The tool for this kind of seed, which it reads on its standard input; no secret in it."""
    target = ["-U", endpoint.user, "-d", endpoint.database]
    if seed.suffix != ".dump":
        return [*psql, "-X", "-q", "-w", *target, "-v", "ON_ERROR_STOP=1", "-f", "-"]
    at = max(n for n, word in enumerate(psql) if PurePath(word).name in ("psql", "psql.exe"))
    tool = PurePath(psql[at])
    restore = [*psql[:at], str(tool.with_name(tool.name.replace("psql", "pg_restore")))]
    restore += psql[at + 1 :]
    return [*restore, "-w", *target, "--no-owner", "--no-acl", "--exit-on-error"]


def _feed(
    argv: list[str],
    environment: dict[str, str],
    content: IO[bytes],
    said: IO[bytes],
    *,
    packed: bool,
) -> int:
    import gzip
    import shutil
    import subprocess

    stdin = subprocess.PIPE if packed else content
    with subprocess.Popen(
        argv, stdin=stdin, stdout=subprocess.DEVNULL, stderr=said, env=environment
    ) as process:
        try:
            if process.stdin is not None:
                with gzip.open(content) as plain, process.stdin as pipe:
                    shutil.copyfileobj(plain, pipe, 1 << 16)
        except BrokenPipeError:
            pass  # it stopped at an error and says so itself
        except BaseException:
            process.kill()
            raise
        return process.wait()


def _error(said: str) -> str:
    """The first error of a tool that prints notices too."""
    lines = [line for line in said.split("\n") if line.strip()]
    for line in lines:
        if "ERROR:" in line or "FATAL:" in line or "error:" in line:
            return line.strip()
    return lines[-1].strip() if lines else "it gave no reason."
