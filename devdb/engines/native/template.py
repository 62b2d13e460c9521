"""The prepared data directory that new instances are copies of, kept in the cache.

It has no instance's secret in it: its superuser's password is a random one of its own, kept
beside it, and changed in the copy before anybody is told of the copy.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from devdb import paths
from devdb.engines.native import cache
from devdb.engines.native.binaries import Postgres
from devdb.engines.native.commands import CommandFailed, run
from devdb.engines.native.owner import Owner
from devdb.engines.waiting import Beats
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
    """The template for these programs and this user, made if it is not there, or is spoiled.

    Raises DevdbError when it cannot be made.
    """
    home = cache.make_shared(paths.cache_home() / "templates", owner)
    place = f"{_RECIPE} {postgres.directory} {owner.uid}"
    digest = hashlib.sha256(os.fsencode(place)).hexdigest()[:8]
    final = home / f"{postgres.version}-{owner.name.replace(' ', '')}-{digest}"
    password = _password(final)
    is_new = password is None
    if password is None:
        yield from cache.make(
            final,
            partial(_build, postgres, owner),
            is_whole=lambda: _password(final) is not None,
            failed="Cannot prepare a data directory in",
        )
        password = _password(final)
        assert password is not None
    return Template(final / "data", password, is_new)


def _password(final: Path) -> str | None:
    """The password in the template; None when there is no template, or that is no password."""
    try:
        found = (final / "password").read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.decode("ascii") if re.fullmatch(rb"[\w-]{32}", found) else None


def _build(postgres: Postgres, owner: Owner, building: Path) -> Beats[None]:
    building.mkdir()
    building.chmod(0o755 if owner.foreign else 0o700)  # whatever root's umask is
    data = building / "data"
    data.mkdir(mode=0o700)
    owner.give(data)
    programs = _Programs(postgres, owner, *owner.named(building))
    password_file = building / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(secrets.token_urlsafe(24))
    owner.give(password_file)  # initdb has to read it
    yield from _initdb(data, password_file, programs)
    os.chown(password_file, os.geteuid(), os.getegid())
    yield from _create_database(data, programs)


@dataclass(frozen=True, slots=True)
class _Programs:
    """The programs that make a data directory, and how they are run."""

    postgres: Postgres
    owner: Owner
    prefix: list[str]
    variables: dict[str, str]

    def run(self, name: str, *arguments: str, text: str = "") -> Beats[str]:
        argv = [*self.prefix, str(self.postgres.program(name)), *arguments]
        env = environment(self.postgres) | self.variables
        return run(argv, owner=self.owner, env=env, text=text)


def _initdb(data: Path, password_file: Path, programs: _Programs) -> Beats[None]:
    common = ["--no-sync", "-D", str(data), "-U", USER, "-A", "scram-sha-256", "-E", "UTF8"]
    common += ["--pwfile", str(password_file)]
    if programs.postgres.major >= 17:
        # The same order on every system; libc's C.UTF-8 is not there on all of them.
        common += ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
    for locale in ("C.UTF-8", "C"):
        try:
            yield from programs.run("initdb", *common, "--locale", locale)
        except CommandFailed as error:
            if locale == "C" or "invalid locale name" not in str(error):
                raise
        else:
            return


def _create_database(data: Path, programs: _Programs) -> Beats[None]:
    # A single-user server: it needs no port, and ends with this process whatever happens.
    where = ("--single", "-D", str(data), "-c", "fsync=off", MAINTENANCE_DATABASE)
    printed = yield from programs.run("postgres", *where, text=f"CREATE DATABASE {DATABASE};\n")
    if "ERROR:" in printed:  # which does not show in the exit code here
        raise CommandFailed(printed)


def environment(postgres: Postgres) -> dict[str, str]:
    """The environment of a Postgres: none of the user's PG* variables, and a locale that exists."""
    return {"PATH": f"{postgres.directory}:{os.environ.get('PATH', os.defpath)}", "LC_ALL": "C"}
