"""The key `e`: what `devdb env` would write here, and what was written in words."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from devdb import envfile
from devdb.config import Settings
from devdb.model import Spec
from devdb.tui import words
from devdb.urls.presets import Goes
from devdb.wording import env_change
from devdb.workspace import environment
from devdb.workspace.gateway import port_of
from devdb.workspace.unwritten import left_over


def write(spec: Spec, settings: Settings, project: Path, directory: Path) -> list[str]:
    """Write it; returns what happened, the gist first. Raises DevdbError."""
    file = directory / ".env"
    chosen = environment.variables(
        spec.direct,
        spec.pooled,
        settings,
        project,
        gated=partial(port_of, spec, settings),
        directory=directory,
        file=file,
    )
    made = environment.ensure_databases(spec, chosen)
    news = [*made, *environment.gateway_news(spec, chosen)]
    written = environment.write(chosen, file, project)
    path = words.path(written.path)
    gist = "Made" if written.created else "Wrote" if written.changed else "Nothing to change in"
    goes = dict(chosen.preset.variables)
    width = max((len(change.key) for change in written.changes), default=0)
    lines = [f"{gist} {path}"]
    lines += [
        f"{each.key:<{width}} {_became(each, goes.get(each.key))}" for each in written.changes
    ]
    lines += [text for text in (chosen.origin, *news, *chosen.notes) if text]
    if written.link is not None:
        lines.append(f"{words.path(written.link)} is a symbolic link to it")
    lines += left_over(chosen, written.path, spec.direct, spec.pooled, http=spec.http_port)
    return lines + environment.advice(written)


def _became(change: envfile.Change, goes: Goes | None) -> str:
    what = f"{goes:<6} URL, " if goes is not None and goes.is_url else f"{goes}, " if goes else ""
    return what + env_change(change.action, old=change.old, places=change.places)
