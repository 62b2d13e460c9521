"""`devdb ls`, `devdb status` and `devdb logs`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

import typer

from devdb import paths, urls
from devdb.cli import options
from devdb.cli.grammar import App
from devdb.cli.here import existing, look_around
from devdb.config.table import whole
from devdb.engines.vitals import Health
from devdb.errors import ExitCode, TimedOut
from devdb.journal import SEVERE, Entry
from devdb.model import DATABASE, SERVERS, Part, PartState
from devdb.output import envelope, records, streams
from devdb.output.table import facts, table
from devdb.wording import count, since
from devdb.workspace import instances, staleness
from devdb.workspace import logs as of_servers
from devdb.workspace.instances import Instance, State
from devdb.workspace.staleness import Held

app = App()

_COLOURS = {
    State.RUNNING: "green",
    State.DEGRADED: "red",
    State.STOPPED: "dim",
    State.UNKNOWN: "yellow",
    State.UNMARKED: "yellow",
}


@app.command()
def ls(json: options.Json = False) -> int:
    """List the instances of this user, running or not.

    In --json the passwords are masked: devdb url and devdb env have them.
    """
    found, silent = instances.every()
    if json:
        records_of = [records.instance(each) for each in found]
        not_asked = {engine: envelope.as_json(error) for engine, error in silent.items()}
        whose = {"owner": paths.user(), "data": str(paths.data_home())}
        found_them = {"instances": records_of, "not_asked": not_asked}
        streams.data(envelope.ok("ls", {**whose, **found_them}))
        return ExitCode.OK
    if who := paths.behind_root():
        where = f"these are root's instances, in {paths.data_home()}"
        streams.narrate(f"note: {where}; those of {who}: devdb ls as {who}, without sudo")
    expected = {each.spec.engine for each in found}
    for engine, error in silent.items():
        # Who has no Docker is not told so each time.
        is_expected = engine in expected or instances.is_expected(engine)
        if is_expected or isinstance(error, TimedOut):
            streams.narrate(f"note: not asked for instances without a marker: {error.message}")
    for each in found:
        if each.trouble is not None and not each.is_marked:
            streams.narrate(f"note: {each.trouble.message} {each.trouble.hint}")
    if not found:
        streams.narrate("there is no instance; devdb up makes one")
        return ExitCode.OK
    headings = ["NAME", "STATE", "ENGINE", "POSTGRES", "DIRECT", "POOLED", "UP", "PROJECT"]
    rows = [_instance_row(each) for each in found]
    if any(each.gateway is not None for each in found):
        headings.insert(_HTTP, "HTTP")
        for row, each in zip(rows, found, strict=True):
            row.insert(_HTTP, _http(each))
    for line in table(headings, rows, width=streams.width()):
        streams.data(line)
    return ExitCode.OK


@app.command()
def status(name: options.Name = None, json: options.Json = False) -> int:
    """Say how an instance is; exit 0 when it is ready.

    Exit 1 when it is not ready, 3 when its engine does not answer. Passwords are masked: devdb url
    and devdb env have them.
    """
    here = look_around(name)
    spec = here.instance()
    instance = instances.look(spec)
    asked = instance.state in (State.RUNNING, State.DEGRADED)
    health = instances.health(spec) if asked else Health(postgres=None, pgbouncer=None)
    ready = health.ready and instance.state == State.RUNNING
    held = staleness.held(spec, here.directory, running=ready)
    if json:
        data = {**records.instance(instance), **records.health(health), "ready": ready}
        data["stale"] = [records.finding(each) for each in held.stale]
        data["env"] = held.sentence
        streams.data(envelope.ok("status", data, success=ready))
    else:
        for line in facts([*_facts(instance, health), ("env", _env(held))]):
            streams.data(line)
        if not ready:
            _hint(instance, health)
    if instance.state == State.DEGRADED:
        instances.mend(spec)
    if instance.trouble is not None:
        return instance.trouble.exit_code
    return ExitCode.OK if ready else ExitCode.FAILURE


@app.command()
def logs(
    name: options.Name = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes.")] = False,
    tail: Annotated[
        int,
        typer.Option(
            "--tail",
            metavar="N",
            parser=partial(whole(0, 10**9), "--tail"),
            help="Last lines of each server.  [100]",
            show_default=False,
        ),
    ] = 100,
    everything: Annotated[
        bool, typer.Option("--all", help="Also the lines that devdb's own work causes.")
    ] = False,
    json: options.Json = False,
) -> int:
    """Print what the servers of an instance wrote, in time order.

    Times are this machine's. With --json one object with all lines; with -f too, one object for
    each line as it comes.
    """
    spec = existing(name)
    hidden = 0

    def shown() -> Iterator[Entry]:
        nonlocal hidden
        read = of_servers.followed if follow else of_servers.written
        for entry in read(spec, tail=tail):
            if entry is not None and (everything or not entry.is_housekeeping):
                yield entry
            elif entry is not None:
                hidden += 1

    if json and not follow:
        lines = [records.log_entry(entry) for entry in shown()]
        data = {"name": spec.name, "lines": lines, "hidden": hidden}
        streams.data(envelope.ok("logs", data))
        return ExitCode.OK
    try:
        for entry in shown():
            if json:
                streams.data(envelope.one_of_many("logs", records.log_entry(entry)))
            else:
                streams.data(_log_line(entry))
    finally:
        if hidden:
            are = "line is" if hidden == 1 else "lines are"
            streams.narrate(f"note: {hidden} {are} about devdb's own work; --all shows them")
    return ExitCode.OK


_LOG_COLOURS = {**dict.fromkeys(SEVERE, "red"), "WARNING": "yellow"}


def _log_line(entry: Entry) -> str:
    """Time, part, level, text; a line that goes on with the one before has no level of its own."""
    moment = entry.moment.astimezone() if entry.moment else None
    when = moment.isoformat(" ", "milliseconds")[:23] if moment else ""
    level = "" if entry.level is None or entry.text.startswith("\t") else entry.level
    colour = "yellow" if entry.duration is not None else _LOG_COLOURS.get(level, "dim")
    head = streams.paint(f"{when:<23} {entry.part:<9}", "dim")
    return f"{head} {streams.paint(f'{level:<9}', colour)} {entry.text}"


_HTTP = 6
"""The column of the HTTP ports, where an instance has one."""


def _instance_row(instance: Instance) -> list[str]:
    spec, server = instance.spec, instance.server
    postgres = server.part("postgres") if server else None
    version = (postgres and postgres.version) or (str(spec.major) if spec.major else "")
    return [
        spec.name,
        instance.state.value,
        spec.engine,
        version,
        str(spec.port or ""),
        str(spec.pool_port or ""),
        since(postgres.started) if postgres else "",
        str(spec.project or ""),
    ]


def _http(instance: Instance) -> str:
    part = instance.gateway
    if part is None:
        return ""
    return f"{instance.spec.http_port}{'' if part.state == PartState.RUNNING else ' off'}"


def _facts(instance: Instance, health: Health) -> list[tuple[str, str]]:
    spec, server = instance.spec, instance.server
    word, colour = instance.state.value, _COLOURS[instance.state]
    if instance.state == State.RUNNING:
        word, colour = ("ready", "green") if health.ready else ("not ready", "red")
    pairs = [
        ("instance", spec.name),
        ("state", streams.paint(word, colour)),
        ("engine", spec.engine),
        ("project", _project(instance)),
    ]
    if server is not None:
        postgres, pgbouncer = health.postgres, health.pgbouncer
        used = pooled = None
        if postgres is not None:
            used = f"{postgres.connections} of {postgres.max_connections} connections"
        if pgbouncer is not None:
            servers = count(pgbouncer.servers, "connection")
            clients = count(pgbouncer.clients, "client")
            if server.max_clients is not None:
                clients = f"{pgbouncer.clients} of {server.max_clients} clients"
            pooled = f"{clients} on {servers}"
        pairs += [
            ("postgres", _part(server.part("postgres"), spec.port, used)),
            ("pgbouncer", _part(server.part("pgbouncer"), spec.pool_port, pooled)),
            ("pool mode", server.pool_mode.value),
            *[("note", note) for note in server.notes],
            *[(part.name, _part(part, None, None)) for part in server.parts if _extra(part)],
            ("data", server.location),
        ]
    if instance.gateway is not None:
        pairs.append((instance.gateway.name, _gateway(instance)))
    leads = (("direct", spec.direct), ("pooled", spec.pooled))
    pairs += [(name, urls.masked(urls.url(each))) for name, each in leads]
    return [*pairs, *([("http", url)] if (url := urls.http(spec)) else [])]


def _gateway(instance: Instance) -> str:
    """The gateway, and how to have it back where it is off while the instance runs."""
    part, spec = instance.gateway, instance.spec
    assert part is not None
    is_missed = part.state != PartState.RUNNING and instance.state == State.RUNNING
    words = [part.state.value, f"port {spec.http_port}", part.detail]
    text = ", ".join(word for word in words if word)
    fix = f"; devdb up -d -n {spec.name} starts it"
    return streams.paint(f"{text}{fix}", "yellow") if is_missed else text


def _env(held: Held) -> str:
    """What `.env` leads to; in yellow, and with the command that mends it, where that is wrong."""
    if not held.stale:
        return held.sentence
    fixes = dict.fromkeys(each.fix for each in held.stale if each.fix)
    return streams.paint("; ".join((held.sentence, *fixes)), "yellow")


def _extra(part: Part) -> bool:
    return part.name not in SERVERS


def _project(instance: Instance) -> str:
    project = instance.spec.project
    if project is None:
        return ""
    return str(project) if project.exists() else f"{project} (gone)"


def _part(part: Part, port: int | None, load: str | None) -> str:
    words: list[Any] = [
        part.version,
        part.state.value,
        f"port {port}" if port else None,
        f"up {since(part.started)}" if part.started else None,
        load,
        part.detail if part.state != PartState.RUNNING else None,
    ]
    return ", ".join(word for word in words if word)


def _lacks_main(instance: Instance) -> bool:
    from devdb import postgres

    found = postgres.databases(instance.spec.direct)
    return found is not None and DATABASE not in dict(found)


def _hint(instance: Instance, health: Health) -> None:
    """What to do when it is not ready, in the two lines of an error."""
    trouble, name = instance.trouble, instance.spec.name
    message = trouble.message if trouble else f"'{name}' is not ready."
    hint = trouble.hint if trouble else f"devdb up -d -n {name}"
    if health.postgres is not None and health.postgres.full:
        from devdb import connections

        message = f"'{name}' is not ready: {connections.taken(instance.spec)}."
        hint = connections.WAY_OUT
    elif health.pgbouncer is not None and health.pgbouncer.full:
        message = f"'{name}' is not ready: {health.pgbouncer.clients} clients are in by the pooled "
        message += "URL, and it takes no more."
        hint = "End some, or raise max_client_conn in devdb.toml, [pgbouncer]."
    elif health.postgres is not None and health.pgbouncer is None and _lacks_main(instance):
        message = f"'{name}' is not ready: its database '{DATABASE}' was dropped or renamed."
        hint = f"Make it anew: devdb up -d -n {name}"
    streams.complain(message, hint)
