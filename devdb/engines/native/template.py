"""The prepared data directory that new instances are copies of, kept in the cache.

It has no instance's secret in it: its superuser's password is a random one of its own, kept
beside it, and changed in the copy before anybody is told of the copy.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from devdb import paths
from devdb.engines.native import processes
from devdb.engines.native.binaries import Postgres
from devdb.engines.native.commands import Beats, CommandFailed, locked, run
from devdb.engines.native.copies import make_shared, reason, remove_unfinished, unfinished
from devdb.engines.native.owner import Owner
from devdb.errors import DevdbError
from devdb.model import DATABASE, MAINTENANCE_DATABASE, USER

_RECIPE = 1
"""Goes up when what is done here changes, so that older templates are no longer taken."""


@dataclass(frozen=True, slots=True)
class Template:
    """A data directory, stopped cleanly and synced, with the empty database `main`."""

    data: Path
    password: str = field(repr=False)
    """Of the superuser in it; good for the first login to a copy, no more."""
    is_new: bool
    """Whether it was made just now: the first of its kind on this machine."""


def prepared(postgres: Postgres, owner: Owner) -> Beats[Template]:
    """The template for these programs and this user, made if it is not there.

    Raises DevdbError when it cannot be made.
    """
    home = make_shared(paths.cache_home() / "templates", owner)
    place = f"{_RECIPE} {postgres.directory} {owner.uid}"
    digest = hashlib.sha256(os.fsencode(place)).hexdigest()[:8]
    final = home / f"{postgres.version}-{owner.name.replace(' ', '')}-{digest}"
    is_new = not final.is_dir()
    if is_new:
        lock = yield from locked(home / f"{final.name}.lock")
        try:
            if not final.is_dir():
                remove_unfinished(final)
                yield from _make(final, postgres, owner)
        except (OSError, CommandFailed) as error:
            raise DevdbError(
                f"Cannot prepare a data directory in {home}: {reason(error)}.",
                "Make room there, or set DEVDB_CACHE_DIR to another directory.",
            ) from error
        finally:
            os.close(lock)
    return Template(final / "data", (final / "password").read_text(), is_new)


def _make(final: Path, postgres: Postgres, owner: Owner) -> Beats[None]:
    building = unfinished(final)
    data = building / "data"
    password = secrets.token_urlsafe(24)
    try:
        building.mkdir(mode=0o755 if owner.foreign else 0o700)
        data.mkdir(mode=0o700)
        owner.give(data)
        yield from _initdb(data, _password_file(building, password, owner), postgres, owner)
        os.chown(building / "password", os.geteuid(), os.getegid())
        yield from _create_database(data, postgres, owner)
        # A template that a power cut spoiled would spoil every instance made after it.
        yield from run([postgres.program("initdb"), "--sync-only", "-D", data], owner=owner)
        building.rename(final)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _password_file(building: Path, password: str, owner: Owner) -> Path:
    path = building / "password"
    path.touch(mode=0o600)
    path.write_text(password)
    owner.give(path)  # initdb has to read it
    return path


def _initdb(data: Path, password_file: Path, postgres: Postgres, owner: Owner) -> Beats[None]:
    common = ["--no-sync", "-D", str(data), "-U", USER, "-A", "scram-sha-256", "-E", "UTF8"]
    common += ["--pwfile", str(password_file)]
    if postgres.major >= 17:
        # The same order on every system; libc's C.UTF-8 is not there on all of them.
        common += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
    for locale in ("C.UTF-8", "C"):
        argv = [postgres.program("initdb"), *common, "--locale", locale]
        try:
            yield from run(argv, owner=owner, env=environment(postgres))
        except CommandFailed as error:
            if locale == "C" or "invalid locale name" not in str(error):
                raise
        else:
            return


def _create_database(data: Path, postgres: Postgres, owner: Owner) -> Beats[None]:
    # A single-user server: it needs no port, and ends with this process whatever happens.
    program = str(postgres.program("postgres"))
    argv = [program, "--single", "-D", str(data), "-c", "fsync=off", MAINTENANCE_DATABASE]
    printed = yield from run(
        argv, owner=owner, env=environment(postgres), text=f"CREATE DATABASE {DATABASE};\n"
    )
    if "ERROR:" in printed:  # which does not show in the exit code here
        raise CommandFailed(printed)


def write_out(data: Path, postgres: Postgres, owner: Owner) -> None:
    """Have a new data directory written to the disk by a process nobody waits for.

    Copying leaves it in memory, where a power cut would lose what Postgres takes to be safe.
    """
    processes.spawn(
        ["nice", str(postgres.program("initdb")), "--sync-only", "-D", str(data)],
        owner=owner,
        cwd=data,
        log=Path(os.devnull),
        env=environment(postgres),
    )


def environment(postgres: Postgres) -> dict[str, str]:
    """The environment of a Postgres: none of the user's PG* variables, and a locale that exists."""
    return {"PATH": f"{postgres.directory}:{os.environ.get('PATH', os.defpath)}", "LC_ALL": "C"}
