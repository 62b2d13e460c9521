"""Debian's packages: which version of one a PgBouncer is from, and which version is newer."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from devdb import paths
from devdb.engines.programs import ask

Key = tuple[tuple[tuple[int, ...], int], ...]

_PLACES = (Path("/usr/sbin"), Path("/usr/bin"))
"""Where packages put programs; what is elsewhere dpkg need not be asked about."""


def version_of(program: Path) -> str | None:
    """The version of the package that brought this program, e.g. `1.24.1-1+deb13u2`.

    Or of the source package that it was built from, for one in devdb's cache. None where neither
    is known; there an older devdb, or somebody else, built it.
    """
    cached = paths.cache_home() / "pgbouncer"
    if program.is_relative_to(cached):
        name = program.relative_to(cached).parts[0]
        return name if "-" in name else None
    # /sbin is /usr/sbin by a link, and dpkg knows one of the two names only.
    resolved = program.resolve()
    query = shutil.which("dpkg-query")
    if query is None or resolved.parent not in _PLACES:
        return None
    owner = ask(Path(query), "--search", str(resolved), about=resolved)
    match = re.search(rf"^([^ ,\n]+): {re.escape(str(resolved))}$", owner or "", re.MULTILINE)
    if match is None:
        return None
    return ask(Path(query), "--show", "--showformat=${Version}", match[1], about=resolved)


def order(version: str) -> tuple[int, Key, Key]:
    """A key that sorts versions as dpkg does: `1.24.1` < `1.24.1-1` < `1.24.1-1+deb13u2`.

    Epoch, upstream version and revision, deb-version(7).
    """
    epoch, colon, rest = version.partition(":")
    if not colon or not epoch.isdecimal():
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return int(epoch), _order(upstream), _order(revision or "0")


def _order(part: str) -> Key:
    """Text and numbers in turn, numbers by their value."""
    pairs = re.findall(r"([^0-9]*)([0-9]*)", part)
    return tuple((tuple(map(_weight, [*text, ""])), int(number or 0)) for text, number in pairs)


def _weight(character: str) -> int:
    """A tilde sorts before the end of a text, the end before letters, those before all else."""
    if character in ("~", ""):
        return -1 if character else 0
    return ord(character) + (0 if character.isalpha() else 0x110000)
