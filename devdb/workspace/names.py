"""Which instance a command means."""

from __future__ import annotations

from pathlib import Path

from devdb import config, marker
from devdb.errors import DevdbError, NotFound, UsageError
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

    Raises Gone when the project's own name belongs to a directory that has vanished, UsageError
    when the project has several instances and none of its own name.
    """
    if name is not None:
        return config.check_name(name)
    if (own := _of_project(project)) is not None:
        return own.name
    slug = config.slug(project.name)
    try:
        holder = marker.load(slug)
    except marker.Damaged:  # it has no owner that could be read
        return slug
    if holder is None:
        return slug
    if holder.project is not None and not holder.project.exists():
        raise Gone(slug, holder.project)
    return config.suffixed(slug, project)


def resolve_existing(name: str | None, project: Path) -> Spec:
    """The instance that a command other than `up` speaks of; raises NotFound or UsageError."""
    found = marker.load(config.check_name(name)) if name is not None else _of_project(project)
    if found is not None:
        return found
    from devdb.workspace.instances import unmarked  # only where nothing was found

    for lost in unmarked(name or config.slug(project.name)):
        if lost.trouble is not None:
            raise lost.trouble
    known = [spec.name for spec in marker.every()]
    hint = f"devdb up makes it. There are: {', '.join(known)}." if known else "devdb up makes one."
    if name is not None:
        raise NotFound(f"There is no instance '{name}'.", hint)
    raise NotFound(f"{project} has no instance yet.", hint)


def is_own(name: str, project: Path) -> bool:
    """Whether an instance of that project is called so when nobody names it."""
    slug = config.slug(project.name)
    return name == slug or name == config.suffixed(slug, project)


def _of_project(project: Path) -> Spec | None:
    """The instance of its own name, else the only one it has (made with -n); None: it has none.

    Raises UsageError where it has several, and none of its own name.
    """
    mine = [spec for spec in marker.every() if spec.project == project]
    own = [spec for spec in mine if is_own(spec.name, project)]
    if not own and len(mine) > 1:
        slug, names = config.slug(project.name), ", ".join(spec.name for spec in mine)
        raise UsageError(
            f"{project} has several instances ({names}), and none is called '{slug}'.",
            f"Name one: -n {mine[0].name}. A new one of the project's name: devdb up -n {slug}",
        )
    return next(iter(own or mine), None)
