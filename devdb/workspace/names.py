"""Which instance a command means."""

from __future__ import annotations

from pathlib import Path

from devdb import config, marker
from devdb.errors import DevdbError, NotFound
from devdb.model import Spec


class Gone(DevdbError):
    """The name belongs to a project directory that is not there any more; it can be adopted."""

    code = "project_gone"

    def __init__(self, name: str, project: Path) -> None:
        super().__init__(
            f"Instance '{name}' belongs to {project}, which is gone.",
            f"Take it over: devdb up -n {name}   or delete it: devdb rm {name}",
        )
        self.name = name
        self.project = project


def resolve(name: str | None, project: Path) -> str:
    """The name of the instance to start: the one given, else the project's, else a new one.

    Raises Gone when the project's own name belongs to a directory that has vanished.
    """
    if name is not None:
        return config.check_name(name)
    if (own := _of_project(project)) is not None:
        return own.name
    slug = config.slug(project.name)
    holder = marker.load(slug)
    if holder is None:
        return slug
    if holder.project is not None and not holder.project.exists():
        raise Gone(slug, holder.project)
    return config.suffixed(slug, project)


def resolve_existing(name: str | None, project: Path) -> Spec:
    """The instance that a command other than `up` speaks of; raises NotFound."""
    found = marker.load(config.check_name(name)) if name is not None else _of_project(project)
    if found is not None:
        return found
    known = [spec.name for spec in marker.every()]
    hint = f"devdb up makes it. There are: {', '.join(known)}." if known else "devdb up makes one."
    if name is not None:
        raise NotFound(f"There is no instance '{name}'.", hint)
    raise NotFound(f"{project} has no instance yet.", hint)


def _of_project(project: Path) -> Spec | None:
    """The instance of that directory; with several (made with -n), the one of the default name."""
    mine = [spec for spec in marker.every() if spec.project == project]
    slug = config.slug(project.name)
    preferred = [spec for spec in mine if spec.name in (slug, config.suffixed(slug, project))]
    return next(iter(preferred or mine), None)
