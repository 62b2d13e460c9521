"""What is kept between runs: made once, by one devdb, on the disk and whole, or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from devdb import paths
from devdb.engines.native.commands import CommandFailed, reason
from devdb.engines.native.owner import Owner
from devdb.engines.waiting import HEARTBEAT, Beats, beside
from devdb.errors import DevdbError
from devdb.replacing import sync_directory, sync_tree


def make_shared(directory: Path, owner: Owner) -> Path:
    """Make a directory of the cache that the owner can pass; a foreign one keeps its mode.

    Raises DevdbError when it cannot be made, or when one on the way keeps the owner out.
    """
    mode = 0o755 if owner.foreign else 0o700
    try:
        for path in [*reversed(directory.parents), directory]:
            if not path.is_dir():
                path.mkdir(exist_ok=True)
                path.chmod(mode)
    except OSError as error:
        raise DevdbError(
            f"Cannot make {directory}: {error.strerror or error}.",
            paths.way_out(error, directory, variable="DEVDB_CACHE_DIR"),
        ) from error
    if obstacle := owner.obstacle(directory):
        raise DevdbError(
            f"{owner.name}, whom root's servers run as, cannot pass {obstacle}.",
            "Set DEVDB_CACHE_DIR to a directory it can reach, e.g. /var/cache/devdb.",
        )
    return directory


def make(
    final: Path,
    build: Callable[[Path], Beats[None]],
    *,
    is_whole: Callable[[], bool],
    failed: str,
) -> Beats[None]:
    """Have `build` make a directory that becomes `final`, unless another devdb does meanwhile.

    Raises DevdbError, which begins with the words `failed`, when it cannot be made.
    """
    with (yield from _locked(final.with_name(f"{final.name}.lock"))):
        if is_whole():
            return
        _remove_unfinished(final)
        building = _unfinished(final)
        try:
            yield from build(building)
            # What a power cut spoiled would spoil every later start.
            yield from beside(lambda: sync_tree(building))
            if final.exists():
                final.rename(_unfinished(final))
            building.rename(final)
            sync_directory(final.parent)
            _remove_unfinished(final)
        except (OSError, CommandFailed) as error:  # the disk is still as full as it was then
            raise DevdbError(
                f"{failed} {final.parent}: {reason(error)}.", _way_out(error, final.parent)
            ) from error
        finally:
            shutil.rmtree(building, ignore_errors=True)


def _locked(path: Path) -> Beats[AbstractContextManager[object]]:
    """Wait for the lock, which a killed process lets go of; it is held for a `with` block."""
    import filelock

    lock = filelock.FileLock(path, mode=0o600)
    while True:
        try:
            return lock.acquire(timeout=HEARTBEAT)
        except filelock.Timeout:
            yield


def _unfinished(final: Path) -> Path:
    """A path beside `final` to build it at, before it is renamed."""
    return final.with_name(f".{final.name}-{secrets.token_hex(4)}")


def _remove_unfinished(final: Path) -> None:
    """Remove what killed builders of `final` left; only for the holder of its lock."""
    for path in final.parent.glob(f".{final.name}-*"):
        shutil.rmtree(path, ignore_errors=True)


def _way_out(error: OSError | CommandFailed, directory: Path) -> str:
    """What to do where something could not be put into that directory of the cache."""
    if isinstance(error, OSError):
        return paths.way_out(error, directory, variable="DEVDB_CACHE_DIR")
    if "No space left" in str(error):
        return f"Make room: {paths.room(directory)}; or set DEVDB_CACHE_DIR to another disk's."
    return "Name other programs with DEVDB_PG_BIN, or use `--engine docker`."
