"""Programs that root's unprivileged servers could not reach, copied to where they can.

A wheel in root's home, say. No mode of a directory that devdb did not make is changed.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from dataclasses import replace
from pathlib import Path

from devdb import paths
from devdb.engines.native.binaries import Pooler, Postgres
from devdb.engines.native.commands import Beats, CommandFailed, beside, copy_tree, locked
from devdb.engines.native.owner import Owner
from devdb.errors import DevdbError
from devdb.replacing import sync_directory, sync_tree

_PREFIX = ("bin", "lib", "lib64", "share")


def postgres(found: Postgres, owner: Owner) -> Beats[Postgres]:
    """The same installation where this user can run it; itself when it already can."""
    if owner.can_run(found.program("postgres")):
        return found
    package = (prefix := found.directory.parent).parent
    # The wheel's psql looks for libpq two levels up, where pip puts a wheel's shared libraries.
    parts = {f"{package.name}.libs": package.parent / f"{package.name}.libs"}
    parts |= {f"{package.name}/{prefix.name}/{name}": prefix / name for name in _PREFIX}
    copy = yield from _copied(found.program("postgres"), found.version, parts, owner)
    return replace(
        found,
        directory=copy / package.name / prefix.name / found.directory.name,
        origin=f"{found.origin}, copied from {found.directory}",
    )


def pooler(found: Pooler, owner: Owner) -> Beats[Pooler]:
    """The same PgBouncer where this user can run it; itself when it already can."""
    if owner.can_run(found.path):
        return found
    parts = {"bin/pgbouncer": found.path, "lib": found.path.parent.parent / "lib"}
    copy = yield from _copied(found.path, found.text, parts, owner)
    return replace(
        found, path=copy / "bin" / "pgbouncer", origin=f"{found.origin}, copied from {found.path}"
    )


def _copied(program: Path, version: str, parts: dict[str, Path], owner: Owner) -> Beats[Path]:
    """The directory with copies of the parts, made if need be; root's own, readable by all."""
    status = program.stat()
    identity = f"{program} {status.st_mtime_ns} {status.st_size}"
    digest = hashlib.sha256(os.fsencode(identity)).hexdigest()[:12]
    home = make_shared(paths.cache_home() / "binaries", owner)
    final = home / f"{program.name}-{version}-{digest}"
    if final.is_dir():
        return final
    lock = yield from locked(home / f"{final.name}.lock")
    try:
        if not final.is_dir():
            remove_unfinished(final)
            yield from _build(final, parts)
    finally:
        os.close(lock)
    return final


def _build(final: Path, parts: dict[str, Path]) -> Beats[None]:
    building = unfinished(final)
    try:
        for name, source in parts.items():
            if source.exists():
                (building / name).parent.mkdir(parents=True, exist_ok=True)
                yield from copy_tree(source, building / name)
        for path in [building, *building.rglob("*")]:
            if not path.is_symlink():
                os.chown(path, os.geteuid(), os.getegid())
                path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        # A power cut would spoil them for every later start.
        yield from beside(lambda: sync_tree(building))
        building.rename(final)
        sync_directory(final.parent)
    except (OSError, CommandFailed) as error:  # the disk is still as full as it was then
        raise DevdbError(
            f"Cannot copy {', '.join(parts)} to {final.parent}: {reason(error)}.",
            way_out(error, final.parent),
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def unfinished(final: Path) -> Path:
    """A path beside `final` to build it at, before it is renamed."""
    return final.with_name(f".{final.name}-{secrets.token_hex(4)}")


def remove_unfinished(final: Path) -> None:
    """Remove what killed builders of `final` left; only for the holder of its lock."""
    for path in final.parent.glob(f".{final.name}-*"):
        shutil.rmtree(path, ignore_errors=True)


def reason(error: Exception) -> str:
    """What went wrong, in the last words of a program or the system's."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    lines = str(error).splitlines()
    telling = [line for line in lines if re.search("No space left|could not|FATAL|error:", line)]
    return (telling or lines)[-1].rstrip(".")


def way_out(error: OSError | CommandFailed, directory: Path) -> str:
    """What to do where something could not be put into that directory of the cache."""
    if isinstance(error, OSError):
        return paths.way_out(error, directory, variable="DEVDB_CACHE_DIR")
    if "No space left" in str(error):
        return f"Make room: {paths.room(directory)}; or set DEVDB_CACHE_DIR to another disk's."
    return "Name other programs with DEVDB_PG_BIN, or use `--engine docker`."


def make_shared(directory: Path, owner: Owner) -> Path:
    """Make a directory of the cache that the owner can pass; a foreign one keeps its mode.

    Raises DevdbError when it cannot be made, or when one on the way keeps the owner out.
    """
    mode = 0o755 if owner.foreign else 0o700
    try:
        for path in [*reversed(directory.parents), directory]:
            if not path.is_dir():
                path.mkdir(exist_ok=True)
                path.chmod(mode)
    except OSError as error:
        raise DevdbError(
            f"Cannot make {directory}: {error.strerror or error}.",
            paths.way_out(error, directory, variable="DEVDB_CACHE_DIR"),
        ) from error
    if obstacle := owner.obstacle(directory):
        raise DevdbError(
            f"{owner.name}, whom root's servers run as, cannot pass {obstacle}.",
            "Set DEVDB_CACHE_DIR to a directory it can reach, e.g. /var/cache/devdb.",
        )
    return directory
