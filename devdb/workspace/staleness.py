"""Which `.env` files of a project lead where its instance is not any more."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from devdb import config, envfile, marker, sessions, wire
from devdb.errors import DevdbError
from devdb.model import HOST, USER, Endpoint, Finding, Level, Spec
from devdb.urls import reading
from devdb.urls.goes import Goes
from devdb.urls.manifests import workspaces


def stale(spec: Spec, directory: Path | None = None, *, running: bool) -> list[Finding]:
    """What the `.env` files of the instance's project say of devdb that is not true.

    A finding for each file, without a secret, and with the command that mends it as it is to be
    given in `directory`. Looked at are the project's directory, those of its workspaces, and
    `directory` where that is in the project. Only what leads to this machine is judged: as devdb's
    own user, or to one of the instance's ports; there a role that is gone is found only when the
    instance is `running`. Raises nothing.
    """
    project = spec.project
    if project is None or not project.is_dir():
        return []
    others = [each for each in marker.every() if each.name != spec.name]
    places = [project, *(each for each in workspaces(project) if not _has_its_own(each, others))]
    if directory is not None and directory.is_relative_to(project):
        places.append(directory)
    files = {
        place / name: values
        for place in dict.fromkeys(places)
        for name, values in envfile.present(place).items()
    }
    leads = {
        file: [lead for lead in reading.leads(values) if _is_devdbs(lead.endpoint, spec)]
        for file, values in files.items()
    }
    found = [lead.endpoint for some in leads.values() for lead in some]
    if not found:  # mostly: then this has cost nothing
        return []
    roles = {endpoint.user for endpoint in found} - {USER}
    gone = _gone(spec, roles) if roles and running else set()
    findings = []
    known: set[str] = set()
    for file, some in leads.items():
        wrong: dict[str, list[str]] = {}
        for lead in some:
            if (reason := _reason(lead.endpoint, spec, others, gone)) is not None:
                wrong.setdefault(reason, []).extend(lead.keys)
        if wrong:
            known = known or _known(project)
            words = (
                f"{', '.join(keys)} {'leads' if len(keys) == 1 else 'lead'} to {reason}"
                for reason, keys in wrong.items()
            )
            keys = [key for some_keys in wrong.values() for key in some_keys]
            findings.append(
                Finding(
                    level=Level.WARNING,
                    subject=str(file),
                    message=", and ".join(words),
                    fix=_command(spec, file, _kinds(keys, files[file]), known, directory),
                )
            )
    return findings


def _has_its_own(package: Path, others: Iterable[Spec]) -> bool:
    return config.has_file(package) or any(each.project == package for each in others)


def _is_devdbs(found: Endpoint, spec: Spec) -> bool:
    is_local = found.host in reading.LOCAL
    return is_local and (found.user == USER or found.port in (spec.port, spec.pool_port))


def _reason(found: Endpoint, spec: Spec, others: Iterable[Spec], gone: set[str]) -> str | None:
    """Where it leads instead; None: it is right, or nothing that devdb can judge."""
    if found.user != USER:
        lost = f"the role '{found.user}', which is expired or not in '{spec.name}'"
        return lost if found.user in gone else None
    if reading.is_here(found, spec.direct, spec.pooled):
        return None
    for other in others:
        if reading.is_here(found, other.direct, other.pooled):
            same = other.project == spec.project
            return None if same else f"another instance, '{other.name}'"
    if found.port in (spec.port, spec.pool_port):
        return f"'{spec.name}' with a password that is not its any more"
    return f"port {found.port}, where '{spec.name}' is not"


def _gone(spec: Spec, roles: Iterable[str]) -> set[str]:
    """Those of the roles that Postgres does not let in: dropped, or past their time."""
    wanted = list(roles)
    with suppress(*wire.FAILURES, DevdbError):
        with sessions.direct(spec.direct, timeout=1) as session:
            rows = session.query(
                "SELECT rolname FROM pg_roles WHERE rolname = ANY ({}::text[])"
                " AND coalesce(rolvaliduntil > now(), true)",
                wanted,
            )
        return set(wanted) - {name for (name,) in rows}
    return set()


def _known(project: Path) -> set[str]:
    """The variables that a plain `devdb env` writes in that project."""
    from devdb.urls import presets
    from devdb.workspace import environment

    with suppress(DevdbError):
        settings = config.load(project, {}, os.environ)
        nowhere = Endpoint(host=HOST, port=1, user=USER, password="", database=USER)
        return set(environment.variables(nowhere, nowhere, settings, project).values)
    return {name for name, _ in presets.PRESETS[presets.DEFAULT].variables}


def _kinds(keys: Iterable[str], values: dict[str, str]) -> dict[str, Goes]:
    full = reading.expanded(values)
    return {key: reading.meaning(key, full[key]) or Goes.POOLED for key in keys}


def _command(
    spec: Spec, file: Path, kinds: dict[str, Goes], known: set[str], directory: Path | None
) -> str:
    """`devdb env`, with what it needs to write those keys of that file from where one is."""
    from devdb.workspace.unwritten import options_for  # 12 ms that mostly nobody needs

    words = ["devdb env"]
    project = spec.project or file.parent
    if config.slug(project.name) != spec.name:
        words.append(f"-n {spec.name}")
    if not kinds.keys() <= known:
        words.append(options_for(kinds, file, envfile.read(file)))
    elif file.name != envfile.FILES[0]:
        words.append(f"--file {shlex.quote(file.name)}")
    command = " ".join(words)
    is_here = directory is not None and directory == file.parent
    return command if is_here else f"cd {shlex.quote(str(file.parent))} && {command}"
