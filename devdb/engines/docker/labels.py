"""The names and labels of what devdb makes in a Docker engine; it finds things by label only."""

from __future__ import annotations

import hashlib

from devdb import paths
from devdb.model import Spec

INSTANCE = "devdb.instance"
HOME = "devdb.home"
"""Instance names are unique per user, and one engine may serve several: a hash of the data home."""
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


def home() -> str:
    """Eight hex digits that tell this user's instances from another's."""
    return hashlib.sha256(str(paths.data_home()).encode()).hexdigest()[:8]


def object_name(instance: str, part: str) -> str:
    """The name of the instance's container, volume or network."""
    return f"devdb-{home()}-{instance}-{part}"


def common(instance: str, part: str) -> dict[str, str]:
    """The labels that everything of an instance has."""
    return {INSTANCE: instance, HOME: home(), PART: part}


def of_spec(spec: Spec, part: str) -> dict[str, str]:
    """The labels of a thing that is made from a Spec."""
    project = {PROJECT: str(spec.project)} if spec.project else {}
    return common(spec.name, part) | project


def of_data(spec: Spec, *, major: int, layout: str) -> dict[str, str]:
    """The labels of a new data volume."""
    facts = {MAJOR: str(major), LAYOUT: layout, KEY: key(spec)}
    return of_spec(spec, DATA) | facts


def key(spec: Spec) -> str:
    """The fingerprint for the label KEY; the password cannot be had from it."""
    return spec.derive("docker volume")[:12]


def wanted(instance: str | None = None) -> dict[str, str]:
    """The labels of all that this user has, or of what of it belongs to one instance."""
    return {HOME: home()} | ({INSTANCE: instance} if instance is not None else {})


def query(instance: str | None = None) -> dict[str, list[str]]:
    """The filter that finds what has all of the wanted labels; Podman's finds more."""
    return {"label": [f"{label}={value}" for label, value in wanted(instance).items()]}
