"""Values as they stand in SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Identifier:
    """The name of something in the database, as a value of `Session.query`."""

    name: str


def filled_in(sql: str, values: tuple[object, ...]) -> str:
    """The text with each `{}` in it replaced by the next value, quoted; as it is without values."""
    return sql.format(*map(quoted, values)) if values else sql


def quoted(value: object) -> str:
    """The value as it stands in SQL, where strings conform to the standard and are UTF-8.

    Raises ValueError for text with a NUL, which no database takes.
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, timedelta):
        return f"interval '{value // timedelta(microseconds=1)} microseconds'"
    if isinstance(value, list | tuple):
        return f"ARRAY[{', '.join(map(quoted, value))}]::text[]"
    is_name = isinstance(value, Identifier)
    text = value.name if isinstance(value, Identifier) else str(value)
    if "\0" in text:
        raise ValueError(f"{text!r} has a NUL in it")
    mark = '"' if is_name else "'"
    return f"{mark}{text.replace(mark, mark * 2)}{mark}"
