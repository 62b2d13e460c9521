"""What the user wants, and who said so: option > `DEVDB_*` > `devdb.toml` > default."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from devdb.config import file
from devdb.config.file import FILE, TABLES, Pairs
from devdb.config.naming import check_name
from devdb.errors import UsageError
from devdb.model import PoolMode

ENGINES = ("auto", "docker", "native", "fake")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is wanted; None where nobody said anything."""

    name: str | None = None
    engine: str = "auto"
    pg: int | None = None
    port: int | None = None
    pool_port: int | None = None
    pool_mode: PoolMode | None = None
    image: str | None = None
    pooler_image: str | None = None
    preset: str | None = None
    client: str | None = None
    max_connections: int | None = None
    postgres: Pairs = ()
    """Postgres settings from the table `[postgres]`."""
    pgbouncer: Pairs = ()
    """PgBouncer settings from the table `[pgbouncer]`."""
    env: Pairs = ()
    """Variables of `.env` from the table `[env]`, and what each is to be (`devdb.urls.presets`)."""
    sources: Pairs = ()
    """Where each setting that was given comes from, e.g. `("port", "--port")`."""

    def source(self, setting: str) -> str:
        """Who said it: `--port`, `DEVDB_PORT`, `devdb.toml` or `default`."""
        return dict(self.sources).get(setting, "default")


def load(
    project: Path, options: Mapping[str, object | None], environment: Mapping[str, str]
) -> Settings:
    """The settings for a project; `options` has those given on the command line.

    Raises UsageError for a value that cannot be right, naming who said it.
    """
    given: dict[str, tuple[str, object]] = {}
    keys, tables = file.read(project)
    for key, value in keys.items():
        given[key.replace("-", "_")] = (FILE, value)
    for key, variable in _VARIABLES.items():
        if environment.get(variable):
            given[key] = (variable, environment[variable])
    for key, option in options.items():
        if option is not None:
            given[key] = (f"--{key.replace('_', '-')}", option)
    known = {name: parse for name, parse in _PARSERS.items() if name in given}
    tables_known = ", ".join(f"[{name}]" for name in TABLES)
    if unknown := set(given) - set(_PARSERS):
        raise UsageError(
            f"{FILE} has a setting '{min(unknown)}' that devdb does not know.",
            f"Known: {', '.join(sorted(_PARSERS))}, and the tables {tables_known}.",
        )
    values: dict[str, Any] = {name: parse(*given[name]) for name, parse in known.items()}
    settings = Settings(**values | tables)
    _check_ports(settings)
    return replace(settings, sources=tuple((name, given[name][0]) for name in known))


def _integer(low: int, high: int) -> Callable[[str, object], int]:
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


def _one_of(*known: str) -> Callable[[str, object], str]:
    def parse(source: str, value: object) -> str:
        if value not in known:
            raise UsageError(f"{source}: {value!r} is unknown.", f"Known: {', '.join(known)}.")
        return str(value)

    return parse


def _text(source: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{source}: {value!r} is no text.", "Give a name, or leave it out.")
    return value


def _mode(source: str, value: object) -> PoolMode:
    return PoolMode(_one_of(*PoolMode)(source, value))


def _check_ports(settings: Settings) -> None:
    if settings.port is not None and settings.port == settings.pool_port:
        raise UsageError(
            f"The direct and the pooled port are both {settings.port}.",
            "Give --port and --pool-port two different numbers.",
        )


_PARSERS: dict[str, Callable[[str, object], Any]] = {
    "name": lambda source, value: check_name(_text(source, value), source),
    "engine": _one_of(*ENGINES),
    "pg": _integer(13, 99),
    "port": _integer(1, 65535),
    "pool_port": _integer(1, 65535),
    "pool_mode": _mode,
    "image": _text,
    "pooler_image": _text,
    "preset": _text,
    "client": _text,
    "max_connections": _integer(10, 10000),
}

_VARIABLES = {
    "name": "DEVDB_NAME",
    "engine": "DEVDB_ENGINE",
    "pg": "DEVDB_PG",
    "port": "DEVDB_PORT",
    "pool_port": "DEVDB_POOL_PORT",
    "pool_mode": "DEVDB_POOL_MODE",
    "image": "DEVDB_POSTGRES_IMAGE",
    "pooler_image": "DEVDB_PGBOUNCER_IMAGE",
    "preset": "DEVDB_PRESET",
    "client": "DEVDB_CLIENT",
    "max_connections": "DEVDB_MAX_CONNECTIONS",
}
