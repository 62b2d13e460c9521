"""Programs that root's unprivileged servers could not reach, copied to where they can.

A wheel in root's home, say. No mode of a directory that devdb did not make is changed.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from devdb import paths
from devdb.engines.native import cache
from devdb.engines.native.binaries import Pooler, Postgres
from devdb.engines.native.commands import copy_tree
from devdb.engines.native.owner import Owner
from devdb.engines.waiting import Beats

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
    home = cache.make_shared(paths.cache_home() / "binaries", owner)
    final = home / f"{program.name}-{version}-{digest}"
    if not final.is_dir():
        failed = f"Cannot copy {', '.join(parts)} to"
        yield from cache.make(
            final, partial(_copy_parts, parts), is_whole=final.is_dir, failed=failed
        )
    return final


def _copy_parts(parts: dict[str, Path], building: Path) -> Beats[None]:
    for name, source in parts.items():
        if source.exists():
            (building / name).parent.mkdir(parents=True, exist_ok=True)
            yield from copy_tree(source, building / name)
    for path in [building, *building.rglob("*")]:
        if not path.is_symlink():
            os.chown(path, os.geteuid(), os.getegid())
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
