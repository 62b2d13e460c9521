"""Which instance a command means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from devdb import config, marker, paths, wording
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


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command is given."""

    package: Path
    """The nearest directory upward that is a project by its marks; one of a workspace, maybe."""
    project: Path
    """Whose instance and devdb.toml are meant: the package, or what is around it."""


def place(directory: Path) -> Place:
    """The package and the project that a directory belongs to.

    A package without a devdb.toml and an instance of its own belongs to the nearest directory
    around it that has one of them, up to the root of the repository; where none has, to itself.
    """
    package = config.project_root(directory)
    root = config.repository_root(package)
    if root is None or root == package or config.has_file(package):
        return Place(package, package)
    projects = {spec.project for spec in marker.every()}
    around = (package, *package.parents)
    for each in around[: around.index(root) + 1]:
        if each in projects or config.has_file(each):
            return Place(package, each)
    return Place(package, package)


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
    if holder is None or holder.project == project:  # made by another devdb since it was looked for
        return slug
    if holder.project is not None and not holder.project.exists():
        raise Gone(slug, holder.project)
    return config.suffixed(slug, project)


def own(name: str | None, project: Path) -> Spec | None:
    """The instance of that name, else the project's, by the markers alone; None: it has none, or
    several."""
    try:
        return _marked(name, project)
    except (UsageError, marker.Damaged):
        return None


def resolve_existing(name: str | None, project: Path) -> Spec:
    """The instance that a command other than `up` speaks of; raises NotFound or UsageError."""
    found = _marked(name, project)
    if found is not None:
        return found
    from devdb.workspace.instances import unmarked  # only where nothing was found

    for lost in unmarked(name or config.slug(project.name)):
        if lost.trouble is not None:
            raise lost.trouble
    known = [spec.name for spec in marker.every()]
    there_are = f" There are: {', '.join(known)}." if known else ""
    if who := paths.behind_root():
        there_are += f" Those of {who}: as {who}, without sudo."
    if name is not None:
        meant = wording.did_you_mean(name, known)
        raise NotFound(
            f"There is no instance '{name}'.", f"{meant}devdb up -n {name} makes it.{there_are}"
        )
    raise NotFound(f"{project} has no instance yet.", f"devdb up makes it.{there_are}")


def made_instance(spec: Spec) -> str:
    """That an instance was made by who wanted something else, and how to be rid of it."""
    others = [other.name for other in marker.every() if other.name != spec.name]
    near = wording.nearest(spec.name, others)
    beside = f" beside '{near}'" if near else ""
    rid = f"delete it: devdb rm {spec.name}"
    return f"created the instance '{spec.name}'{beside}, which stays; {rid}"


def elsewhere(where: Place, settings: config.Settings) -> str | None:
    """That another directory's instance is meant than that of the nearest project, in words."""
    if settings.name is None:
        if where.package == where.project:
            return None
        part = where.package.relative_to(where.project)
        own = "an empty devdb.toml there would give it one of its own"
        return f"in {part} the instance of {where.project} is meant; {own}"
    if settings.source("name") != config.FILE:
        return None
    for spec in marker.every():
        if spec.name == settings.name and spec.project not in (None, where.project):
            return f"{config.FILE} names '{spec.name}', the instance of {spec.project}"
    return None


def is_own(name: str, project: Path) -> bool:
    """Whether an instance of that project is called so when nobody names it."""
    slug = config.slug(project.name)
    return name == slug or name == config.suffixed(slug, project)


def _marked(name: str | None, project: Path) -> Spec | None:
    return marker.load(config.check_name(name)) if name is not None else _of_project(project)


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
