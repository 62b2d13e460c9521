"""The key `e`: what `devdb env` would write here, and what was written in words."""

from __future__ import annotations

from pathlib import Path

from devdb import envfile
from devdb.config import Settings
from devdb.model import Spec
from devdb.tui import words
from devdb.workspace import environment


def write(spec: Spec, settings: Settings, project: Path, directory: Path) -> list[str]:
    """Write it; returns what happened, the gist first. Raises DevdbError."""
    chosen = environment.variables(spec.direct, spec.pooled, settings, project)
    news = environment.ensure_shadow(spec, chosen)
    written = environment.write(chosen, directory / ".env", project)
    path = words.path(written.path)
    gist = "Made" if written.created else "Wrote" if written.changed else "Nothing to change in"
    goes = dict(chosen.preset.variables)
    width = max(len(change.key) for change in written.changes)
    lines = [f"{gist} {path}"]
    lines += [f"{each.key:<{width}} {goes[each.key]:<6} {_words(each)}" for each in written.changes]
    lines += [text for text in (chosen.origin, news, *chosen.notes) if text]
    if written.link is not None:
        lines.append(f"{words.path(written.link)} is a symbolic link to it")
    if written.readable_by_others:
        lines.append(f"Others can read it: chmod 600 {path}")
    if envfile.ignored_by_git(written.path) is False:
        lines.append(f"git does not ignore it: echo {written.path.name} >> .gitignore")
    return lines


def _words(change: envfile.Change) -> str:
    was = f" (was {change.old})" if change.old else ""
    return f"URL, {change.action}{was}"
