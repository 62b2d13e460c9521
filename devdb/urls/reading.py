"""Where the values of a `.env` file lead: a URL, .NET's keywords, or the parts that make one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from devdb.model import LOCAL, Endpoint
from devdb.urls.goes import Goes
from devdb.urls.serverless import HTTP_URL

_SCHEME = re.compile(r"(?:jdbc:)?(?:postgres|postgresql)(?:\+[\w-]+)?://", re.IGNORECASE)
_PORT = re.compile(r"[0-9]{1,5}")
_REFERENCE = re.compile(r"\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))")
_URL_NAME = re.compile(
    r"(?:^|_)(?:PG|PSQL|POSTGRES|POSTGRESQL|DB|DATABASE)_?(?:\w+_)?UR[LI](?:_\w+)?$"
)
_PART_NAME = re.compile(
    r"(?!\w*(?:MYSQL|MARIA|MONGO|REDIS|MSSQL))"
    r"(?P<group>(?:\w+_)?(?:PG_?|POSTGRES_|POSTGRESQL_|DB_|DATABASE_))"
    r"(?P<part>HOST|HOSTNAME|PORT|USER|USERNAME|PASSWORD|PASS|DB|DATABASE|NAME|DBNAME)"
    r"(?:_UNPOOLED)?"
)
_PARTS = {
    **dict.fromkeys(("HOST", "HOSTNAME"), Goes.HOST),
    "PORT": Goes.PORT,
    **dict.fromkeys(("USER", "USERNAME"), Goes.USER),
    **dict.fromkeys(("PASSWORD", "PASS"), Goes.PASSWORD),
    **dict.fromkeys(("DB", "DATABASE", "NAME", "DBNAME"), Goes.DATABASE),
}
_MEANINGS = (
    (re.compile(r"SHADOW"), Goes.SHADOW),
    (re.compile(r"(?:^|_)TESTS?(?:_|$)"), Goes.TEST),
    (re.compile(r"DIRECT|UN_?POOLED|NON_?POOL|NO_?POOL|MIGRAT|ADMIN"), Goes.DIRECT),
)


@dataclass(frozen=True, slots=True)
class Lead:
    """The keys that together say where one endpoint is."""

    keys: tuple[str, ...]
    endpoint: Endpoint


def endpoint(text: str) -> Endpoint | None:
    """The endpoint that a URL or .NET's keywords lead to; None where they name none.

    What a URL leaves open is as libpq has it: port 5432, the database of the user's name.
    """
    text = text.strip()
    if not _SCHEME.match(text):
        return _of_keywords(text)
    try:
        url = urlsplit(re.sub(r"^jdbc:", "", text, flags=re.IGNORECASE))
        port = url.port or 5432
    except ValueError:
        return None
    query = {key: values[-1] for key, values in parse_qs(url.query).items()}
    user = unquote(url.username or "") or query.get("user", "")
    return Endpoint(
        host=unquote(url.hostname or query.get("host", "")),
        port=port,
        user=user,
        password=unquote(url.password or "") or query.get("password", ""),
        database=unquote(url.path[1:]) or query.get("dbname", user),
    )


def is_here(found: Endpoint, direct: Endpoint, pooled: Endpoint) -> bool:
    """Whether what a file says leads to the same servers, with the same password."""
    return (
        found.host in LOCAL
        and found.port in (direct.port, pooled.port)
        and found.password == direct.password
    )


def _of_keywords(text: str) -> Endpoint | None:
    pairs = (each.partition("=") for each in text.split(";"))
    words = {key.strip().lower(): value.strip().strip("\"'") for key, _, value in pairs}
    host, user = words.get("host") or words.get("server"), words.get("username")
    port = words.get("port", "5432")
    if not host or not user or not _PORT.fullmatch(port):
        return None
    return Endpoint(
        host=host,
        port=int(port),
        user=user,
        password=words.get("password", ""),
        database=words.get("database", user),
    )


def expanded(values: Mapping[str, str]) -> dict[str, str]:
    """The values with what `${NAME}` in them stands for, as Compose or a shell has it."""

    def expand(text: str, depth: int) -> str:
        def stands_for(match: re.Match[str]) -> str:
            found = values.get(match[1] or match[3]) or match[2] or ""
            return expand(found, depth - 1) if depth else ""

        return _REFERENCE.sub(stands_for, text)

    return {key: expand(value, 3) for key, value in values.items()}


def leads(values: Mapping[str, str]) -> Iterator[Lead]:
    """Where the values lead: each URL, and each group of parts that has a user and a port."""
    groups: dict[str, dict[Goes, str]] = {}
    full = expanded(values)
    for key, value in full.items():
        if found := endpoint(value):
            yield Lead((key,), found)
        elif value and (match := _PART_NAME.fullmatch(key)):
            groups.setdefault(match["group"], {})[_PARTS[match["part"]]] = key
    for keys in groups.values():
        part = {kind: full[key] for kind, key in keys.items()}
        if Goes.USER in part and _PORT.fullmatch(part.get(Goes.PORT, "")):
            found = Endpoint(
                host=part.get(Goes.HOST, LOCAL[0]),
                port=int(part[Goes.PORT]),
                user=part[Goes.USER],
                password=part.get(Goes.PASSWORD, ""),
                database=part.get(Goes.DATABASE, part[Goes.USER]),
            )
            yield Lead(tuple(keys.values()), found)


def meaning(key: str, value: str) -> Goes | None:
    """What a key of that name should be, judged by name and value; None: nothing of a database."""
    if key == HTTP_URL:
        return Goes.HTTP
    if match := _PART_NAME.fullmatch(key):
        return _PARTS[match["part"]]
    if not endpoint(value) and (value.strip() or not _URL_NAME.search(key)):
        return None
    return next((kind for words, kind in _MEANINGS if words.search(key)), Goes.POOLED)
