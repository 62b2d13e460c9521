"""What of a `.env` file leads elsewhere after it was written, and the command that mends it."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from devdb import envfile
from devdb.config import FILE
from devdb.model import USER, Endpoint
from devdb.urls import detection, presets, reading
from devdb.urls.goes import Goes
from devdb.urls.serverless import HTTP_URL, http_port
from devdb.workspace.environment import Variables


def left_over(
    chosen: Variables,
    file: Path,
    direct: Endpoint,
    pooled: Endpoint,
    *,
    http: int | None = None,
    name: str | None = None,
) -> list[str]:
    """What still leads elsewhere, a line each, without a secret.

    The keys of the file that name a Postgres and that nobody wrote; and those that were written,
    but that a file beside it assigns too, which the frameworks read above it. `http`: the gateway's
    port. `name`: the instance, where the command has to name it.
    """
    values = envfile.read(file)
    command = f"devdb env -n {name}" if name else "devdb env"
    said = []
    if left := _unwritten(chosen, values, direct, pooled, http):
        them = ("is", "it") if len(left) == 1 else ("are", "them")
        how = options_for(left, file, values)
        if direct.user == USER:
            how = f"{command} {how}"
        elif "--preset" not in how:  # `devdb temp` has no --set
            how = f"{FILE}, [env]"
        said.append(
            f"{file}: {', '.join(left)} {them[0]} not devdb's; to write {them[1]} too: {how}"
        )
    known = envfile.FILES
    for other in known[known.index(file.name) + 1 :] if file.name in known else ():
        above = envfile.read(file.with_name(other))
        if both := [key for key, text in chosen.values.items() if above.get(key, text) != text]:
            said.append(
                f"{other} assigns {', '.join(both)} too, and frameworks read it above {file.name}:"
                f" {command} --file {other}"
            )
    return said


def _unwritten(
    chosen: Variables,
    values: Mapping[str, str],
    direct: Endpoint,
    pooled: Endpoint,
    http: int | None,
) -> dict[str, Goes]:
    """The keys that are of a Postgres, lead elsewhere and were not written; what each should be."""
    full = reading.expanded(values)
    ports = (direct.port, pooled.port)
    here = {
        key
        for lead in reading.leads(values)
        if reading.is_here(lead.endpoint, direct, pooled)
        or (direct.user != USER and lead.endpoint.port in ports)  # the instance's own
        for key in lead.keys
    }
    here |= {key for key, value in full.items() if http and http_port(value) == http}
    foreign = values.get("DB_CONNECTION", "pgsql") not in ("", "pgsql", "postgres", "postgresql")
    left = {
        key: kind
        for key, value in full.items()
        if not (key in chosen.values or key in here or (foreign and key.startswith("DB_")))
        and (kind := reading.meaning(key, value)) is not None
    }
    right = {direct.host, direct.user, direct.password, direct.database, *map(str, ports)}
    if all(kind.is_url or full[key] in right for key, kind in left.items()):
        return {key: kind for key, kind in left.items() if kind.is_url}
    return left


def options_for(keys: Mapping[str, Goes], file: Path, there: Collection[str]) -> str:
    """The options of `devdb env` that write those keys of a file that has the keys `there`.

    The smallest preset that has them all, where they are its own; else each by its name.
    """
    usual = {HTTP_URL, *dict(presets.PRESETS[presets.DEFAULT].variables)}
    fitting = [
        preset
        for preset in detection.candidates(there)
        if keys.keys() <= preset.names
        and (not keys.keys() <= usual or keys.keys() == dict(preset.variables).keys())
    ]
    if fitting:
        words = [f"--preset {min(fitting, key=lambda each: len(each.variables)).name}"]
    else:
        words = [f"--set {key}={kind}" for key, kind in keys.items()]
    if file.name != envfile.FILES[0]:
        words.append(f"--file {shlex.quote(file.name)}")
    return " ".join(words)
