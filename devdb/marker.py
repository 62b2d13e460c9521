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


def load(name: str) -> Spec | None:
    """The Spec of the instance of that name; None when there is none.

    Raises DevdbError when the marker cannot be read or was written by a newer devdb.
    """
    path = _path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise DevdbError(
            f"The marker of instance '{name}' cannot be read: {error}.",
            f"Look at {path}; its owner and mode are probably not yours.",
        ) from error
    try:
        return _from_json(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise DevdbError(
            f"The marker of instance '{name}' is damaged or from a newer devdb: {error}.",
            f"Upgrade devdb, or move {path} away: the data beside it is not touched.",
        ) from error


def every() -> list[Spec]:
    """All instances of this user, by name."""
    home = paths.instances_home()
    names = sorted(p.parent.name for p in home.glob("*/marker.json")) if home.is_dir() else []
    return [spec for name in names if (spec := load(name)) is not None]


def save(spec: Spec) -> None:
    """Write the marker, 0600, whole or not at all; on the disk when this returns.

    Raises DevdbError when the directory cannot be written.
    """
    path = _path(spec.name)
    try:
        make_private_directory(path.parent)
        with in_place_of(path, durable=True) as (file, _):
            file.write(json.dumps(_to_json(spec), indent=1).encode())
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
    del values["reaper"]  # the running devdb's own text, not a fact about the instance
    return {"format": FORMAT, **values}


def _from_json(values: dict[str, Any]) -> Spec:
    if values.pop("format") != FORMAT:
        raise ValueError("unknown format")
    known = {field.name for field in fields(Spec)}
    if unknown := set(values) - known:
        raise ValueError(f"unknown fields {', '.join(sorted(unknown))}")
    values["project"] = paths.from_text(values["project"]) if values["project"] else None
    values["created"] = datetime.fromisoformat(values["created"])
    values["pool_mode"] = PoolMode(values["pool_mode"])
    values["settings"] = tuple(sorted(values["settings"].items()))
    # A marker of an older devdb has none.
    values["pooler_settings"] = tuple(sorted(values.get("pooler_settings", {}).items()))
    return Spec(**values)
