"""Whether the `.env` files of a project hold the URLs of its instance, or lead where it is not."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from devdb import config, envfile, marker, sessions, wire
from devdb.errors import DevdbError
from devdb.model import HOST, LOCAL, USER, Endpoint, Finding, Level, Spec
from devdb.urls import reading, serverless
from devdb.urls.goes import Goes
from devdb.urls.manifests import workspaces


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the `.env` files of an instance's project say of it."""

    spec: Spec
    directory: Path | None
    """Where one is, if that is in the project: files are named as seen from there."""
    right: tuple[Path, ...] = ()
    """The files with a URL of this instance."""
    others: tuple[Path, ...] = ()
    """The files with that of another one of the same project, which is right too."""
    stale: tuple[Finding, ...] = ()
    """For each file that leads elsewhere: which keys do, without a secret; and the command that
    mends it, as it is to be given in `directory`."""
    written: tuple[Finding, ...] = ()
    """Those of them that `devdb env` in `directory` mends without further words."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """Of each stale file what it says; where none is, the one on all of them."""
        if self.stale:
            return tuple(f"{self._shown(each.subject)}: {each.message}" for each in self.stale)
        for files, whose in ((self.right, "this instance's URLs"), (self.others, _OTHER)):
            if files:
                names = " and ".join(self._shown(file) for file in files)
                return (f"{names} {'holds' if len(files) == 1 else 'hold'} {whose}",)
        project = self.spec.project
        if project is None or not project.is_dir():
            return (f"no .env: it {'has no project' if project is None else 'lost its project'}",)
        where = "here" if self.directory is not None else f"of {project}"
        return (f"no .env {where} has its URLs",)

    @property
    def sentence(self) -> str:
        """All of it; the same wherever devdb speaks of it."""
        return "; ".join(self.sentences)

    def _shown(self, file: Path | str) -> str:
        return os.path.relpath(file, self.directory) if self.directory else str(file)


_OTHER = "the URLs of another instance of this project"


def held(
    spec: Spec,
    directory: Path | None = None,
    *,
    running: bool,
    settings: config.Settings | None = None,
) -> Held:
    """Look at them: in the project's directory, in those of its workspaces, and in `directory`
    where that is in the project.

    Only what leads to this machine is judged: as devdb's own user, or to one of the instance's
    ports; there a role that is gone is found only when the instance is `running`. `settings`: those
    of a `devdb env` in the project, where they are known. Raises nothing.
    """
    project = spec.project
    if project is None or not project.is_dir():
        return Held(spec=spec, directory=None)
    if directory is not None and not directory.is_relative_to(project):
        directory = None
    others = [each for each in marker.every() if each.name != spec.name]
    files = {
        place / name: values
        for place in places(spec, others, directory)
        for name, values in envfile.present(place).items()
    }
    leads = {
        file: [lead for lead in reading.leads(values) if _is_devdbs(lead.endpoint, spec)]
        for file, values in files.items()
    }
    gates = _gates(files, project, settings)
    found = [lead.endpoint for some in leads.values() for lead in some]
    if not found and not any(gates.values()):  # mostly: then this has cost nothing
        return Held(spec=spec, directory=directory)
    roles = {endpoint.user for endpoint in found} - {USER}
    gone = _gone(spec, roles) if roles and running else set()
    right: list[Path] = []
    elsewhere: list[Path] = []
    findings: list[Finding] = []
    written: list[Finding] = []
    known: set[str] = set()
    for file, some in leads.items():
        wrong: dict[str, list[str]] = {}
        for lead in some:
            if (reason := _reason(lead.endpoint, spec, others, gone)) is not None:
                wrong.setdefault(reason, []).extend(lead.keys)
        for key, port in gates[file].items():
            if (reason := _reason_of_gate(port, spec, others)) is not None:
                wrong.setdefault(reason, []).append(key)
        if wrong:
            known = known or _known(spec, project, settings)
            words = (
                f"{', '.join(keys)} {'leads' if len(keys) == 1 else 'lead'} to {reason}"
                for reason, keys in wrong.items()
            )
            keys = [key for keys in wrong.values() for key in keys]
            kinds = _kinds(keys, files[file]) | {
                key: Goes.HTTP for key in keys if key in gates[file]
            }
            finding = Finding(
                level=Level.WARNING,
                subject=str(file),
                message=", and ".join(words),
                fix=_command(spec, file, kinds, known, directory),
            )
            findings.append(finding)
            is_plain = directory is not None and file == directory / envfile.FILES[0]
            if is_plain and kinds.keys() <= known:
                written.append(finding)
        elif some or gates[file]:
            is_here = spec.http_port in gates[file].values() or any(
                _is_of(lead.endpoint, spec) for lead in some
            )
            (right if is_here else elsewhere).append(file)
    return Held(
        spec=spec,
        directory=directory,
        right=tuple(right),
        others=tuple(elsewhere),
        stale=tuple(findings),
        written=tuple(written),
    )


def places(spec: Spec, others: Iterable[Spec], directory: Path | None) -> list[Path]:
    """The directories whose `.env` files are the instance's business; `others` are those that have
    theirs, `directory` is in the project."""
    project = spec.project
    if project is None:
        return []
    found = [project, *(each for each in workspaces(project) if not _has_its_own(each, others))]
    return list(dict.fromkeys([*found, *([directory] if directory else [])]))


def _has_its_own(package: Path, others: Iterable[Spec]) -> bool:
    return config.has_file(package) or any(each.project == package for each in others)


def _is_devdbs(found: Endpoint, spec: Spec) -> bool:
    is_local = found.host in LOCAL
    return is_local and (found.user == USER or found.port in (spec.port, spec.pool_port))


def _is_of(found: Endpoint, spec: Spec) -> bool:
    """Whether it is in this instance: as its superuser, or as the role of a database in it."""
    return found.port in (spec.port, spec.pool_port)


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


def _gates(
    files: Mapping[Path, Mapping[str, str]], project: Path, settings: config.Settings | None
) -> dict[Path, dict[str, int]]:
    """Of each file the variables that are to lead to the gateway, and the ports they lead to."""
    found = {
        file: {key: port for key, text in values.items() if (port := serverless.http_port(text))}
        for file, values in ((file, reading.expanded(text)) for file, text in files.items())
    }
    own = {serverless.HTTP_URL}
    if any(some.keys() - own for some in found.values()):  # most are the app's own address
        with suppress(DevdbError):
            settings = settings or config.load(project, {}, os.environ)
            own |= {name for name, kind in settings.env if kind == Goes.HTTP}
    return {
        file: {key: port for key, port in some.items() if key in own}
        for file, some in found.items()
    }


def _reason_of_gate(port: int, spec: Spec, others: Iterable[Spec]) -> str | None:
    """As `_reason`, of a variable that is to lead to the gateway."""
    if port == spec.http_port:
        return None
    for other in others:
        if port == other.http_port:
            same = other.project == spec.project
            return None if same else f"another instance, '{other.name}'"
    return f"port {port}, where the gateway of '{spec.name}' is not"


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


def _known(spec: Spec, project: Path, settings: config.Settings | None) -> set[str]:
    """The variables that a plain `devdb env` writes in that project, by those settings."""
    from devdb.urls import presets
    from devdb.workspace import environment

    with suppress(DevdbError):
        settings = settings or config.load(project, {}, os.environ)
        nowhere = Endpoint(host=HOST, port=1, user=USER, password="", database=USER)
        chosen = environment.variables(
            nowhere, nowhere, settings, project, gated=lambda: replace(spec, http_port=1)
        )
        return set(chosen.values)
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
