"""What a request to `/sql` asks for: its headers and its body, taken apart."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from devdb.gateway.values import Mode
from devdb.wire import framing

CONNECTION = "Neon-Connection-String"
READ_ONLY, DEFERRABLE = "Neon-Batch-Read-Only", "Neon-Batch-Deferrable"
ISOLATION = "Neon-Batch-Isolation-Level"

ENCODING_BROKEN = "22021"
"""character_not_in_repertoire: what Postgres says of bytes that are no text."""


class Malformed(Exception):
    """A request that nobody can answer; `sqlstate` where Postgres has one for it.

    Its text has nothing of the connection string in it.
    """

    def __init__(self, message: str, sqlstate: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate


@dataclass(frozen=True, slots=True)
class Login:
    """Who comes, to which database; equal ones can share a connection one after the other."""

    user: str
    password: str = field(repr=False)
    database: str
    port: int | None
    """As it was written; None where it was not."""
    settings: tuple[tuple[str, str], ...]
    """Of the session, as its first message has them."""

    @property
    def parameters(self) -> dict[str, str]:
        """All that the first message says."""
        who = {"user": self.user, "database": self.database}
        return {**who, **dict(self.settings), "client_encoding": "UTF8"}


@dataclass(frozen=True, slots=True)
class Statement:
    """One of a request."""

    query: bytes
    values: list[bytes | None]
    """Text as Postgres reads it; None is NULL."""
    mode: Mode


@dataclass(frozen=True, slots=True)
class Asked:
    """What a body asks for."""

    statements: list[Statement]
    is_batch: bool
    """Whether they are one transaction."""


def login(headers: Mapping[str, str]) -> Login:
    """Who comes, from the headers; raises Malformed."""
    if headers.get("Authorization", "").lower().startswith("bearer"):
        raise Malformed(
            "devdb checks no tokens: leave out authToken. The connection string has the password."
        )
    text = headers.get(CONNECTION)
    if not text:
        raise Malformed(f"There is no header {CONNECTION}: it brings the connection string.")
    try:
        return _login(text)
    except (ValueError, UnicodeError):  # its own words would be the connection string's
        raise Malformed(f"{CONNECTION} has no connection string that can be read.") from None


def _login(text: str) -> Login:
    url = urlsplit(text)
    if url.scheme not in ("postgres", "postgresql"):
        raise Malformed("The connection string has to begin with postgresql://")
    user = unquote(url.username or "", errors="strict")
    password = unquote(url.password or "", errors="strict")
    database = unquote(url.path[1:], errors="strict")
    for what, value in (("user", user), ("password", password), ("database", database)):
        if not value:
            raise Malformed(f"The connection string names no {what}.")
    pairs = parse_qsl(url.query, keep_blank_values=True, errors="strict")
    settings = tuple((key, value) for key, value in pairs if key in SETTINGS)
    found = Login(user, password, database, url.port, settings)
    if "\0" in "".join((password, *found.parameters.values())):
        raise Malformed("The connection string has a NUL in it.", ENCODING_BROKEN)
    password.encode()
    if len(framing.startup(found.parameters)) > MOST_STARTUP:
        raise Malformed("The connection string is too long.")
    return found


SETTINGS = frozenset(
    "application_name options search_path statement_timeout lock_timeout"
    " idle_in_transaction_session_timeout".split()
)
"""Parameters of a connection string that are the session's; others are a client's own, as `sslmode`
is. Never `replication`, which asks for another protocol."""

MOST_STARTUP = 10_000
"""Bytes of the first message; Postgres hangs up on more (MAX_STARTUP_PACKET_LENGTH)."""


def transaction(headers: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """What begins a batch, and the headers that its answer repeats; raises Malformed."""
    words, repeated = ["BEGIN"], {}
    if (level := headers.get(ISOLATION)) is not None:
        if level not in _LEVELS:
            raise Malformed("invalid isolation level")
        words.append(f"ISOLATION LEVEL {_LEVELS[level]}")
        repeated[ISOLATION] = level
    for name, word in ((READ_ONLY, "READ ONLY"), (DEFERRABLE, "DEFERRABLE")):
        if headers.get(name) == "true":
            words.append(word)
            repeated[name] = "true"
    return " ".join(words).encode(), repeated


_LEVELS = {
    "ReadUncommitted": "READ UNCOMMITTED",
    "ReadCommitted": "READ COMMITTED",
    "RepeatableRead": "REPEATABLE READ",
    "Serializable": "SERIALIZABLE",
}


def asked(headers: Mapping[str, str], body: bytes) -> Asked:
    """What the body asks for, in the mode that the headers want; raises Malformed."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Malformed("The body is not UTF-8.", ENCODING_BROKEN) from None
    mode = Mode(
        headers.get("Neon-Raw-Text-Output") == "true", headers.get("Neon-Array-Mode") == "true"
    )
    try:
        found = _JSON.decode(text)
        if not isinstance(found, dict):
            raise Malformed("The body has to be a JSON object.")
        if "queries" not in found or "query" in found:
            return Asked([_statement(found, mode)], is_batch=False)
        queries = found["queries"]
        if not isinstance(queries, list):
            raise Malformed("queries has to be an array.")
        return Asked([_statement(each, mode) for each in queries], is_batch=True)
    except json.JSONDecodeError as error:
        raise Malformed(f"The body is not JSON: {error.msg}, at {error.pos}.") from None
    except RecursionError:
        raise Malformed("The body is nested too deeply.") from None
    except ValueError:  # of a number
        raise Malformed(
            "The body has a number in it that is none of JSON's, or too large: send it as a string."
        ) from None


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


_JSON = json.JSONDecoder(parse_float=_float, parse_constant=_float)
"""`NaN` and `Infinity` are Python's, not JSON's; and 1e999 would become one."""


def _statement(found: Any, mode: Mode) -> Statement:
    if not isinstance(found, dict) or not isinstance(query := found.get("query"), str):
        raise Malformed("A statement has to be an object with a query, a string.")
    values, arrays = found.get("params", []), found.get("arrayMode")
    if not isinstance(values, list):
        raise Malformed("params has to be an array.")
    if not isinstance(arrays, bool | None):
        raise Malformed("arrayMode has to be true or false.")
    if len(values) > framing.MOST_VALUES:
        raise Malformed(
            f"A statement takes {framing.MOST_VALUES} parameters at most, not {len(values)}.",
            "54023",
        )
    if "\0" in query:  # the protocol would end it there; of a value the server says it
        raise Malformed('invalid byte sequence for encoding "UTF8": 0x00', ENCODING_BROKEN)
    return Statement(
        _encoded(query),
        [None if value is None else _encoded(_text(value)) for value in values],
        mode if arrays is None else Mode(mode.is_raw, arrays),
    )


def _encoded(text: str) -> bytes:
    """As the server gets it; raises Malformed for half of a surrogate pair: JSON has them."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Malformed("A string has half a character in it.", ENCODING_BROKEN) from None


def _text(value: Any) -> str:
    """A parameter as Postgres reads it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return f"{{{','.join(map(_element, value))}}}"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _element(value: Any) -> str:
    """An element of an array, as Postgres reads it."""
    if value is None:
        return "NULL"
    if isinstance(value, str | dict):
        text = _SPECIAL.sub(r"\\\g<0>", _text(value))
        return f'"{text}"'

    return _text(value)


_SPECIAL = re.compile(r'["\\]')
