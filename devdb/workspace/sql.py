"""`sql`: statements of the user's, run on an instance, and what comes of them, as it comes."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from devdb import decoding, sessions, wire
from devdb.errors import DevdbError, NotFound, StatementFailed, UsageError
from devdb.model import DATABASE, Endpoint, Spec
from devdb.wire import Refused, Session, Stranger, framing
from devdb.wire.framing import Column

STDIN = "-"
LARGEST = 1 << 30
"""Bytes of a query; Postgres takes no message that is larger."""


@dataclass(frozen=True, slots=True)
class Script:
    """One or more statements."""

    text: str
    source: str | None = None
    """The file they stand in; None: they were typed."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A statement begins to return rows; they follow."""

    columns: list[Column]


Row = list[bytes | None]
"""The values as Postgres writes them, None for NULL; in UTF-8, where the database has text."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A piece of what a COPY sends."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """A statement is at its end."""

    tag: str
    """What the server says that it did, e.g. `INSERT 0 1`; empty where there was no statement."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What the server has to say beside it."""

    severity: str
    """E.g. `NOTICE`, in English."""
    text: str


Told = Heading | Row | Copied | Done | Notice


class Client:
    """A session with the instance's database, as any client has one."""

    def __init__(self, spec: Spec, session: Session) -> None:
        self._spec = spec
        self._session = session

    def run(self, script: Script) -> Generator[Told, None, None]:
        """Run it as one query: one transaction, where it has no BEGIN or COMMIT of its own.

        Raises StatementFailed; DevdbError where the server goes away. Left before its end, too, it
        is cancelled.
        """
        tags: list[str] = []
        try:
            with closing(self._session.answers(script.text)) as answers:
                for kind, body in answers:
                    told = _told(kind, body)
                    if isinstance(told, Done):
                        tags.append(told.tag)
                    if told is not None:
                        yield told
        except Refused as refused:
            raise _failed(refused, script, tags, self._spec) from None
        except OSError as error:
            raise DevdbError(
                f"'{self._spec.name}' went away in the middle of it: {error}.",
                f"See why: devdb logs -n {self._spec.name}; what was not committed is undone",
            ) from None

    def type_names(self, oids: Iterable[int]) -> dict[int, str]:
        """What SQL calls the types, e.g. `integer`; the number of one that is not known."""
        wanted = sorted({*oids})
        if not wanted:
            return {}
        try:
            rows = self._session.query(
                "SELECT t.oid, pg_catalog.format_type(t.oid, NULL) FROM pg_catalog.pg_type t"
                f" WHERE t.oid IN ({', '.join(map(str, wanted))}) {sessions.MARK}"
            )
        except wire.FAILURES:  # the statements may have left nothing that answers
            rows = []
        return {oid: str(oid) for oid in wanted} | dict(rows)

    @property
    def is_in_transaction(self) -> bool:
        """Whether the statements began one that they did not end."""
        return self._session.is_in_block


@contextmanager
def opened(
    spec: Spec, database: str | None, *, pooled: bool, bring_up: Callable[[Spec], Spec]
) -> Iterator[Client]:
    """A client of that database (None: the instance's own), as the superuser.

    `bring_up` starts the instance where it does not run. Raises DevdbError; NotFound where there
    is no such database, UsageError where its name is empty.
    """
    if database == "":
        raise UsageError("The name of the database is empty.", f"Without -d it is {DATABASE}.")
    # Trying is cheaper than asking whether it runs: an instance mostly does.
    try:
        session = sessions.client(_endpoint(spec, database, pooled=pooled))
    except (OSError, Stranger):
        spec = bring_up(spec)
        endpoint = _endpoint(spec, database, pooled=pooled)
        try:
            session = sessions.client(endpoint)
        except wire.FAILURES as error:
            raise _kept_out(spec, endpoint, error) from None
    except Refused as refused:
        raise _kept_out(spec, _endpoint(spec, database, pooled=pooled), refused) from None
    with session:
        yield Client(spec, session)


def typed(text: str) -> Script:
    """The statements that were typed; raises UsageError where they are none."""
    if not text.strip():
        raise UsageError(
            "The statement is empty.", "devdb sql 'select 1'; a file: devdb sql -f FILE"
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError("The statement is not UTF-8.", "devdb sql -f FILE, in UTF-8") from None
    return Script(text)


def read(name: str) -> Script:
    """The statements of that file, or of stdin for `-`.

    Raises NotFound, UsageError for what is no text, DevdbError.
    """
    source = "stdin" if name == STDIN else name
    try:
        if name == STDIN:
            content = sys.stdin.buffer.read(LARGEST) if sys.stdin else b""  # it may be closed
        else:
            with Path(name).open("rb") as file:
                content = file.read(LARGEST)
    except FileNotFoundError:
        raise NotFound(f"There is no file '{name}'.", "devdb sql -f FILE; stdin: -f -") from None
    except OSError as error:
        raise DevdbError(
            f"'{name}' cannot be read: {error.strerror}.", f"ls -ld {shlex.quote(name)}"
        ) from None
    if len(content) == LARGEST:
        raise UsageError(f"{source} is larger than a query can be.", _by_psql(source))
    try:
        text = decoding.decoded(content)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise _no_text(content, source)
    return Script(text, source)


def _no_text(content: bytes, source: str) -> DevdbError:
    from devdb.databases.seeding import content as seeds  # 20 ms that only this needs

    head = content[: seeds.HEAD]
    if seeds.packing(head) or seeds.kind(head) is not seeds.Kind.PLAIN:
        return UsageError(
            f"{source} is packed, or an archive of pg_dump.",
            f"A database from it: devdb temp --seed {shlex.quote(source)}",
        )
    if other := seeds.foreign(head, source):
        return UsageError(f"{source} {other[0]}.", "devdb sql takes SQL, in UTF-8.")
    return UsageError(
        f"{source} is not UTF-8.", f"iconv -f latin1 -t utf-8 {shlex.quote(source)} | devdb sql -"
    )


def _endpoint(spec: Spec, database: str | None, *, pooled: bool) -> Endpoint:
    whole = spec.pooled if pooled else spec.direct
    return whole if database is None else replace(whole, database=database)


def _kept_out(spec: Spec, endpoint: Endpoint, error: Exception) -> DevdbError:
    """Why nobody gets into that database, in two lines."""
    from devdb import postgres  # 10 ms that only this needs
    from devdb.databases import registry

    known = [name for name, _ in postgres.databases(spec.direct) or ()]
    if not isinstance(error, Refused) or not known or error.sqlstate == sessions.TOO_MANY:
        return registry.unreachable(spec, error)
    if endpoint.database not in known and error.sqlstate == _NO_DATABASE:
        return registry.no_database(spec, endpoint.database, known)
    return DevdbError(
        f"'{endpoint.database}' in '{spec.name}' lets nobody in: {error.message}.",
        f"devdb status -n {spec.name}, devdb logs -n {spec.name}",
    )


def _told(kind: bytes, body: bytes) -> Told | None:
    """What a message of the server says; None where nobody wants to know."""
    if kind == b"D":
        return framing.values(body)
    if kind == b"T":
        return Heading(framing.columns(body))
    if kind in (b"C", b"I"):
        return Done(body[:-1].decode(errors="replace"))
    if kind == b"N":
        fields = framing.fields(body)
        said = [fields[letter] for letter in "MDH" if letter in fields]
        return Notice(fields.get("V") or fields.get("S", ""), " ".join(map(_sentence, said)))
    return Copied(body) if kind == b"d" else None


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."


_COPY = re.compile(r"\bcopy\b[^;]*\bfrom\s+stdin\b", re.IGNORECASE)
_SYNTAX, _IN_TRANSACTION, _CANCELLED = "42601", "25001", "57014"
_NO_DATABASE = "3D000"


def _failed(refused: Refused, script: Script, tags: list[str], spec: Spec) -> StatementFailed:
    """What the server said, and to which line, in two lines."""
    fields = refused.fields
    position = int(fields.get("P", 0))
    line = script.text.count("\n", 0, position - 1) + 1 if position else None
    message = f"{refused.message} ({refused.sqlstate})"
    if detail := fields.get("D"):
        message = f"{message}: {detail}"
    if context := fields.get("W"):
        message = f"{message}, in {context.splitlines()[0]}"
    if line and (script.source or "\n" in script.text.strip()):
        where = f"{script.source}, line {line}" if script.source else f"line {line}"
        message = f"{where}, {_excerpt(script.text, position)}: {message}"
    is_over = "FATAL" in (fields.get("V"), fields.get("S")) or refused.sqlstate.startswith("08")
    way_out = _way_out(refused, script, position, tags)
    return StatementFailed(
        message,
        f"See why: devdb logs -n {spec.name}" if is_over else way_out,
        sqlstate=refused.sqlstate,
        more={
            "said": refused.message,
            "detail": detail,
            "context": context,
            "line": line,
        },
    )


_SHOWN = 70


def _excerpt(text: str, position: int) -> str:
    """What stands around there in its line, in characters from 1."""
    start = text.rfind("\n", 0, position - 1) + 1
    end = text.find("\n", start)
    line = text[start : end if end >= 0 else None]
    first = max(0, min(position - 1 - start - _SHOWN // 2, len(line) - _SHOWN))
    shown = line[first : first + _SHOWN].strip()
    return f"'{'...' if first else ''}{shown}{'...' if first + _SHOWN < len(line) else ''}'"


def _way_out(refused: Refused, script: Script, position: int, tags: list[str]) -> str:
    before = script.text[: max(0, position - 1)]
    if refused.sqlstate == _SYNTAX and position:
        if _COPY.search(before):
            return f"The data of a COPY FROM STDIN is psql's: {_by_psql(script.source)}"
        if script.text[position - 1 : position] in ("\\", ":"):
            return f"Commands and variables are psql's: {_by_psql(script.source, script.text)}"
    if refused.sqlstate == _CANCELLED and "COPY" in refused.message:
        return f"COPY FROM STDIN takes data from psql: {_by_psql(script.source)}"
    if hint := refused.fields.get("H"):
        return hint
    if refused.sqlstate == _IN_TRANSACTION:
        return f"Run it by itself, or each statement for itself: {_by_psql(script.source)}"
    if {"COMMIT", "CALL", "DO"} & {*tags}:
        return "Mend it; what was committed before it stays."
    return (
        "Mend it; what came before it is undone with it." if tags else "Mend it, and run it again."
    )


def _by_psql(source: str | None, text: str = "") -> str:
    if source == "stdin":
        return "devdb psql -f -"
    if source is None and text and "\n" not in text.strip():
        return f"devdb psql -c {shlex.quote(text.strip())}"
    return f"devdb psql -f {shlex.quote(source) if source else 'FILE'}"
