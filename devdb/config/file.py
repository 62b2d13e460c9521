"""A project's `devdb.toml`: the keys it has, and its tables of what is passed on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from devdb.decoding import decoded
from devdb.errors import UsageError
from devdb.model import SHARED_ENGINES

FILE = "devdb.toml"

Pairs = tuple[tuple[str, str], ...]


def has_file(directory: Path) -> bool:
    """Whether the directory has a devdb.toml."""
    return (directory / FILE).is_file()


def read(project: Path) -> tuple[dict[str, Any], dict[str, Pairs]]:
    """What stands in the project's file: its keys as they are, and each of `TABLES`, checked.

    Both are empty where there is no file. Raises UsageError.
    """
    path = project / FILE
    try:
        content = path.read_bytes()
        import tomllib  # 3 ms that only such a file needs

        keys = tomllib.loads(decoded(content))
    except FileNotFoundError:
        keys = {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", "Mend or remove it.") from error
    tables = {name: check(keys.pop(name)) for name, check in TABLES.items() if name in keys}
    return keys, tables


def _postgres(table: object) -> Pairs:
    if not isinstance(table, dict):
        raise UsageError(f"{FILE}: 'postgres' is no table.", "Write [postgres] and settings below.")
    flat = _flat(table)
    for key, value in flat.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.$]*", key) or isinstance(value, dict | list):
            raise UsageError(
                f"{FILE}: [postgres] {key} is no setting.", 'As in postgresql.conf: name = "value".'
            )
    return tuple(sorted((key.lower(), _for_postgres(value)) for key, value in flat.items()))


def _flat(table: dict[str, Any]) -> dict[str, Any]:
    """`auto_explain.log_format` is a table in a table to TOML, and one name to Postgres."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        inner = _flat(value) if isinstance(value, dict) else None
        flat |= {f"{key}.{k}": v for k, v in inner.items()} if inner else {key: value}
    return flat


def _for_postgres(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _pgbouncer(table: object) -> Pairs:
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
    return tuple(sorted((key, _for_pgbouncer(value)) for key, value in table.items()))


def _for_pgbouncer(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _env(table: object) -> Pairs:
    if not isinstance(table, dict):
        raise UsageError(f"{FILE}: 'env' is no table.", 'Write [env] and NAME = "pooled" below.')
    for key, value in table.items():
        if not isinstance(value, str):
            raise UsageError(f"{FILE}: [env] {key} is no text.", f'E.g. {key} = "pooled".')
    return tuple(table.items())


def _place(engine: str) -> Callable[[object], Pairs]:
    """Takes where in that engine new instances go; the keys are checked by the engine."""

    def check(table: object) -> Pairs:
        if not isinstance(table, dict):
            raise UsageError(
                f"{FILE}: '{engine}' is no table.", f"Write [{engine}] and its keys below."
            )
        for key, value in table.items():
            if not isinstance(value, str) or not value.strip() or not value.isprintable():
                raise UsageError(f"{FILE}: [{engine}] {key} is no text.", f'E.g. {key} = "mine".')
        return tuple(sorted((key.replace("_", "-"), value) for key, value in table.items()))

    return check


TABLES: dict[str, Callable[[object], Pairs]] = {
    "postgres": _postgres,
    "pgbouncer": _pgbouncer,
    "env": _env,
    **{engine: _place(engine) for engine in SHARED_ENGINES},
}
