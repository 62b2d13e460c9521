"""Which preset and which client a project's own files ask for."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEMAS = ("prisma/schema.prisma", "schema.prisma", "api/db/schema.prisma", "prisma/schema")
_CONFIGS = tuple(
    f"{stem}.{ending}"
    for stem in ("prisma.config", ".config/prisma")
    for ending in ("ts", "mts", "cts", "js", "mjs", "cjs")
)


@dataclass(frozen=True, slots=True)
class Detected:
    """A preset, the client where the preset leaves it open, and what both were concluded from."""

    preset: str
    client: str | None
    saw: tuple[str, ...]
    """E.g. `package.json: prisma ^6.5.0`; empty when nothing was recognised."""


def detect(project: Path) -> Detected:
    """Look at the project's files; one that cannot be read counts as not there."""
    node, python = _node_packages(project), _python_packages(project)
    prisma = _prisma(project, node)
    if (project / "supabase" / "config.toml").is_file():
        client, saw = _client(node, python, prisma)
        return Detected("supabase", client, ("supabase/config.toml", *saw))
    if seen := _redwood(project, node):
        return Detected("redwood", None, (seen,))
    if prisma:
        return Detected(prisma[0], None, prisma[1])
    if (project / "manage.py").is_file():
        return Detected("django", None, ("manage.py",))
    if "django" in python:
        return Detected("django", None, (python["django"],))
    if re.search(r"^\s*gem\s*\(?\s*[\"']rails[\"']", _text(project / "Gemfile"), re.MULTILINE):
        return Detected("rails", None, ("Gemfile: rails",))
    client, saw = _client(node, python, prisma)
    if "@neondatabase/serverless" in node:
        return Detected("neon", client, ("package.json: @neondatabase/serverless", *saw))
    return Detected("plain", client, saw)


def _redwood(project: Path, node: dict[str, str]) -> str | None:
    if (project / "redwood.toml").is_file():
        return "redwood.toml"
    found = next((name for name in node if name.startswith("@redwoodjs/")), None)
    return f"package.json: {found}" if found else None


def _prisma(project: Path, node: dict[str, str]) -> tuple[str, tuple[str, ...]] | None:
    """The preset by Prisma's major: as installed, as wanted, as the files look."""
    config = next((name for name in _CONFIGS if (project / name).is_file()), None)
    schema = next((name for name in _SCHEMAS if (project / name).exists()), None)
    wanted = next((node[name] for name in ("prisma", "@prisma/client") if name in node), None)
    if not config and not schema and wanted is None:
        return None
    installed = _json(project / "node_modules" / "prisma" / "package.json").get("version")
    version = str(installed or wanted or "")
    major = re.match(r"[\^~>=v\s]*(\d+)", version)
    saw = [name for name in (config, schema) if name]
    saw += [f"package.json: prisma {version}"] if version else []
    seven = int(major[1]) >= 7 if major else config is not None
    return ("prisma-7" if seven else "prisma"), tuple(saw)


def _client(
    node: dict[str, str], python: dict[str, str], prisma: tuple[str, tuple[str, ...]] | None
) -> tuple[str | None, tuple[str, ...]]:
    """The client, where the packages leave no doubt; `postgresql://` suits the rest."""
    if prisma:
        return {"prisma-7": "prisma", "prisma": "prisma-6"}[prisma[0]], prisma[1]
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


def _node_packages(project: Path) -> dict[str, str]:
    """The packages that package.json wants, and in which version."""
    manifest = _json(project / "package.json")
    found: dict[str, str] = {}
    for section in ("devDependencies", "dependencies"):
        found |= {name: str(version) for name, version in _table(manifest, section).items()}
    return found


def _python_packages(project: Path) -> dict[str, str]:
    """The packages that the project requires, and where it says so."""
    found: dict[str, str] = {}
    for file, requirements in (
        ("requirements.txt", _text(project / "requirements.txt").splitlines()),
        ("pyproject.toml", _requirements(_toml(project / "pyproject.toml"))),
    ):
        for requirement in requirements:
            if match := re.match(r"\s*([A-Za-z0-9][\w.-]*)", requirement):
                name = re.sub(r"[-_.]+", "-", match[1]).lower()
                found[name.removesuffix("-binary")] = f"{file}: {match[1]}"
    return found


def _requirements(manifest: dict[str, Any]) -> Iterator[str]:
    """Everything that a pyproject.toml requires, in its standard tables and Poetry's."""
    project = _table(manifest, "project")
    yield from _strings(project.get("dependencies"))
    for groups in (_table(project, "optional-dependencies"), _table(manifest, "dependency-groups")):
        for entries in groups.values():
            yield from _strings(entries)
    poetry = _table(manifest, "tool", "poetry")
    yield from _table(poetry, "dependencies")
    for group in _table(poetry, "group").values():
        yield from _table({"group": group}, "group", "dependencies")


def _table(manifest: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The table at the end of the keys; an empty one where something else stands."""
    found: Any = manifest
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, list):
        yield from (entry for entry in value if isinstance(entry, str))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(_text(path) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError:
        return {}
