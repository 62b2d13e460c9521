"""What the manifests of a project require: package.json, pyproject.toml and the like.

A file that cannot be read, or makes no sense, counts as not there.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from devdb.decoding import decoded

_MOST = 50
"""Packages of a monorepo that are looked at."""
_MANIFESTS = (
    *("package.json", "pyproject.toml", "requirements.txt", "manage.py", "Gemfile"),
    *("composer.json", "wrangler.json", "wrangler.jsonc", "wrangler.toml"),
)

_STRING = r'(?P<string>"(?:[^"\\]|\\.)*")'
_COMMENT = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?\*/", re.DOTALL)
_LAST_COMMA = re.compile(rf"{_STRING}|,(?=\s*[}}\]])", re.DOTALL)


def node_packages(project: Path) -> dict[str, str]:
    """The packages that package.json wants, and in which version."""
    manifest = read_json(project / "package.json")
    found: dict[str, str] = {}
    for section in ("devDependencies", "dependencies"):
        found |= {name: str(version) for name, version in table(manifest, section).items()}
    return found


def python_packages(project: Path) -> dict[str, str]:
    """The packages that the project requires, and where it says so."""
    found: dict[str, str] = {}
    for file, requirements in (
        ("requirements.txt", read_text(project / "requirements.txt").splitlines()),
        ("pyproject.toml", _requirements(read_toml(project / "pyproject.toml"))),
    ):
        for requirement in requirements:
            if match := re.match(r"\s*([A-Za-z0-9][\w.-]*)", requirement):
                name = re.sub(r"[-_.]+", "-", match[1]).lower()
                found[name.removesuffix("-binary")] = f"{file}: {match[1]}"
    return found


def workspaces(project: Path) -> list[Path]:
    """The packages of a monorepo: those that its manifests name, and those right below it."""
    wanted = read_json(project / "package.json").get("workspaces")
    patterns = list(_strings(wanted.get("packages") if isinstance(wanted, dict) else wanted))
    patterns += _of_pnpm(read_text(project / "pnpm-workspace.yaml"))
    tools = table(read_toml(project / "pyproject.toml"), "tool", "uv", "workspace")
    patterns += _strings(tools.get("members"))
    found = [each for pattern in patterns for each in _matching(project, pattern)]
    found += [
        each
        for each in _matching(project, "*")
        if not each.name.startswith(".") and any(is_file(each / name) for name in _MANIFESTS)
    ]
    return list(dict.fromkeys(found))[:_MOST]


def _of_pnpm(text: str) -> list[str]:
    """The list `packages` of a pnpm-workspace.yaml, in either of YAML's two forms."""
    block = re.search(r"^packages:(.*?)(?=^[^\s#-]|\Z)", text, re.MULTILINE | re.DOTALL)
    plain = re.sub(r"(?:^|\s)#.*", "", block[1] if block else "", flags=re.MULTILINE)
    return re.findall(r"[^\s,\[\]\"'-][^\s,\[\]\"']*", plain)


def _matching(project: Path, pattern: str) -> list[Path]:
    if pattern.startswith(("!", "/")) or ".." in pattern:
        return []
    try:
        found = sorted(islice(project.glob(pattern.rstrip("/")), 10 * _MOST))
    except (OSError, ValueError, NotImplementedError):
        return []
    return [
        each
        for each in found
        if each.is_dir() and "node_modules" not in each.parts and os.access(each, os.R_OK | os.X_OK)
    ]


def _requirements(manifest: dict[str, Any]) -> Iterator[str]:
    """Everything that a pyproject.toml requires, in its standard tables and Poetry's."""
    project = table(manifest, "project")
    yield from _strings(project.get("dependencies"))
    for groups in (table(project, "optional-dependencies"), table(manifest, "dependency-groups")):
        for entries in groups.values():
            yield from _strings(entries)
    poetry = table(manifest, "tool", "poetry")
    yield from table(poetry, "dependencies")
    for group in table(poetry, "group").values():
        yield from table({"group": group}, "group", "dependencies")


def table(manifest: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The table at the end of the keys; an empty one where something else stands."""
    found: Any = manifest
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, list):
        yield from (entry for entry in value if isinstance(entry, str))


def is_file(path: Path) -> bool:
    """Whether it is one that could be read, as far as its directories tell."""
    try:
        return path.is_file()
    except OSError:  # a directory above it that nobody may enter
        return False


def read_text(path: Path) -> str:
    """The file's text; empty where there is none."""
    try:
        return decoded(path.read_bytes(), errors="replace")
    except OSError:
        return ""


def read_json(path: Path) -> dict[str, Any]:
    """The file's object; empty where it has none."""
    try:
        found = json.loads(read_text(path) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read_jsonc(path: Path) -> dict[str, Any]:
    """As `read_json`, of a file that may have comments, and commas behind the last value."""
    bare = _COMMENT.sub(lambda found: found["string"] or " ", read_text(path))
    whole = _LAST_COMMA.sub(lambda found: found["string"] or "", bare)
    try:
        found = json.loads(whole or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def read_toml(path: Path) -> dict[str, Any]:
    """The file's table; empty where it has none."""
    if not (text := read_text(path)):
        return {}
    import tomllib  # 3 ms that only such a file needs

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}
