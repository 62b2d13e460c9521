"""The marker: an instance's Spec, saved; the one file devdb keeps for each instance.

It is what a stopped instance reserves its ports with, and what makes `devdb url` fast.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from devdb import paths
from devdb.errors import DevdbError, TimedOut
from devdb.model import PoolMode, Spec
from devdb.replacing import in_place_of, sync_directory

FORMAT = 1
_HOST = "docker_host"
"""The key of `Spec.host`: markers have it from when no other engine had a place of its own."""


_NEWER = ("http_port", "has_tls", "scram_rounds", "in_memory")
"""Fields that markers did not have from the beginning."""


class Damaged(DevdbError):
    """A marker that a power cut, or somebody, left without what has to be in it."""

    code = "marker_damaged"


def load(name: str) -> Spec | None:
    """The Spec of the instance of that name; None when there is none.

    Raises DevdbError when the marker cannot be read or was written by a newer devdb.
    """
    return read(_path(name))


def read(path: Path) -> Spec | None:
    """The Spec in that file, whosever data home it is in; as `load`."""
    name = path.parent.name
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DevdbError(
            f"The marker of instance '{name}' cannot be read: {error}.",
            f"Look at {path}; its owner and mode are probably not yours.",
        ) from error
    return parse(text, name=name, place=str(path))


def text(spec: Spec) -> str:
    """What a marker has in it: JSON."""
    return json.dumps(_to_json(spec), indent=1)


def parse(text: str, *, name: str, place: str) -> Spec:
    """The Spec in such a text, which is that of an instance and was found in that place.

    Raises DevdbError where it is damaged or was written by a newer devdb.
    """
    try:
        values = json.loads(text)
        if newer := _newer(values):
            raise DevdbError(
                f"The marker of instance '{name}' is from a newer devdb: {newer}.",
                f"Upgrade devdb, or move {place} away: the data beside it is not touched.",
            )
        return _from_json(values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(
            f"The marker of instance '{name}' is damaged: {place} ({error!r}).",
            f"Take its data over: devdb up -n {name} --adopt   or delete it: devdb rm {name}",
        ) from error


def every() -> list[Spec]:
    """All instances of this user whose markers can be read, by name."""
    return [one for _, one in _all() if isinstance(one, Spec)]


def unreadable() -> dict[str, DevdbError]:
    """The names of the others, and what is wrong with their markers."""
    return {name: one for name, one in _all() if isinstance(one, DevdbError)}


def _all() -> Iterator[tuple[str, Spec | DevdbError]]:
    home = paths.instances_home()
    for name in sorted(p.parent.name for p in home.glob("*/marker.json")) if home.is_dir() else ():
        try:
            spec = load(name)
        except DevdbError as error:
            yield name, error
        else:
            if spec is not None:
                yield name, spec


def save(spec: Spec) -> None:
    """Write the marker, 0600, whole or not at all; on the disk when this returns.

    Raises DevdbError when the directory cannot be written.
    """
    path = _path(spec.name)
    try:
        make_private_directory(path.parent)
        with in_place_of(path, durable=True) as (file, _):
            file.write(text(spec).encode())
    except OSError as error:
        raise DevdbError(
            f"Cannot write {path}: {error.strerror or error}.", paths.way_out(error, path)
        ) from error


def delete(name: str) -> None:
    """Forget the instance; no error when there is none."""
    path = _path(name)
    for leftover in path.parent.glob(f".{path.name}-*"):
        leftover.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    try:
        path.parent.rmdir()
    except OSError:
        return  # an engine keeps its data beside the marker and removes it itself


def make_private_directory(path: Path) -> None:
    """Make the directory and its missing parents, so that a power cut does not take them back.

    Ours are 0711 for root, whose servers run as another user and have to pass through,
    0700 otherwise; a directory that was there keeps its mode.
    """
    mode = 0o711 if hasattr(os, "geteuid") and os.geteuid() == 0 else 0o700
    for parent in [*reversed(path.parents), path]:
        if not parent.is_dir():
            parent.mkdir(mode=mode, exist_ok=True)
            parent.chmod(mode)
            with suppress(OSError):  # of one that may be written to but not read
                sync_directory(parent.parent)


@contextmanager
def locked(name: str, *, timeout: float) -> Iterator[None]:
    """Hold the instance's lock; another devdb that wants to change it waits.

    `timeout` is in seconds; raises TimedOut past it. A killed process lets go of it.
    """
    import filelock

    path = paths.lock_path(name)
    try:
        make_private_directory(path.parent)
        lock = filelock.FileLock(path, mode=0o600)
        lock.acquire(timeout=timeout, poll_interval=0.05)
    except filelock.Timeout:
        raise TimedOut(
            f"Another devdb has been busy with '{name}' for {timeout:g} s.",
            "Wait for it, or end it, and try again.",
        ) from None
    except OSError as error:
        raise DevdbError(
            f"Cannot write {path}: {error.strerror or error}.", paths.way_out(error, path)
        ) from error
    try:
        yield
    finally:
        lock.release()


def _path(name: str) -> Path:
    return paths.instance_dir(name) / "marker.json"


def _to_json(spec: Spec) -> dict[str, Any]:
    values = asdict(spec)
    values["project"] = paths.as_text(spec.project) if spec.project else None
    values["created"] = spec.created.isoformat()
    values["settings"] = dict(spec.settings)
    values["pooler_settings"] = dict(spec.pooler_settings)
    values[_HOST] = values.pop("host")
    del values["reaper"]  # the running devdb's own text, not a fact about the instance
    for field in fields(Spec):  # an older devdb can go on with an instance that has none of these
        if field.name in _NEWER and values[field.name] == field.default:
            del values[field.name]
    return {"format": FORMAT, **values}


def _newer(values: dict[str, Any]) -> str | None:
    """What in it this devdb does not know."""
    if values.get("format", FORMAT) != FORMAT:
        return f"format {values['format']}"
    known = {field.name for field in fields(Spec)} - {"host"} | {_HOST, "format"}
    unknown = values.keys() - known
    return f"unknown fields {', '.join(sorted(unknown))}" if unknown else None


def _from_json(values: dict[str, Any]) -> Spec:
    del values["format"]
    values["project"] = paths.from_text(values["project"]) if values["project"] else None
    values["created"] = datetime.fromisoformat(values["created"])
    values["pool_mode"] = PoolMode(values["pool_mode"])
    values["host"] = values.pop(_HOST, None)
    values["settings"] = tuple(sorted(values["settings"].items()))
    # A marker of an older devdb has none of these.
    values["pooler_settings"] = tuple(sorted(values.get("pooler_settings", {}).items()))
    values.setdefault("has_data", values["major"] is not None)
    return Spec(**values)
