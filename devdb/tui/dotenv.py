"""The key `e`: both URLs into `.env` of the current directory, and what was written in words."""

from __future__ import annotations

from pathlib import Path

from devdb import envfile, urls
from devdb.model import Spec
from devdb.tui import words

KEYS = {"DATABASE_URL": "pooled", "DIRECT_URL": "direct"}


def write(spec: Spec, directory: Path) -> list[str]:
    """Write them; returns what happened, the gist first. Raises DevdbError."""
    values = {"DATABASE_URL": urls.url(spec.pooled), "DIRECT_URL": urls.url(spec.direct)}
    written = envfile.write(directory / ".env", values, project=spec.project)
    path = words.path(written.path)
    gist = "Made" if written.created else "Wrote" if written.changed else "Nothing to change in"
    lines = [f"{gist} {path}", *(_words(change) for change in written.changes)]
    if written.link is not None:
        lines.append(f"{words.path(written.link)} is a symbolic link to it")
    if written.readable_by_others:
        lines.append(f"Others can read it: chmod 600 {path}")
    if envfile.ignored_by_git(written.path) is False:
        lines.append(f"git does not ignore it: echo {written.path.name} >> .gitignore")
    return lines


def _words(change: envfile.Change) -> str:
    was = f" (was {change.old})" if change.old else ""
    return f"{change.key:<12} {KEYS[change.key]:<6} URL, {change.action}{was}"
