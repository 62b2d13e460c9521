"""What of a dump's statements is left out or said otherwise, because of where it is loaded.

A dump speaks of what was around it: other roles, other databases, a server of another version. The
temporary database's role owns all that is in it and may do nothing elsewhere. What only speaks of
that is left out, and counted; what makes a table, a function, a view never is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

REPLICA = "session_replication_role"
"""Whoever may set it to `replica` loads rows in any order: no foreign key is looked at."""


class Skip(Enum):
    """What was left out, as people count it."""

    OWNER = "owner", "owners"
    GRANT = "grant", "grants"
    ROLE = "role", "roles"
    """CREATE, ALTER, DROP, SET ROLE: also of users and groups, and SET SESSION AUTHORIZATION."""
    DATABASE = "database command", "database commands"
    """CREATE, ALTER, DROP DATABASE and psql's change to another one."""
    TABLESPACE = "tablespace", "tablespaces"
    SETTING = "setting", "settings"
    """That this server does not know, or that only a superuser may set."""
    EXTENSION = "extension comment", "extension comments"
    EXTENSION_CHANGE = "extension change", "extension changes"
    """ALTER EXTENSION of one that is not the role's own."""
    EVENT_TRIGGER = "event trigger", "event triggers"
    PUBLICATION = "publication", "publications"
    SUBSCRIPTION = "subscription", "subscriptions"
    LABEL = "security label", "security labels"
    STATISTICS = "statistic", "statistics"
    """Of the planner, from a server that is newer: ANALYZE makes them."""

    @property
    def plural(self) -> str:
        """E.g. `owners`."""
        return self.value[1]

    def count(self, number: int) -> str:
        """E.g. `2 owners`."""
        return f"{number} {self.value[0] if number == 1 else self.plural}"


class OtherDatabase(Exception):
    """The dump goes on in another database, after it filled one: two names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is there before the seed is loaded."""

    major: int
    settings: Mapping[str, str]
    """Names of pg_settings, in lower case, and who may set each (its `context`)."""
    extensions: Mapping[str, str]
    """Those that the database has already, each with its schema."""


@dataclass(slots=True)
class Sieve:
    """Judges one statement after another, and remembers what of it matters later."""

    around: Around
    allow_replica: Callable[[], object]
    """Lets the role set session_replication_role; called once, before it is needed."""
    skipped: Counter[Skip] = field(default_factory=Counter)
    event_triggers: list[str] = field(default_factory=list)
    """The statements that would make them, each on a line of its own."""
    in_transaction: bool = False
    """Whether the last transaction was begun and has not ended."""
    _may_replicate: bool = False
    _without_triggers: set[bytes] = field(default_factory=set)
    _database: str | None = None
    _filled: bool = False

    def judge(self, statement: bytes) -> bytes:
        """The statement as it is to be run: the same, another one, or nothing but its newlines."""
        body = _body(statement)
        word = _WORD.match(body)
        if word is None:
            return statement
        first = word[0].upper().decode()
        for verbs, pattern, verdict in _RULES:
            if first in verbs and (found := pattern.match(body)):
                made = verdict(self, found)
                if made is not None:
                    return _in_lines(made, statement)
        if first not in _ABOUT_THE_SESSION:
            self._filled = True
        if first in ("SET", "SELECT", "DO", "CREATE", "RESET") and _REPLICA.search(body):
            self._replicate()
        return statement

    def connect(self, database: str | None) -> bytes:
        """What stands for psql's change to that database; None: one that does not say.

        Raises OtherDatabase.
        """
        self.skipped[Skip.DATABASE] += 1
        if database is not None and database not in _MAINTENANCE:
            if self._database not in (None, database) and self._filled:
                raise OtherDatabase(self._database, database)
            self._database, self._filled = database, False
        return b"RESET ALL;"  # a new session has nothing that was set in the one before

    def skip(self, what: Skip) -> bytes:
        """Count it and leave it out."""
        self.skipped[what] += 1
        return b""

    def _replicate(self) -> None:
        if not self._may_replicate and self.around.major >= 15:
            self._may_replicate = True
            self.allow_replica()

    def _schema(self, found: re.Match[bytes]) -> bytes | None:
        """CREATE SCHEMA: of one that is there, or for somebody."""
        name, role, elements = found["name"] or found["role"], found["role"], found["elements"]
        if role:
            self.skip(Skip.OWNER)
        known = _plain(name) in {"public", *self.around.extensions.values()}
        if not role and not known:
            return None
        # There is no IF NOT EXISTS with elements, and what is there already does not have them.
        unless = b"" if elements.strip(b"; \r\n\t") else b"IF NOT EXISTS "
        return b"CREATE SCHEMA " + unless + name + b" " + elements

    def _drop_schema(self, found: re.Match[bytes]) -> bytes | None:
        """Not one that holds what devdb put there for this seed."""
        kept = set(self.around.extensions.values())
        names = [_plain(name) for name in found["names"].split(b",")]
        return b"" if any(name in kept for name in names) else None

    def _extension(self, found: re.Match[bytes]) -> bytes | None:
        """What is there already is not made again, and is not the role's to drop."""
        names = [_plain(name) for name in found["name"].split(b",")]
        return b"" if all(name in self.around.extensions for name in names) else None

    def _alter_extension(self, found: re.Match[bytes]) -> bytes | None:
        known = _plain(found["name"]) in self.around.extensions
        return self.skip(Skip.EXTENSION_CHANGE) if known else None

    def _event_trigger(self, found: re.Match[bytes]) -> bytes | None:
        body = found.string
        if body[:6].upper() == b"CREATE":
            self.skip(Skip.EVENT_TRIGGER)
            self.event_triggers.append(" ".join(body.decode(errors="replace").split()))
        return b""

    def _set(self, found: re.Match[bytes]) -> bytes | None:
        name = _plain(found["name"]).lower()
        if name == REPLICA:
            self._replicate()
            return None
        if name in ("default_tablespace", "temp_tablespaces"):
            return None if _EMPTY.match(found["value"]) else self.skip(Skip.TABLESPACE)
        if "." in name or name in _HIDDEN or self.around.settings.get(name) == "user":
            return None
        return self.skip(Skip.SETTING)

    def _triggers(self, found: re.Match[bytes]) -> bytes | None:
        """DISABLE TRIGGER ALL: those of the foreign keys are the superuser's."""
        table, disables = found["table"], found["does"].upper() == b"DISABLE"
        if self.around.major < 15:
            return b"ALTER TABLE " + table + b" " + found["does"] + b" TRIGGER USER;"
        self._replicate()
        (self._without_triggers.add if disables else self._without_triggers.discard)(table)
        role = "replica" if self._without_triggers else "origin"
        return f"SET {REPLICA} = {role};".encode()

    def _begin(self, _found: re.Match[bytes]) -> bytes | None:
        self.in_transaction = True
        return None

    def _end(self, found: re.Match[bytes]) -> bytes | None:
        self.in_transaction = found["chain"] is not None
        return None

    def _statistics(self, _found: re.Match[bytes]) -> bytes | None:
        return None if self.around.major >= 18 else self.skip(Skip.STATISTICS)


def _skipping(what: Skip) -> Callable[[Sieve, re.Match[bytes]], bytes | None]:
    return lambda sieve, _: sieve.skip(what)


def _nothing(_sieve: Sieve, _found: re.Match[bytes]) -> bytes | None:
    """Left out, and not worth a word."""
    return b""


_MAINTENANCE = ("postgres", "template0", "template1")
_ABOUT_THE_SESSION = frozenset("SET RESET SELECT BEGIN START COMMIT END ROLLBACK ABORT".split())
_HIDDEN = frozenset({"default_with_oids", "seed", "session_authorization", "role"})
"""Settings that pg_settings does not show."""

_WORD = re.compile(rb"[A-Za-z]+")
_EMPTY = re.compile(rb"\s*(?:''|\"\"|DEFAULT\b)", re.IGNORECASE)
_REPLICA = re.compile(REPLICA.encode(), re.IGNORECASE)
_BEFORE = re.compile(
    rb"(?:\s++|--[^\n]*+(?:\n|\Z)|/\*(?>(?:[^*/]++|\*(?!/)|/(?!\*))*)\*/)+", re.IGNORECASE
)

_ONE = rb"(?:\"(?>(?:[^\"]++|\"\")*)\"|[\w$\x80-\xff]++)"
_NAME = _ONE + rb"(?>(?:\s*\.\s*" + _ONE + rb")*)"
_OWNED = rb"""(?:AGGREGATE|COLLATION|CONVERSION|DOMAIN|EVENT\s+TRIGGER|FOREIGN\s+DATA\s+WRAPPER
    |FOREIGN\s+TABLE|FUNCTION|(?:PROCEDURAL\s+)?LANGUAGE|LARGE\s+OBJECT|MATERIALIZED\s+VIEW
    |OPERATOR(?:\s+(?:CLASS|FAMILY))?|PROCEDURE|PUBLICATION|ROUTINE|SCHEMA|SEQUENCE|SERVER
    |STATISTICS|SUBSCRIPTION|TABLE|TEXT\s+SEARCH\s+(?:CONFIGURATION|DICTIONARY)|TYPE|VIEW
    |DATABASE|TABLESPACE)"""
_WHOSE = rb"\s+OWNER\s+TO\s+" + _ONE + rb"\s*;?\s*\Z"


def _rule(
    verbs: str,
    pattern: bytes,
    verdict: Callable[[Sieve, re.Match[bytes]], bytes | None],
) -> tuple[frozenset[str], re.Pattern[bytes], Callable[..., bytes | None]]:
    # Written with single spaces; a statement may have any space, and comments.
    flags = re.IGNORECASE | re.DOTALL
    return frozenset(verbs.split()), re.compile(pattern.replace(b" ", rb"\s+"), flags), verdict


_COMPACT_OWNED = re.sub(rb"\s+", b"", _OWNED.replace(rb"\s+", b"\0")).replace(b"\0", rb"\s+")
_ANY = rb"(?:CREATE|ALTER|DROP|COMMENT ON)"
_RULES = (
    _rule(
        "ALTER",
        rb"ALTER " + _COMPACT_OWNED + rb" (?:IF EXISTS )?(?:ONLY )?"
        # A name (an operator is one too), and what the arguments or the index method are.
        rb"(?:" + _NAME + rb"\s*\.\s*)?(?:" + _NAME + rb"|[^\s\w\"(),;]++)"
        rb"\s*(?:\([^;]*\))?(?: USING " + _ONE + rb")?" + _WHOSE,
        _skipping(Skip.OWNER),
    ),
    _rule("GRANT REVOKE", rb"", _skipping(Skip.GRANT)),
    _rule("ALTER", rb"ALTER DEFAULT PRIVILEGES\b", _skipping(Skip.GRANT)),
    _rule(
        "CREATE ALTER DROP COMMENT",
        _ANY + rb" (?:ROLE|GROUP|USER(?! MAPPING\b))\b",
        _skipping(Skip.ROLE),
    ),
    _rule(
        "SET", rb"SET (?:(?:LOCAL|SESSION) )?(?:ROLE|SESSION AUTHORIZATION)\b", _skipping(Skip.ROLE)
    ),
    _rule("RESET", rb"RESET (?:ROLE|SESSION AUTHORIZATION)\b", _skipping(Skip.ROLE)),
    _rule("REASSIGN DROP", rb"(?:REASSIGN|DROP) OWNED\b", _skipping(Skip.ROLE)),
    _rule("CREATE ALTER DROP COMMENT", _ANY + rb" DATABASE\b", _skipping(Skip.DATABASE)),
    _rule("CREATE ALTER DROP COMMENT", _ANY + rb" TABLESPACE\b", _skipping(Skip.TABLESPACE)),
    _rule(
        "ALTER",
        rb"ALTER (?:TABLE|INDEX|MATERIALIZED VIEW) (?:IF EXISTS )?(?:ONLY )?"
        rb"(?:ALL IN TABLESPACE\b.*|" + _NAME + rb" SET TABLESPACE [^,]*)\Z",
        _skipping(Skip.TABLESPACE),
    ),
    _rule("CREATE ALTER DROP COMMENT", _ANY + rb" EVENT TRIGGER\b", Sieve._event_trigger),
    _rule("CREATE ALTER DROP COMMENT", _ANY + rb" PUBLICATION\b", _skipping(Skip.PUBLICATION)),
    _rule("CREATE ALTER DROP COMMENT", _ANY + rb" SUBSCRIPTION\b", _skipping(Skip.SUBSCRIPTION)),
    _rule("SECURITY", rb"SECURITY LABEL\b", _skipping(Skip.LABEL)),
    _rule("ALTER", rb"ALTER SYSTEM\b", _skipping(Skip.SETTING)),
    _rule("COMMENT", rb"COMMENT ON EXTENSION\b", _skipping(Skip.EXTENSION)),
    _rule(
        "CREATE",
        rb"CREATE EXTENSION (?:IF NOT EXISTS )?(?P<name>" + _ONE + rb")",
        Sieve._extension,
    ),
    _rule(
        "DROP",
        rb"DROP EXTENSION (?:IF EXISTS )?(?P<name>" + _ONE + rb"(?>(?:\s*,\s*" + _ONE + rb")*))",
        Sieve._extension,
    ),
    _rule("ALTER", rb"ALTER EXTENSION (?P<name>" + _ONE + rb")", Sieve._alter_extension),
    # As pg_dump up to 9 put it in; Postgres has it in every database.
    _rule(
        "CREATE DROP COMMENT",
        rb"(?:CREATE (?:OR REPLACE )?|DROP |COMMENT ON )(?:TRUSTED )?(?:PROCEDURAL )?LANGUAGE "
        rb"(?:IF EXISTS )?\"?plpgsql\b",
        _nothing,
    ),
    _rule(
        "CREATE",
        rb"CREATE SCHEMA (?:IF NOT EXISTS )?(?!AUTHORIZATION\b)(?P<name>" + _ONE + rb")"
        rb"(?: AUTHORIZATION (?P<role>" + _ONE + rb"))?(?P<elements>.*)",
        Sieve._schema,
    ),
    _rule(
        "CREATE",
        rb"CREATE SCHEMA (?:IF NOT EXISTS )?(?P<name>)AUTHORIZATION (?P<role>" + _ONE + rb")"
        rb"(?P<elements>.*)",
        Sieve._schema,
    ),
    _rule(
        "DROP",
        rb"DROP SCHEMA (?:IF EXISTS )?(?P<names>" + _ONE + rb"(?>(?:\s*,\s*" + _ONE + rb")*))",
        Sieve._drop_schema,
    ),
    _rule(
        "ALTER",
        rb"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?(?P<table>" + _NAME + rb")"
        rb" (?P<does>DISABLE|ENABLE) TRIGGER ALL\s*;?\s*\Z",
        Sieve._triggers,
    ),
    _rule(
        "SET",
        rb"SET (?:(?:SESSION|LOCAL) )?(?P<name>" + _NAME + rb")(?:\s*=| TO\b)(?P<value>.*)",
        Sieve._set,
    ),
    _rule("BEGIN START", rb"(?:BEGIN|START TRANSACTION)\b", Sieve._begin),
    _rule(
        "COMMIT END ROLLBACK ABORT",
        rb"\w+(?>(?: (?:WORK|TRANSACTION))?)(?! PREPARED\b| TO\b)(?P<chain> AND CHAIN)?",
        Sieve._end,
    ),
    _rule("PREPARE", rb"PREPARE TRANSACTION\b(?P<chain>(?!))?", Sieve._end),
    _rule("CHECKPOINT LOAD", rb"CHECKPOINT\b", _nothing),
    _rule(
        "SELECT",
        rb"SELECT \* FROM (?:pg_catalog\s*\.\s*)?"
        rb"pg_restore_(?:relation|attribute|extended)_stats\b",
        Sieve._statistics,
    ),
)


def _body(statement: bytes) -> bytes:
    """Without the comments and the space before it."""
    found = _BEFORE.match(statement)
    return statement[found.end() :] if found else statement


def _plain(name: bytes) -> str:
    """The name that an identifier spells."""
    text = name.strip().decode(errors="replace")
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.lower()


def _in_lines(made: bytes, statement: bytes) -> bytes:
    """On as many lines as the statement, so that those of errors stay right."""
    missing = statement.count(b"\n") - made.count(b"\n")
    return b"\n" * max(0, missing) + made
