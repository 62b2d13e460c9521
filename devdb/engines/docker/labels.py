"""The names and labels of what devdb makes in a Docker engine; it finds things by label only."""

from __future__ import annotations

from dataclasses import dataclass

from devdb.engines.docker import home
from devdb.model import Spec

INSTANCE = "devdb.instance"
HOME = "devdb.home"
"""Instance names are unique per user, and one engine may serve several, and several machines."""
PART = "devdb.part"
PROJECT = "devdb.project"
MADE_FROM = "devdb.spec"
"""A hash of what a container was made from; another one means that it is made anew."""
PORT = "devdb.port"
POOL_MODE = "devdb.pool-mode"
CLIENTS = "devdb.clients"
"""How many can come by the pooled URL."""
NOTE = "devdb.note"
MAJOR = "devdb.major"
LAYOUT = "devdb.layout"
"""Where in the volume the data directory is: `.`, or `18/docker`."""
PATH = "devdb.home-path"
"""On data made on this machine: the digits of its data home's path, should that be lost."""
KEY = "devdb.key"
"""A fingerprint of the instance's password: data is of no use to an instance with another one."""

TEMPLATE = "devdb.template"
"""On a volume with prepared data, and on the container that makes it: what it is for."""
IMAGE = "devdb.image"
"""The id of the image that a template's data is for."""
KEPT_AT = "devdb.kept-at"
"""Where a template's password is kept."""

POSTGRES = "postgres"
PGBOUNCER = "pgbouncer"
REAPER = "reaper"
PARTS = (POSTGRES, PGBOUNCER, REAPER)
DATA = "data"
NETWORK = "network"
UNFINISHED = "unfinished"
"""An empty volume that is there from before the data until the first READY.

Data beside it was never ready and may be discarded. It says "unfinished" and not "finished", so
that when somebody prunes it the data is kept.
"""
QUESTION = "question"
"""A container that only answers which version is in its image."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells an instance from all others in an engine."""

    name: str
    home: str
    """Whose it is, by `home`; for ever, as its objects cannot be named or labelled anew."""

    def object_name(self, part: str) -> str:
        """The name of its container, volume or network."""
        return f"devdb-{self.home}-{self.name}-{part}"

    def labels(self, part: str) -> dict[str, str]:
        """The labels that everything of it has."""
        return {INSTANCE: self.name, HOME: self.home, PART: part}

    def of_spec(self, spec: Spec, part: str) -> dict[str, str]:
        """The labels of a thing that is made from a Spec."""
        project = {PROJECT: str(spec.project)} if spec.project else {}
        return self.labels(part) | project

    def of_data(
        self, spec: Spec, *, major: int, layout: str, is_here: bool = False
    ) -> dict[str, str]:
        """The labels of a new data volume; `is_here`: the data home's path says whose it was."""
        facts = {MAJOR: str(major), LAYOUT: layout, KEY: key(spec)}
        if is_here:
            facts[PATH] = home.of_path()
        return self.of_spec(spec, DATA) | facts


def identity_of_new(name: str) -> Identity:
    """What a new instance of that name is known by; raises DevdbError as `home.ensure` does."""
    return Identity(name, home.ensure())


def key(spec: Spec) -> str:
    """The fingerprint for the label KEY; the password cannot be had from it."""
    return spec.derive("docker volume")[:12]


def query(instance: str | None = None) -> dict[str, str]:
    """The filter that finds everybody's things, or what of them belongs to instances of a name.

    One label alone, as Podman takes several of a volume for alternatives.
    """
    return {"label": INSTANCE if instance is None else f"{INSTANCE}={instance}"}
