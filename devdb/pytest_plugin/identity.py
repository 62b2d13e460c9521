"""What a function is, told by its code and by what it carries: the same in each process."""

from __future__ import annotations

import functools
import hashlib
import types
from collections.abc import Mapping
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import pytest

_DEEPEST = 6
# What options say of a run, and not of what the tests need.
_OF_A_RUN = frozenset(
    "file_or_dir basetemp keyword markexpr verbose quiet lf failedfirst newfirst stepwise maxfail"
    " durations capture tbstyle reportchars plugins numprocesses tx dist px testrunuid".split()
)


def of(value: object) -> tuple[str, frozenset[Path]]:
    """It as text, and the files that its functions are in.

    Plain values are told by themselves, all else by its type and the plain values in it.
    """
    files: set[Path] = set()
    return _told(value, files, _DEEPEST), frozenset(files)


def _told(value: Any, files: set[Path], deeper: int) -> str:
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | PurePath):
        return f"{type(value).__name__}:{value!r}"
    if deeper == 0:
        return type(value).__qualname__
    parts = [_told(part, files, deeper - 1) for part in _parts(value, files)]
    if isinstance(value, set | frozenset):
        parts.sort()
    return f"{_name(value)}({', '.join(parts)})"


def _name(value: Any) -> str:
    named = value if isinstance(value, type | types.FunctionType) else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def _parts(value: Any, files: set[Path]) -> list[Any]:
    """What is in it that tells it from others of its kind."""
    if isinstance(value, types.FunctionType):
        return [*_of_code(value.__code__, files), *_carried(value)]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, Mapping):
        return [part for item in value.items() for part in item]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if isinstance(value, Enum):
        return [value.name]
    if isinstance(value, pytest.FixtureRequest):
        return [getattr(value, "param", None), value.config]
    if isinstance(value, pytest.Config):
        options = vars(value.option).items()
        return [each for each in sorted(options, key=lambda item: item[0]) if _is_kept(each[0])]
    if isinstance(value, type | types.ModuleType):
        return [getattr(value, "__name__", "")]
    called = vars(type(value)).get("__call__")
    return [*([called] if called else []), getattr(value, "__dict__", {})]


def _is_kept(option: str) -> bool:
    return option not in _OF_A_RUN


def _of_code(code: types.CodeType, files: set[Path]) -> list[object]:
    files.add(Path(code.co_filename))
    inner = [const for const in code.co_consts if isinstance(const, types.CodeType)]
    plain = [const for const in code.co_consts if not isinstance(const, types.CodeType)]
    body = hashlib.sha256(code.co_code).hexdigest()
    return [body, plain, code.co_names, *(_of_code(each, files) for each in inner)]


def _carried(function: types.FunctionType) -> list[object]:
    """The values of its defaults and of the variables around it."""
    around = []
    for cell in function.__closure__ or ():
        try:
            around.append(cell.cell_contents)
        except ValueError:  # none yet
            around.append(None)
    return [function.__defaults__, function.__kwdefaults__, around]
