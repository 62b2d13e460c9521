"""Databases for tests: a template that migrations built, and clones of it, quickly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta

from devdb import postgres, sessions
from devdb.databases import blockers, console, creating, dropping, registry
from devdb.databases.copying import Origin
from devdb.databases.creating import HalfMade
from devdb.databases.database import Kind
from devdb.errors import NotFound
from devdb.model import USER, Endpoint, Spec
from devdb.wire import Session

_UNUSED = timedelta(days=7)
"""How long a template lives after its last use."""
_LONGEST_TEST = timedelta(days=1)
"""How long a clone lives that nobody drops, as its run was killed."""
_POLL = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A database that clones are made of; nobody can be in it."""

    name: str
    size: int
    """In bytes."""
    is_new: bool
    """Whether it was built just now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """A copy of a template."""

    name: str
    direct: Endpoint
    pooled: Endpoint
    size: int
    """In bytes, when it was made: its template's."""


def template(
    spec: Spec,
    content: str,
    build: Callable[[Endpoint], None] | None,
    *,
    project: str,
    shared: bool,
) -> Template:
    """The template for that content (a digest in hexadecimal), built where there is none yet.

    `build` is called once, by one process, with the direct endpoint of an empty database; others
    wait. None: it stays empty. What it leaves open there is ended. `shared`: the instance is
    not the tests' own, so that a role that is no superuser owns it. The other templates of the
    `project` (a digest) are dropped, unless they are in use. What `build` raises is raised here,
    and nothing is left of the database then. Raises DevdbError.
    """
    name = f"template_{content[:16]}"
    with registry.session(spec) as session:
        size = _used(session, name)
        if size is None:
            while session.query("SELECT pg_try_advisory_lock(_devdb.key({}))", name) != [(True,)]:
                time.sleep(_POLL)  # as long as somebody else's migrations take
            size = _used(session, name)
        if size is not None:
            return Template(name=name, size=size, is_new=False)
        dropping.remove(session, spec, None)  # a half-made one may have that name

        def fill(half_made: HalfMade) -> None:
            _fill(session, spec, half_made, build, shared=shared)

        made = creating.make(
            session,
            spec,
            name,
            ttl=_UNUSED,
            kind=Kind.TEMPLATE,
            owner=None if shared else USER,
            project=project,
            fill=fill,
        )
        session.query("SELECT _devdb.outdate({}, {}, {})", project, name, _UNUSED)
        dropping.remove(session, spec, None)
        return Template(name=name, size=made.size, is_new=True)


def _used(session: Session, name: str) -> int | None:
    """The size of the template of that name, which is used from now on; None: there is none."""
    [(size,)] = session.query("SELECT _devdb.use_template({}, {})", name, _UNUSED)
    return None if size is None else int(size)


def _fill(
    session: Session,
    spec: Spec,
    half_made: HalfMade,
    build: Callable[[Endpoint], None] | None,
    *,
    shared: bool,
) -> None:
    """Have it built, and end all that was left open in it, for good."""
    if build is not None:
        if shared:
            verifier = postgres.verifier(half_made.direct.password)
            session.query("SELECT _devdb.admit({}, {})", half_made.entry, verifier)
        build(half_made.direct)
    name = half_made.direct.database
    # Who logs in first after a change writes a file that spares the next ones 2 ms: in every clone.
    sessions.direct(spec.direct, database=name, major=session.major).close()
    session.query("SELECT _devdb.close({})", name)
    console.pause(spec, [name])
    session.query("SELECT _devdb.drain({})", [name])
    prepared = session.query("SELECT * FROM _devdb.prepared({})", [name])
    if prepared:
        blockers.roll_back(spec, prepared, major=session.major)
        session.query("SELECT _devdb.close({})", name)


class Clones:
    """Makes clones of one template over one session that it keeps; for one thread."""

    def __init__(self, spec: Spec, template: Template, *, shared: bool) -> None:
        self._spec = spec
        self._template = template
        self._shared = shared
        self._session: Session | None = None
        self._open = ExitStack()

    def make(self) -> Clone:
        """A new one, registered, for a day at most.

        Raises DevdbError; DiskFull where it has no room, NotFound where the template is gone.
        """
        with self._asking() as session:
            made = creating.make(
                session,
                self._spec,
                None,
                ttl=_LONGEST_TEST,
                kind=Kind.CLONE,
                origin=Origin(
                    name=self._template.name, size=self._template.size, pooled=False, is_open=False
                ),
                owner=None if self._shared else USER,
            )
            session.query("SELECT _devdb.let_go({})", [made.name])
        return Clone(name=made.name, direct=made.direct, pooled=made.pooled, size=made.size)

    def end_sessions(self, clone: Clone, *, pooled: bool) -> None:
        """End what is still connected to it; `pooled`: nobody gets in through the pooler any more.

        Raises DevdbError.
        """
        if pooled:
            console.pause(self._spec, [clone.name])
        with self._asking() as session:
            session.query("SELECT _devdb.drain({}, 0)", [clone.name])

    def keep(self, clone: Clone) -> None:
        """Let it live for a day from now on. Raises DevdbError."""
        if self._shared:
            with self._asking() as session:
                session.query("SELECT _devdb.extend({}, {})", clone.name, _LONGEST_TEST)

    def release(self, clones: Sequence[Clone]) -> None:
        """Nobody needs them any more: the instance's reaper drops them. Raises DevdbError."""
        with self._asking() as session:
            session.query("SELECT _devdb.release({})", [clone.name for clone in clones])

    def drop(self, clones: Sequence[Clone]) -> None:
        """Drop them; one that somebody dropped is no error. Raises DevdbError."""
        names = [clone.name for clone in clones]
        with self._asking() as session:
            query = "SELECT name FROM _devdb.databases WHERE name = ANY ({})"
            there = [str(name) for (name,) in session.query(query, names)]
            if there:
                dropping.remove(session, self._spec, there)
                session.query("SELECT _devdb.let_go({})", there)

    def close(self) -> None:
        """Let go of the session; the next clone would need another one."""
        self._session = None
        self._open.close()

    @contextmanager
    def _asking(self) -> Iterator[Session]:
        """The session that is kept; an error closes it, and leaves as a DevdbError."""
        with self._open.pop_all() as held:
            session = self._session
            self._session = None
            if session is None or session.closed:
                session = held.enter_context(registry.session(self._spec))
                if _used(session, self._template.name) is None:
                    raise NotFound(
                        f"The template '{self._template.name}' is gone.", "Run the tests again."
                    )
            yield session
            self._session, self._open = session, held.pop_all()
