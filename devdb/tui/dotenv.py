"""The key `e`: both URLs into `.env` of the current directory, and what was written in words."""

from __future__ import annotations

from pathlib import Path

from devdb import envfile, urls
from devdb.model import Spec

KEYS = {"DATABASE_URL": "pooled", "DIRECT_URL": "direct"}


def write(spec: Spec, directory: Path) -> tuple[str, bool]:
    """Write them; returns what happened, and whether it needs attention. Raises DevdbError."""
    path = directory / ".env"
    values = {"DATABASE_URL": urls.url(spec.pooled), "DIRECT_URL": urls.url(spec.direct)}
    written = envfile.write(path, values, project=spec.project)
    lines = [f"{written.path}" + (" is new" if written.created else "")]
    if not written.changed:
        lines[0] += ": nothing to change"
    for change in written.changes:
        was = f" (was {change.old})" if change.old else ""
        lines.append(f"{change.key}: {KEYS[change.key]}, {change.action.value}{was}")
    exposed = envfile.ignored_by_git(written.path) is False
    if exposed:
        lines.append("git does not ignore this file; add it to .gitignore")
    return "\n".join(lines), exposed
