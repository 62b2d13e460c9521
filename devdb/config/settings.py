"""What the user wants, and who said so: option > `DEVDB_*` > `devdb.toml` > default."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from devdb.decoding import decoded
from devdb.errors import UsageError
from devdb.model import PoolMode

FILE = "devdb.toml"
ROOT_MARKS = (FILE, ".git", "pyproject.toml", "package.json")
_REPOSITORY = (".git", ".hg", ".jj", ".svn")
ENGINES = ("auto", "docker", "native", "fake")
NAME_LENGTH = 40


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
    postgres: tuple[tuple[str, str], ...] = ()
    """Postgres settings from the table `[postgres]`."""
    pgbouncer: tuple[tuple[str, str], ...] = ()
    """PgBouncer settings from the table `[pgbouncer]`."""
    env: tuple[tuple[str, str], ...] = ()
    """Variables of `.env` from the table `[env]`, and what each is to be (`devdb.urls.presets`)."""
    sources: tuple[tuple[str, str], ...] = ()
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
    table = _file(project / FILE)
    postgres = table.pop("postgres", {})
    pgbouncer = table.pop("pgbouncer", {})
    env = table.pop("env", {})
    for key, value in table.items():
        given[key.replace("-", "_")] = (FILE, value)
    for key, variable in _VARIABLES.items():
        if environment.get(variable):
            given[key] = (variable, environment[variable])
    for key, option in options.items():
        if option is not None:
            given[key] = (f"--{key.replace('_', '-')}", option)
    known = {name: parse for name, parse in _PARSERS.items() if name in given}
    if unknown := set(given) - set(_PARSERS):
        raise UsageError(
            f"{FILE} has a setting '{min(unknown)}' that devdb does not know.",
            f"Known: {', '.join(sorted(_PARSERS))}, and the tables [postgres], [pgbouncer], [env].",
        )
    values = {name: parse(*given[name]) for name, parse in known.items()}
    settings = Settings(
        **values,
        postgres=_postgres(postgres),
        pgbouncer=_pgbouncer(pgbouncer),
        env=_env(env),
    )
    _check_ports(settings)
    return replace(settings, sources=tuple((name, given[name][0]) for name in known))


def project_root(start: Path) -> Path:
    """The nearest directory upward with a project's mark in it; `start` where there is none."""
    start = start.absolute()
    return next((each for each in (start, *start.parents) if is_project(each)), start)


def repository_root(start: Path) -> Path | None:
    """The root of the repository that a directory is in; None outside of one.

    A git worktree's and a submodule's are their own.
    """
    around = (start, *start.parents)
    return next((each for each in around for mark in _REPOSITORY if (each / mark).exists()), None)


def has_file(directory: Path) -> bool:
    """Whether the directory has a devdb.toml."""
    return (directory / FILE).is_file()


def is_project(directory: Path) -> bool:
    """Whether the directory has a project's mark in it."""
    return any((directory / mark).exists() for mark in ROOT_MARKS)


def slug(text: str) -> str:
    """An instance name made of a directory's name: ASCII, lower case, at most 40 characters."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[:NAME_LENGTH].strip("-")
    return name or "project"


def suffixed(name: str, project: Path) -> str:
    """The name with four hex digits of the project's path behind it."""
    import hashlib  # loads OpenSSL, which most commands need nothing of

    digits = hashlib.sha256(os.fsencode(project)).hexdigest()[:4]
    return f"{name[: NAME_LENGTH - 5]}-{digits}"


def check_name(name: str, source: str = "--name") -> str:
    """The name as it was given; raises UsageError when it is none."""
    if re.fullmatch(rf"[a-z0-9][a-z0-9_-]{{0,{NAME_LENGTH - 1}}}", name) is None:
        shown = name if len(name) <= NAME_LENGTH else f"{name[:NAME_LENGTH]}..."
        raise UsageError(
            f"{source}: {shown!r} is no instance name.",
            f"Lower-case letters, digits, - and _, at most {NAME_LENGTH}; try '{slug(name)}'.",
        )
    return name


def _file(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
        import tomllib  # 3 ms that only such a file needs

        return tomllib.loads(decoded(content))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", "Mend or remove it.") from error


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


def _postgres(table: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(table, dict):
        raise UsageError(f"{FILE}: 'postgres' is no table.", "Write [postgres] and settings below.")
    flat = _flat(table)
    for key, value in flat.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.$]*", key) or isinstance(value, dict | list):
            raise UsageError(
                f"{FILE}: [postgres] {key} is no setting.", 'As in postgresql.conf: name = "value".'
            )
    return tuple(sorted((key.lower(), _setting(value)) for key, value in flat.items()))


def _flat(table: dict[str, Any]) -> dict[str, Any]:
    """`auto_explain.log_format` is a table in a table to TOML, and one name to Postgres."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        inner = _flat(value) if isinstance(value, dict) else None
        flat |= {f"{key}.{k}": v for k, v in inner.items()} if inner else {key: value}
    return flat


def _pgbouncer(table: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(table, dict):
        raise UsageError(
            f"{FILE}: 'pgbouncer' is no table.", "Write [pgbouncer] and settings below."
        )
    for key, value in table.items():
        # A line of an ini each: whatever is more than that would be another setting.
        is_line = isinstance(value, str | int | float) and str(value).isprintable()
        if re.fullmatch(r"[a-z_]+", key) is None or not is_line:
            raise UsageError(
                f"{FILE}: [pgbouncer] {key} is no setting.", 'As in pgbouncer.ini: name = "value".'
            )
    return tuple(sorted((key, _number(value)) for key, value in table.items()))


def _env(table: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(table, dict):
        raise UsageError(f"{FILE}: 'env' is no table.", 'Write [env] and NAME = "pooled" below.')
    for key, value in table.items():
        if not isinstance(value, str):
            raise UsageError(f"{FILE}: [env] {key} is no text.", f'E.g. {key} = "pooled".')
    return tuple(table.items())


def _number(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


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
