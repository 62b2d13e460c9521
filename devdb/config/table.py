"""Each setting, told once: its option, variable and key of devdb.toml, its help, its values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from devdb.config.naming import check_name
from devdb.errors import UsageError
from devdb.model import ENGINES, UNOFFERED_ENGINES, PoolMode
from devdb.wording import did_you_mean

_YES, _NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")

Parser = Callable[[str, object], Any]
"""Who said it and what, to the value; raises UsageError for one that cannot be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How one setting is called wherever it is said, what it does and which values it takes."""

    name: str
    """The field of `Settings`."""
    option: str
    """E.g. `--pool-port`."""
    letter: str | None
    """The short option, e.g. `-n`."""
    variable: str
    """E.g. `DEVDB_POOL_PORT`."""
    key: str
    """In devdb.toml, e.g. `pool-port`; `pool_port` is taken too."""
    example: str
    """A value, as devdb.toml has it."""
    metavar: str
    help: str
    default: str | None
    """What it is where nobody says anything, when a word can say that."""
    choices: tuple[str, ...]
    """The words it takes; none: see `parse`."""
    is_flag: bool
    """Whether it is a yes or a no: its option takes no value, and `--no-...` says the other."""
    commands: tuple[str, ...]
    """The commands with the option; none: all that mean one instance."""
    parse: Parser


def _setting(
    name: str,
    text: str,
    example: str,
    parse: Parser,
    *,
    option: str | None = None,
    letter: str | None = None,
    variable: str | None = None,
    metavar: str = "",
    default: str | None = None,
    choices: tuple[str, ...] = (),
    is_flag: bool = False,
    commands: tuple[str, ...] = ("up",),
) -> Setting:
    key = name.replace("_", "-")
    return Setting(
        name=name,
        option=option or f"--{key}",
        letter=letter,
        variable=variable or f"DEVDB_{name.upper()}",
        key=key,
        example=example,
        metavar=metavar or "|".join(choices),
        help=text,
        default=default,
        choices=choices,
        is_flag=is_flag,
        commands=commands,
        parse=parse,
    )


def whole(low: int, high: int) -> Parser:
    """Takes a whole number in that range."""

    def parse(source: str, value: object) -> int:
        try:
            number = int(str(value))
        except ValueError:
            number = low - 1
        if not low <= number <= high:
            raise UsageError(
                f"{source}: {value!r} is out of range.", f"A whole number from {low} to {high}."
            )
        return number

    return parse


def one_of(known: Sequence[str], *, unoffered: Sequence[str] = ()) -> Parser:
    """Takes one of these words; of those that are `unoffered` no error speaks."""

    def parse(source: str, value: object) -> str:
        if value not in (*known, *unoffered):
            raise UsageError(
                f"{source}: {value!r} is unknown.",
                f"{did_you_mean(str(value), known)}Known: {', '.join(known)}.",
            )
        return str(value)

    return parse


def _text(source: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{source}: {value!r} is no text.", "Give a name, or leave it out.")
    return value


def _yes_or_no(source: str, value: object) -> bool:
    word = str(value).lower()
    if word not in (*_YES, *_NO):
        raise UsageError(f"{source}: {value!r} is neither yes nor no.", "true or false.")
    return word in _YES


def _mode(source: str, value: object) -> PoolMode:
    return PoolMode(one_of(tuple(PoolMode))(source, value))


def _name(source: str, value: object) -> str:
    return check_name(_text(source, value), source)


_TABLE = (
    _setting(
        "name",
        "The instance; else DEVDB_NAME, else this project's.",
        '"shop"',
        _name,
        letter="-n",
        metavar="NAME",
        commands=(),
    ),
    _setting(
        "engine",
        "What runs it.",
        '"native"',
        one_of(("auto", *ENGINES), unoffered=UNOFFERED_ENGINES),
        choices=("auto", *ENGINES),
        default="auto",
    ),
    _setting("pg", "Postgres major, for new data.", "17", whole(13, 99), metavar="MAJOR"),
    _setting("port", "Port of the direct URL.", "15432", whole(1, 65535), metavar="N"),
    _setting("pool_port", "Port of the pooled URL.", "16543", whole(1, 65535), metavar="N"),
    _setting(
        "http",
        "Have the gateway run: the HTTP URL, for serverless drivers. By default if it has one.",
        "true",
        _yes_or_no,
        is_flag=True,
    ),
    _setting(
        "http_port",
        "Port of the HTTP URL.",
        "17654",
        whole(1, 65535),
        metavar="N",
        commands=("up", "http"),
    ),
    _setting(
        "pool_mode",
        "When a server connection is given back.",
        '"session"',
        _mode,
        choices=tuple(PoolMode),
        default=PoolMode.TRANSACTION,
    ),
    _setting(
        "max_connections",
        "Postgres' own limit.",
        "20",
        whole(10, 10000),
        metavar="N",
        default="100",
    ),
    _setting(
        "log_min_duration_statement",
        "Log queries of so many milliseconds or more; 0: all. By default none.",
        "200",
        whole(-1, 2**31 - 1),
        metavar="MS",
    ),
    _setting(
        "image",
        "Postgres image.",
        '"pgvector/pgvector:pg17"',
        _text,
        variable="DEVDB_POSTGRES_IMAGE",
        metavar="IMAGE",
    ),
    _setting(
        "pooler_image",
        "PgBouncer image.",
        '"ghcr.io/cloudnative-pg/pgbouncer:1.25.2"',
        _text,
        variable="DEVDB_PGBOUNCER_IMAGE",
        metavar="IMAGE",
    ),
    _setting(
        "preset",
        "The variables of a framework or provider; auto looks at the project.",
        '"supabase"',
        _text,
        metavar="NAME",
        default="plain",
        commands=("up", "env", "temp", "run"),
    ),
    _setting(
        "client",
        "Whom to spell the URL for: asyncpg, prisma, jdbc, ...; else devdb.toml's client.",
        '"asyncpg"',
        _text,
        option="--for",
        metavar="CLIENT",
        commands=("url", "run"),
    ),
)

SETTINGS = {setting.name: setting for setting in _TABLE}
"""By name, in the order of the help."""
