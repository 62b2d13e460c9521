"""Which preset, which variables and which client a project's own files ask for."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from devdb.urls import prisma
from devdb.urls.manifests import (
    is_file,
    node_packages,
    python_packages,
    read_json,
    read_jsonc,
    read_text,
    read_toml,
    table,
    workspaces,
)
from devdb.urls.presets import DEFAULT, HYPERDRIVE, PRESETS, PRISMA, VERCEL, Goes, Preset
from devdb.urls.prisma import Prisma
from devdb.urls.serverless import DRIVERS, HTTP_URL

_WRANGLER = ("wrangler.json", "wrangler.jsonc", "wrangler.toml")
"""In the order in which wrangler looks for one."""
_VERCEL = tuple(name for name in DRIVERS if name.startswith("@vercel/"))
_NEON = tuple(name for name in DRIVERS if name not in _VERCEL)


@dataclass(frozen=True, slots=True)
class Detected:
    """A preset, the client where the preset leaves it open, and what both were concluded from."""

    preset: str
    client: str | None
    saw: tuple[str, ...]
    """E.g. `package.json: prisma ^6.5.0`; empty when nothing was recognised."""
    file: str | None = None
    """The `.env` file whose keys it was concluded from, where nothing else spoke."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What a project reads whatever else it is: by its platform, or by a driver of its own."""

    variables: tuple[tuple[str, Goes], ...] = ()
    readers: tuple[tuple[str, str], ...] = ()
    """As of a preset."""
    saw: tuple[str, ...] = ()
    """As of what was detected."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Names:
    """The variables that a project's files read, where these are not the preset's own."""

    variables: tuple[tuple[str, Goes], ...]
    notes: tuple[str, ...] = ()


def detect(project: Path) -> Detected:
    """Look at the project's files; one that cannot be read counts as not there."""
    node, python = node_packages(project), python_packages(project)
    found = prisma.look(project, _wanted(node))
    if is_file(project / "supabase" / "config.toml"):
        client, saw = _client(node, python, found)
        return Detected("supabase", client, ("supabase/config.toml", *saw))
    if seen := _redwood(project, node):
        return Detected("redwood", None, (seen,))
    if found:
        return Detected(_PRESET_OF[found.seven], None, found.saw)
    if is_file(project / "manage.py"):
        return Detected("django", None, ("manage.py",))
    if "django" in python:
        return Detected("django", None, (python["django"],))
    if re.search(r"^\s*gem\s*\(?\s*[\"']rails[\"']", read_text(project / "Gemfile"), re.MULTILINE):
        return Detected("rails", None, ("Gemfile: rails",))
    if is_file(project / "artisan"):
        return Detected("laravel", None, ("artisan",))
    if "laravel/framework" in table(read_json(project / "composer.json"), "require"):
        return Detected("laravel", None, ("composer.json: laravel/framework",))
    client, saw = _client(node, python, found)
    if package := next((name for name in _VERCEL if name in node), None):
        return Detected("vercel", client, (f"package.json: {package}", *saw))
    if wrangler := _wrangler(project):
        return Detected("hyperdrive", client, (f"{wrangler}: hyperdrive", *saw))
    if package := next((name for name in _NEON if name in node), None):
        return Detected("neon", client, (f"package.json: {package}", *saw))
    if is_file(project / "vercel.json"):
        return Detected("vercel", client, ("vercel.json", *saw))
    return Detected(DEFAULT, client, saw)


def detect_around(
    directory: Path, project: Path, files: Mapping[str, Mapping[str, str]]
) -> Detected:
    """The same of the directory, those around it up to the project, and the project's workspaces.

    Workspaces beside the directory speak only where it names no client itself. `files` are the
    `.env` files that are there, by their names: the keys in them speak where nothing else does.
    """
    looked: list[Detected] = []
    names_client = False
    for place in _places(directory, project):
        is_beside = not (place.is_relative_to(directory) or directory.is_relative_to(place))
        if is_beside and names_client:
            continue
        found = detect(place)
        found = replace(found, saw=tuple(_seen(place, directory, each) for each in found.saw))
        if found.preset != DEFAULT:
            return found
        names_client = names_client or (found.client is not None and not is_beside)
        looked.append(found)
    plain = next((found for found in looked if found.client), looked[0])
    for name, keys in files.items():
        if match := by_names(keys):
            chosen, seen = match
            saw = (f"{name}: {', '.join(seen)}", *plain.saw)
            return Detected(chosen.name, plain.client, saw, name)
    return plain


def candidates(keys: Collection[str]) -> list[Preset]:
    """The presets that a file with these keys may be meant for, judged by the keys alone.

    Not Prisma's, whose names others have too (TEST_DATABASE_URL), nor Laravel's where its
    DB_CONNECTION is missing.
    """
    return [
        preset
        for preset in PRESETS.values()
        if preset.name not in PRISMA and all(name in keys for name, _ in preset.fixed)
    ]


def by_names(keys: Iterable[str]) -> tuple[Preset, tuple[str, ...]] | None:
    """The preset that has most of the keys as its own, and which; None: none has any."""
    best: tuple[Preset, tuple[str, ...]] | None = None
    common = {HTTP_URL, *dict(PRESETS[DEFAULT].variables)}
    there = dict.fromkeys(keys)
    for preset in candidates(there):
        own = preset.names - common
        seen = tuple(key for key in there if key in own)
        if seen and (best is None or len(seen) > len(best[1])):
            best = preset, seen
    return best


def names(directory: Path, project: Path) -> Names | None:
    """The names that Prisma's files read instead of the preset's; None: they say nothing."""
    for place in _places(directory, project):
        if (found := _prisma(place, project)) and found.variables:
            return Names(found.variables, found.notes)
    return None


def beside(directory: Path, project: Path, file: Path | None = None) -> Beside:
    """What the same places as in `detect_around` ask for beside a preset's own variables.

    `file` is the `.env` that they are for.
    """
    variables: dict[str, Goes] = {}
    readers: dict[str, str] = {}
    saw: list[str] = []
    notes: list[str] = []
    for place in _heard(directory, project):
        node = node_packages(place)
        if package := next((name for name in _VERCEL if name in node), None):
            variables |= dict(VERCEL)
            readers |= {name: "vercel" for name, _ in VERCEL}
            saw.append(_seen(place, directory, f"package.json: {package}"))
        if package := next((name for name in DRIVERS if name in node), None):
            variables[HTTP_URL] = Goes.HTTP
            saw.append(_seen(place, directory, f"package.json: {package}"))
        if manifest := _wrangler(place):
            variables |= {f"{HYPERDRIVE}{each}": Goes.POOLED for each in _bindings(place)}
            saw.append(_seen(place, directory, f"{manifest}: hyperdrive"))
            if place != (file.parent if file else directory):
                env = shlex.quote(_seen(place, directory, ".env"))
                notes.append(f"wrangler dev reads the .env beside its own file: --file {env}")
    seen = tuple(dict.fromkeys(saw))
    return Beside(tuple(variables.items()), tuple(readers.items()), seen, tuple(notes))


def _heard(directory: Path, project: Path) -> list[Path]:
    """The places that speak: those beside the directory only where it names no client itself."""
    places = _places(directory, project)
    near = [
        each for each in places if each.is_relative_to(directory) or directory.is_relative_to(each)
    ]
    if len(near) == len(places) or not any(detect(each).client for each in near):
        return places
    return near


def _seen(place: Path, directory: Path, name: str) -> str:
    """The name of a file in that place, as it is called from the directory."""
    if place == directory:
        return name
    return f"{Path(os.path.relpath(place, directory)).as_posix()}/{name}"


def prisma_around(directory: Path, project: Path) -> Prisma | None:
    """Prisma in the directory, around it up to the project, or in the project's workspaces."""
    found = (_prisma(place, project) for place in _places(directory, project))
    return next((each for each in found if each is not None), None)


def _places(directory: Path, project: Path) -> list[Path]:
    around = [each for each in (directory, *directory.parents) if each.is_relative_to(project)]
    return list(dict.fromkeys([*(around or [directory]), *workspaces(project)]))


def _prisma(place: Path, project: Path) -> Prisma | None:
    return prisma.look(place, _wanted(node_packages(place)), base=project)


_PRESET_OF = {True: "prisma-7", False: "prisma"}


def _wanted(node: dict[str, str]) -> str | None:
    return next((node[name] for name in ("prisma", "@prisma/client") if name in node), None)


def _redwood(project: Path, node: dict[str, str]) -> str | None:
    for file in ("redwood.toml", "cedar.toml"):
        if is_file(project / file):
            return file
    found = next((name for name in node if name.startswith(("@redwoodjs/", "@cedarjs/"))), None)
    return f"package.json: {found}" if found else None


def _wrangler(place: Path) -> str | None:
    """The wrangler file there that has Hyperdrive bindings."""
    return next((name for name in _WRANGLER if _bindings_in(place / name)), None)


def _bindings(place: Path) -> list[str]:
    return [found for name in _WRANGLER for found in _bindings_in(place / name)]


def _bindings_in(wrangler: Path) -> list[str]:
    """The names of the Hyperdrive bindings in a wrangler file, also of its environments."""
    read = read_toml if wrangler.suffix == ".toml" else read_jsonc
    manifest = read(wrangler)
    tables = [manifest, *table(manifest, "env").values()]
    some = [each.get("hyperdrive") for each in tables if isinstance(each, dict)]
    # A table alone is one that was meant to be a list of one.
    entries: list[Any] = [
        entry for each in some for entry in (each if isinstance(each, list) else [each])
    ]
    found = [each.get("binding") for each in entries if isinstance(each, dict)]
    # Others could not be the end of a variable's name.
    return [
        each for each in found if isinstance(each, str) and re.fullmatch(r"[A-Za-z0-9_]+", each)
    ]


def _client(
    node: dict[str, str], python: dict[str, str], found: Prisma | None
) -> tuple[str | None, tuple[str, ...]]:
    """The client, where the packages leave no doubt; `postgresql://` suits the rest."""
    if found:
        return ("prisma" if found.seven else "prisma-6"), found.saw
    if "sqlalchemy" in python or "sqlmodel" in python:
        drivers = [name for name in ("psycopg", "psycopg2", "asyncpg") if name in python]
        known = {"psycopg": "sqlalchemy", "asyncpg": "sqlalchemy-asyncpg"}
        if len(drivers) == 1 and drivers[0] in known:
            return known[drivers[0]], (python[drivers[0]],)
        return None, ()
    for package in ("asyncpg", "psycopg"):
        if package in python:
            return package, (python[package],)
    for package, client in (("postgres", "postgres.js"), ("pg", "node-postgres")):
        if package in node:
            return client, (f"package.json: {package}",)
    return None, ()
