"""Filling a temporary database from a dump, with Postgres' own tools and as its own role.

What a seed is is told by its content. An archive is made a script by pg_restore, so there is one
way to load: the script is cut into statements, what only speaks of the place it comes from is left
out and counted, and psql runs the rest to the first error.
"""

from __future__ import annotations

from functools import partial

from devdb import postgres, sessions
from devdb.databases import registry
from devdb.databases.seeding import extensions, loading, opening
from devdb.databases.seeding.content import Kind
from devdb.databases.seeding.feeding import Feed
from devdb.databases.seeding.loading import Psql, Tools
from devdb.databases.seeding.opening import Seed, opened
from devdb.databases.seeding.report import Loaded
from devdb.databases.seeding.sieve import Around, Sieve
from devdb.databases.seeding.unpacking import Damaged
from devdb.model import USER, Endpoint, Spec
from devdb.wire import Session

__all__ = ["Loaded", "Psql", "Seed", "Tools", "fill", "load", "opened"]


def fill(
    session: Session,
    spec: Spec,
    seed: Seed,
    tools: Tools,
    psql: Psql,
    *,
    endpoint: Endpoint,
    entry: int,
    empty: bool,
) -> Loaded:
    """Load it into the endpoint's database and as its role, to the first error.

    `session` is the registry's, `entry` the id there of the database. A role of its own cannot log
    in yet, maybe.
    `empty`: nobody has put anything into the database.

    Raises DevdbError with what the tools said, EngineUnavailable when they are not there.
    """
    try:
        with loading.script(seed, tools) as reader:
            head = reader.peek(extensions.HEAD)
            around = Around(
                major=session.major,
                settings=dict(session.query("SELECT lower(name), context FROM pg_settings")),
                extensions=extensions.prepare(
                    spec, endpoint.database, head, major=session.major, empty=empty
                ),
            )
            has_role = endpoint.user != USER
            allow = partial(session.query, "SELECT _devdb.allow_replica({})", entry)
            sieve = Sieve(around, allow if has_role else _nothing)
            guard = psql.guard()
            feed = Feed(sieve, seed.name, guard=guard, archive=seed.kind is not Kind.PLAIN)
            if has_role:
                verifier = postgres.verifier(endpoint.password)
                session.query("SELECT _devdb.admit({}, {})", entry, verifier)
            how = loading.Run(psql=psql.argv, endpoint=endpoint, major=session.major, guard=guard)
            loading.run(how, feed, reader, seed.path, spec)
    except Damaged as damaged:
        raise opening.unreadable(seed.name, damaged) from None
    nothing = _of_nothing(session, spec, endpoint) if empty else ()
    return Loaded(
        name=seed.name,
        skipped=tuple(sieve.skipped.most_common()),
        event_triggers=tuple(sieve.event_triggers),
        remarks=(*seed.reader.remarks, *feed.remarks, *nothing),
    )


def load(spec: Spec, seed: Seed, tools: Tools, *, endpoint: Endpoint, empty: bool) -> Loaded:
    """Load it into a database that is being made: as `fill`, for who has no more than its endpoint.

    Raises DevdbError.
    """
    with registry.session(spec) as session, Psql(tools) as psql:
        query = "SELECT id FROM _devdb.databases WHERE name = {}"
        [(entry,)] = session.query(query, endpoint.database)
        return fill(
            session, spec, seed, tools, psql, endpoint=endpoint, entry=int(entry), empty=empty
        )


def _nothing() -> None:
    """A superuser needs no leave."""


def _of_nothing(session: Session, spec: Spec, endpoint: Endpoint) -> tuple[str, ...]:
    """That all of it, a ROLLBACK at its end say, came to nothing."""
    with sessions.direct(
        spec.direct, database=endpoint.database, durable=False, major=session.major
    ) as inside:
        [(is_empty,)] = inside.query(_IS_EMPTY)
    return ("nothing came of it: the database is empty",) if is_empty else ()


# From 16384 on oids are those of what somebody made.
_IS_EMPTY = (
    "SELECT NOT ("
    + " OR ".join(
        f"EXISTS (SELECT FROM {catalog} WHERE oid >= 16384)"
        for catalog in "pg_class pg_proc pg_type pg_namespace pg_extension pg_cast pg_operator"
        " pg_largeobject_metadata".split()
    )
    + ")"
)
