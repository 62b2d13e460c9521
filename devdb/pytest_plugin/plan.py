"""What `devdb_template` returned, in one shape: what a template is built by and depends on."""

from __future__ import annotations

import glob
import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from devdb.errors import UsageError
from devdb.masking import masked
from devdb.pytest_plugin import content, identity
from devdb.pytest_plugin.template import Template

SHAPE = """\
Return a function of the URL, e.g.

    @pytest.fixture(scope="session")
    def devdb_template():
        def migrate(url):
            ...  # run the migrations there
        return migrate

or the path of an SQL file, a directory of them or a dump, a list of such paths,
devdb.pytest_plugin.Template(migrate, files=["migrations/**"]), or None: an empty database."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a template is built."""

    content: str
    """A digest of what it depends on."""
    name: str
    """What people know it by."""
    function: Callable[[str], object] | None = None
    """Is called with the URL."""
    seeds: tuple[Path, ...] = ()
    """Are loaded, in their order."""


def plan(given: object, root: Path, project: Callable[[], str]) -> Plan:
    """The plan that is meant by it; paths are from `root`, `project` tells the project's digest.

    Raises UsageError for what can be none.
    """
    if given is None:
        return Plan(content=content.digest([b"empty"]), name="empty")
    if isinstance(given, Template):
        return _of_function(given.build, lambda: _of_files(given.files, root))
    if isinstance(given, str | os.PathLike):
        return _of_paths([given], root)
    if isinstance(given, list | tuple) and given and all(map(_is_path, given)):
        return _of_paths(given, root)
    return _of_function(given, project)


def _is_path(given: object) -> bool:
    return isinstance(given, str | os.PathLike)


def _of_function(function: object, depends: Callable[[], str]) -> Plan:
    if not callable(function) or isinstance(function, type):
        raise _wrong(f"devdb_template returned {_shown(function)}.")
    called = getattr(function, "__qualname__", type(function).__qualname__)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise _wrong(f"'{called}', which devdb_template returned, has a `yield` in it.")
    try:
        inspect.signature(function).bind("url")
    except TypeError:
        raise _wrong(
            f"'{called}', which devdb_template returned, cannot be called with the URL alone."
        ) from None
    except ValueError:  # it does not tell, as functions in C
        pass
    told, files = identity.of(function)
    own = content.of_files(Path("/"), [file for file in files if file.is_file()])
    parts = [b"function", told.encode(), own.encode(), depends().encode()]
    return Plan(content=content.digest(parts), name=called, function=function)


def _of_files(globs: Sequence[str], root: Path) -> str:
    found: set[Path] = set()
    for pattern in [globs] if isinstance(globs, str) else globs:
        matching = glob.glob(os.fspath(pattern), root_dir=root, recursive=True)  # noqa: PTH207 - absolute ones too
        if not matching:
            raise UsageError(
                f"No file matches '{pattern}' of devdb_template's Template, from {root}.",
                'Globs are from there: "migrations/**/*.sql".',
            )
        found |= {root / each for each in matching}
    return content.of_files(root, found)


def _of_paths(given: Sequence[object], root: Path) -> Plan:
    seeds = [seed for each in given for seed in _seeds(root, os.fspath(each))]  # type: ignore[call-overload]
    told = content.of_files(root, seeds)
    order = [os.fsencode(os.path.relpath(seed, root)) for seed in seeds]
    name = ", ".join(Path(os.fsdecode(each)).name for each in order[:3])
    return Plan(
        content=content.digest([b"seeds", told.encode(), *order]),
        name=name + (", ..." if len(order) > 3 else ""),
        seeds=tuple(seeds),
    )


def _seeds(root: Path, given: str) -> list[Path]:
    """What is to be loaded of a path: it, or the SQL files in it by their names."""
    path = root / given
    if not os.path.lexists(path):
        shown = _shortened(masked(given))
        raise _wrong(f"devdb_template returned '{shown}', which is no path of a file from {root}.")
    if not path.is_dir() or (path / "toc.dat").exists():
        return [path]
    inside = sorted(each for each in path.iterdir() if ".sql" in each.name[1:] and each.is_file())
    if not inside:
        raise _wrong(f"devdb_template returned '{path}', in which no *.sql is.")
    return inside


def _wrong(what: str) -> UsageError:
    return UsageError(what, SHAPE)


def _shown(value: object) -> str:
    if inspect.iscoroutine(value) or inspect.isasyncgen(value):
        return "a coroutine: an `async def` that nothing ran"
    return f"{_shortened(repr(value))} ({type(value).__name__})"


def _shortened(text: str) -> str:
    return text if len(text) < 60 else text[:57] + "..."
