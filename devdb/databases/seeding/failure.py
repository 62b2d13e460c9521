"""Why a seed could not be loaded: what the tools said, and the way out that fits it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from devdb.model import Spec

NOTHING_LEFT = "nothing is left of this"


@dataclass(frozen=True, slots=True)
class Said:
    """What psql or the server reported."""

    line: int | None
    """Of what psql was given; None where it says none."""
    sqlstate: str
    """Empty where it is psql's own."""
    message: str
    context: str = ""
    """Where in the data of a table, e.g. `COPY people, line 3, column age: "old"`."""


# With VERBOSITY verbose: "psql:<stdin>:3: ERROR:  42703: column ... does not exist". The word is in
# the server's language, the code is not.
_FROM_SERVER = re.compile(
    r"^psql:<stdin>:(?P<line>\d+): [^\s:]+:\s+(?P<sqlstate>[0-9A-Z]{5}): (?P<message>.*)$", re.M
)
_FROM_PSQL = re.compile(
    r"^psql:(?:<stdin>:(?P<line>\d+):)? (?:error|fatal): (?P<message>.*)$", re.M
)
_CONTEXT = re.compile(r"^CONTEXT:\s+(COPY .*)$", re.M)


def said(text: str) -> Said | None:
    """The error that psql ended at, in what it wrote on stderr; None where there is none."""
    own = list(_FROM_PSQL.finditer(text))
    # The last one: those before it were notices and warnings, or it would have ended there.
    for found in reversed(list(_FROM_SERVER.finditer(text))):
        if own and own[-1].start() > found.start():
            break
        context = _CONTEXT.search(text, found.end())
        return Said(
            int(found["line"]),
            found["sqlstate"],
            found["message"].strip(),
            context[1].strip() if context else "",
        )
    if own:
        line = own[-1]["line"]
        return Said(int(line) if line else None, "", own[-1]["message"].strip())
    return None


def of_archive(text: str) -> str:
    """What pg_restore says that it cannot do with an archive."""
    found = re.search(r"^pg_restore: (?:error: |\[[^\]]*\] )?(.*)$", text, re.M)
    lines = [line for line in text.splitlines() if line.strip()]
    return (found[1] if found else lines[-1] if lines else "it gave no reason").strip()


def archive_way_out(message: str) -> str:
    """What to do about an archive that pg_restore cannot read."""
    if re.search(r"unsupported version \(", message):
        return (
            "A newer pg_dump made it: load it into a newer instance, "
            f"`devdb up -n NAME --pg MAJOR`, then `devdb temp -n NAME --seed FILE`; {NOTHING_LEFT}."
        )
    if re.search(r"(?i)not (?:built|support).*compress|compress.*not support", message):
        return (
            "This pg_restore was built without that: use Docker (`devdb up -n NAME --engine docker`"
            f"), or take the dump with -Z gzip; {NOTHING_LEFT}."
        )
    return f"Take the dump anew, or download it anew; {NOTHING_LEFT}."


def way_out(said: Said, spec: Spec) -> str:
    """What to do about it: one answer for each kind of error."""
    for codes, pattern, answer in _WAYS_OUT:
        if codes and said.sqlstate not in codes and said.sqlstate[:2] not in codes:
            continue
        if found := re.search(pattern, said.message):
            name = found.groupdict().get("name") or ""
            return f"{answer(name, spec)}; {NOTHING_LEFT}."
    return f"Mend it there and try again; {NOTHING_LEFT}."


def _by_hand(spec: Spec) -> str:
    return (
        f"load it yourself, as the superuser: devdb psql -n {spec.name} -c 'CREATE DATABASE mine', "
        f"devdb psql -n {spec.name} -d mine -f FILE, then devdb temp -n {spec.name} --from mine"
    )


def _superuser(_name: str, spec: Spec) -> str:
    return f"A seed never runs as the superuser. Take that out, or {_by_hand(spec)}"


def _untrusted(name: str, spec: Spec) -> str:
    return (
        f"Functions in {name} can do all that the server can, so only a superuser makes them: take "
        f"them out, or {_by_hand(spec)}"
    )


def _extension_of(name: str, spec: Spec) -> str:
    return (
        f"devdb makes no extension for a seed that reaches out of the database. Allow it for every "
        f"new database: devdb psql -n {spec.name} -d template1 -c "
        f"'CREATE EXTENSION \"{name}\"'"
    )


def _install(name: str, spec: Spec) -> str:
    image = {"vector": "pgvector/pgvector:pg17", "postgis": "postgis/postgis:17-3.5"}
    example = image.get(name.removesuffix("_topology"), "IMAGE")
    return (
        f"Docker: an image that has the extension: devdb up -n NAME --engine docker --image "
        f"{example}; native: its package for this Postgres (Debian: postgresql-contrib, or "
        f"postgresql-{spec.major or 'MAJOR'}-{name})"
    )


def _role(name: str, spec: Spec) -> str:
    return (
        f"A policy or a function of it needs that role: devdb psql -n {spec.name} -c "
        f"'CREATE ROLE \"{name}\"'; then try again"
    )


def _needs(name: str, _spec: Spec) -> str:
    extension = _PROVIDERS.get(name.rpartition(".")[2].lower())
    if extension:
        return f'Put `CREATE EXTENSION IF NOT EXISTS "{extension}";` before it'
    return (
        "It is not in the seed before that: is it a dump of the data only, or of one schema? "
        "Take one of all of it with pg_dump"
    )


_PROVIDERS = {
    "uuid_generate_v4": "uuid-ossp",
    "uuid_generate_v1": "uuid-ossp",
    "uuid_generate_v1mc": "uuid-ossp",
    "crypt": "pgcrypto",
    "gen_salt": "pgcrypto",
    "digest": "pgcrypto",
    "gen_random_bytes": "pgcrypto",
    "citext": "citext",
    "hstore": "hstore",
    "ltree": "ltree",
    "cube": "cube",
    "vector": "vector",
    "halfvec": "vector",
    "geometry": "postgis",
    "geography": "postgis",
    "similarity": "pg_trgm",
    "gin_trgm_ops": "pg_trgm",
    "gist_trgm_ops": "pg_trgm",
    "unaccent": "unaccent",
    "levenshtein": "fuzzystrmatch",
    "soundex": "fuzzystrmatch",
    "tablefunc": "tablefunc",
    "crosstab": "tablefunc",
}
"""What people use of common extensions."""

_NEWER = (
    "Mend it there; if it is of a newer Postgres, `devdb up -n NAME --pg MAJOR` makes an instance "
    "of that; if of another database system, it has to be converted first"
)
_Answer = Callable[[str, Spec], str]


def _text(answer: str) -> _Answer:
    return lambda _name, _spec: answer


_WAYS_OUT: tuple[tuple[tuple[str, ...], str, _Answer], ...] = (
    (("42501",), r'create extension "(?P<name>[^"]+)"', _extension_of),
    (
        ("42501",),
        r"(?i)\bCOPY\b.*(?:file|program)|pg_(?:read|write)_server_files|pg_execute_server_program",
        _text(r"The server's files are not a seed's: use `\copy ... FROM` or COPY ... FROM stdin"),
    ),
    (
        ("42501",),
        r"system trigger|session_replication_role",
        _text("Before Postgres 15 only a superuser may: devdb up -n NAME --pg 17"),
    ),
    (("42501", "42704"), r'language "?(?P<name>c\b|\w+u\b)', _untrusted),
    (("42501",), "", _superuser),
    ((), r'extension "(?P<name>[^"]+)" is not available|/(?P<_>[\w-]+)\.control"', _install),
    (("42704",), r'role "(?P<name>[^"]+)"', _role),
    (
        ("42704", "22023"),
        r"tablespace",
        _text("Take `TABLESPACE ...` out; pg_dump --no-tablespaces"),
    ),
    (("42704",), r"unrecognized configuration parameter", _text(_NEWER)),
    (
        ("42704",),
        r'language "(?P<name>\w+)"',
        lambda name, spec: (
            f"Make the language for every new database: devdb psql -n {spec.name} -d template1 -c "
            f"'CREATE EXTENSION {name}'"
        ),
    ),
    (
        ("42704", "42883", "42P01", "3F000"),
        r'(?:type|function|class|relation|schema) "?(?P<name>[\w.]+)',
        _needs,
    ),
    (
        ("42P01", "3F000", "42704", "42883"),
        "",
        _text("It is not in the seed before that; take a dump of all of it, in pg_dump's order"),
    ),
    (
        ("42P07", "42710", "42P06", "42723", "42701", "42712"),
        "",
        _text(
            "It is made twice, or is in every new database: see what is in template1 "
            r"(`devdb psql -d template1 -c '\d'`)"
        ),
    ),
    (("42601",), r"(?i)\bWITH OIDS\b|near \"oids\"", _text("Postgres has had no OIDS since 12")),
    (
        ("42601",),
        r"near \"`\"|AUTO_INCREMENT|ENGINE",
        _text("That is MySQL's: bring it into Postgres with pgloader first"),
    ),
    (("42601", "0A000"), "", _text(_NEWER)),
    (
        ("22021", "22P05", "22P06"),
        "",
        _text("Say its encoding in its first line: SET client_encoding = 'LATIN1' (or what it is)"),
    ),
    (
        ("23503",),
        "",
        _text(
            "Rows come before those they refer to: `SET session_replication_role = replica;` as "
            "its first line helps, from Postgres 15 on"
        ),
    ),
    (("23",), "", _text("Its rows contradict its own rules: mend them where they come from")),
    (
        ("22P02", "22P04", "22007", "22008", "22003", "22001"),
        "",
        _text("A row does not fit its column: mend it there"),
    ),
    (("25P02",), "", _text("Something failed before it in the same transaction: look further up")),
    (
        ("53100",),
        "",
        _text("The disk is full: make room, or drop what is not needed"),
    ),
    (("53", "57", "08", "XX", "58"), "", _text("The server could not go on: look at `devdb logs`")),
    ((), r"invalid command \\", _text("That command is not psql's, or a newer one's: take it out")),
    (
        (),
        r"(?i)server closed the connection|could not receive|terminat",
        _text("The server could not go on: look at `devdb logs`"),
    ),
)
