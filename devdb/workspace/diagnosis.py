"""`doctor`: which engine a new instance would get and why, and what is wrong with the cure."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from devdb import engines, marker, pgbouncer, wire
from devdb.advice import Advice, Pooler, lookup
from devdb.config import Settings
from devdb.engines import Engine
from devdb.engines.remedy import Remedy
from devdb.errors import DevdbError, PortInUse
from devdb.listeners import accepts, owner
from devdb.model import ENGINES, SHARED_ENGINES, Finding, Level, PartState, Spec
from devdb.workspace import choice, fix, gateway, lasting, ports
from devdb.workspace.instances import Instance, State, engine_of, every
from devdb.workspace.staleness import held


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All that `doctor` found."""

    engine: str | None
    """The engine a new instance would get; None: none can be used."""
    reason: str
    engines: tuple[tuple[str, tuple[Finding, ...]], ...]
    instances: tuple[Finding, ...]
    ports: tuple[int, int] | None
    """The pair that the next instance would get when it asks for none; None: none is free."""
    remedies: tuple[Remedy, ...]
    """What devdb can get that is missing, or not good enough."""

    @property
    def healthy(self) -> bool:
        """Whether an instance could be started, and those that are there are well."""
        wrong = any(finding.level == Level.ERROR for finding in self.instances)
        return self.engine is not None and not wrong


def diagnose(settings: Settings, directory: Path) -> Diagnosis:
    """Look at everything, from that directory; changes nothing, raises nothing."""
    wanted: Engine | None = None
    try:
        wanted, reason = choice.choose(settings)
        name: str | None = wanted.name
        if settings.engine != "auto":
            wanted.require(
                major=settings.pg, image=settings.image, pooler_image=settings.pooler_image
            )
    except DevdbError as error:
        name, reason = None, error.message
    instances, silent = every()
    checks = tuple((each.name, tuple(each.check())) for each in _engines(wanted, instances))
    found = tuple(finding for instance in instances for finding in _look_at(instance, directory))
    found += tuple(_of_silent(engine, error) for engine, error in silent.items())
    found += (fleeting,) if (fleeting := lasting.warning()) else ()
    return Diagnosis(
        engine=name,
        reason=reason,
        engines=checks,
        instances=found,
        ports=_free_pair(),
        remedies=tuple(fix.everything(settings, wanted or choice.last_resort())),
    )


def _engines(wanted: Engine | None, instances: list[Instance]) -> list[Engine]:
    """Those to look at: all of this machine, and of those in common the ones that are meant."""
    mine = [engines.get(name) for name in ENGINES if name not in SHARED_ENGINES]
    used = {
        one.spec.host: engine_of(one.spec) for one in instances if one.spec.engine in SHARED_ENGINES
    }
    if wanted is not None and wanted.name in SHARED_ENGINES:
        place = None
        with suppress(DevdbError):  # what is wrong with it is what its check says
            place = wanted.host
        used[place] = wanted
    return [*mine, *used.values()]


def explain(text: str, spec: Spec | None) -> Advice | None:
    """What an error text means and what cures it; None where it is not known.

    With an instance whose PgBouncer answers, what is true with that one.
    """
    pooler = None
    if spec is not None:
        with suppress(*wire.FAILURES), pgbouncer.console(spec) as session:
            asked = pgbouncer.ask(session)
            pooler = Pooler(
                instance=spec.name,
                version=asked.version,
                mode=asked.mode,
                prepared=asked.prepared,
            )
    return lookup(text, pooler)


def _free_pair() -> tuple[int, int] | None:
    try:
        return ports.choose((None, None), marker.every())
    except PortInUse:
        return None


def _look_at(instance: Instance, directory: Path) -> list[Finding]:
    spec = instance.spec
    subject = f"instance {spec.name}"
    findings = []
    if instance.trouble is not None:
        findings.append(
            Finding(
                level=Level.ERROR,
                subject=subject,
                message=instance.trouble.message,
                fix=instance.trouble.hint,
            )
        )
    elif instance.server is None and spec.has_data:
        findings.append(
            Finding(
                level=Level.ERROR,
                subject=subject,
                message="its data is gone",
                fix=f"put it back, or make a new, empty one: devdb up -n {spec.name} --anew",
            )
        )
    elif instance.state == State.DEGRADED and instance.server is not None:
        down = [p for p in instance.server.parts if p.state != "running"]
        words = ", ".join(f"{p.name} is {p.state} {p.detail}".strip() for p in down)
        findings.append(
            Finding(
                level=Level.ERROR, subject=subject, message=words, fix=f"devdb up -d -n {spec.name}"
            )
        )
    elif instance.state == State.STOPPED:
        findings += [
            Finding(
                level=Level.WARNING,
                subject=subject,
                message=f"stopped, and its port {port} is in use by {who}",
                fix=f"end that, or move: devdb up -d -n {spec.name} {option} N",
            )
            for port, option in ((spec.port, "--port"), (spec.pool_port, "--pool-port"))
            if accepts(port) and (who := owner(port, besides=spec.name))
        ]
    findings += _of_gateway(instance)
    if spec.project is not None and not spec.project.exists():
        findings.append(
            Finding(
                level=Level.INFO,
                subject=subject,
                message=f"its project {spec.project} is gone",
                fix=f"take it over: devdb up -n {spec.name}   or delete it: devdb rm {spec.name}",
            )
        )
    findings += _of_env(instance, directory)
    notes = instance.server.notes if instance.server else ()
    findings += [_of_note(subject, note) for note in notes]
    return findings


def _of_gateway(instance: Instance) -> list[Finding]:
    """Somebody else at its port; or that it is off, where the instance runs."""
    spec, subject = instance.spec, f"instance {instance.spec.name}"
    if instance.gateway is None or instance.gateway.state == PartState.RUNNING:
        return []
    if (error := gateway.usurped(spec)) is not None:
        return [
            Finding(level=Level.WARNING, subject=subject, message=error.message, fix=error.hint)
        ]
    if instance.state != State.RUNNING:
        return []
    words = "its gateway is off, and it has an HTTP port"
    if instance.gateway.detail:
        words = f"its gateway is off: {instance.gateway.detail}"
    fix = f"devdb up -d -n {spec.name}"
    return [Finding(level=Level.WARNING, subject=subject, message=words, fix=fix)]


def _of_env(instance: Instance, directory: Path) -> list[Finding]:
    """What `.env` leads to: where one is in any case, elsewhere only what is wrong."""
    found = held(instance.spec, directory, running=instance.state == State.RUNNING)
    subject = f"instance {instance.spec.name}"
    if not found.stale:
        is_here = found.directory is not None
        fine = Finding(level=Level.INFO, subject=subject, message=found.sentence)
        return [fine] if is_here and instance.is_marked else []
    pairs = zip(found.stale, found.sentences, strict=True)
    return [replace(each, subject=subject, message=sentence) for each, sentence in pairs]


def _of_silent(engine: str, error: DevdbError) -> Finding:
    return Finding(
        level=Level.INFO,
        subject=f"engine {engine}",
        message=f"not asked for instances without a marker: {error.message}",
    )


def _of_note(subject: str, note: str) -> Finding:
    if note.endswith(pgbouncer.NEWER):
        message = note.removesuffix(pgbouncer.NEWER).rstrip()
        return Finding(level=Level.WARNING, subject=subject, message=message, fix=pgbouncer.NEWER)
    return Finding(level=Level.INFO, subject=subject, message=note)
