"""`env`: which variables a project reads, what they are to be, and the client that spells them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from devdb import config, envfile, wording
from devdb.config import FILE, Settings
from devdb.config.table import one_of
from devdb.envfile import Written
from devdb.errors import DevdbError, EngineUnavailable, PortInUse, UsageError
from devdb.model import USER, Endpoint, Spec
from devdb.urls import clients, detection, presets, reading, serverless
from devdb.urls.clients import Client, Tls
from devdb.urls.detection import Beside, Detected
from devdb.urls.presets import Goes, Preset
from devdb.urls.spelling import Spelling

# What asks servers is imported where it is needed: that takes longer than all the rest, and a
# command that is run with the variables waits for it.

_PURPOSES = {Goes.SHADOW: "migration tools", Goes.TEST: "tests"}
"""The databases that are made for variables, and what they are for."""
TLS_MODES = ("require", "verify-full")
_EXAMPLES = (".env.example", ".env.sample", ".env.template", ".env.dist", "env.example")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """The variables of an instance, spelled for whoever reads them in the project."""

    preset: Preset
    """With the variables that were really chosen: the project's own names among them."""
    spellings: dict[str, Spelling]
    saw: tuple[str, ...] | None = None
    """With the preset `auto`: the files it was concluded from; empty: from none."""
    remarks: tuple[str, ...] = ()
    """What the project's own files should be told otherwise."""

    @property
    def values(self) -> dict[str, str]:
        """The text of each variable."""
        return {name: spelling.text for name, spelling in self.spellings.items()}

    @property
    def origin(self) -> str | None:
        """Why these variables, in words; None where nobody asked for others."""
        if self.saw is not None:
            seen = ", ".join(self.saw) or "no file of a framework that devdb knows"
            return f"preset {self.preset.name}: saw {seen}"
        if self.preset.name in (presets.DEFAULT, presets.OWN):
            return None
        return f"preset {self.preset.name}: {self.preset.used_by}"

    @property
    def musts(self) -> tuple[str, ...]:
        """What has to be done beside the variables for them to work, each thing once."""
        found = [note for spelling in self.spellings.values() for note in spelling.notes]
        return tuple(dict.fromkeys(found))

    @property
    def notes(self) -> tuple[str, ...]:
        """The same, and what is good to know of them in the project."""
        last = [self.preset.note] if self.preset.note else []
        return tuple(dict.fromkeys([*self.musts, *self.remarks, *last]))


def tls_of(spec: Spec, mode: str | None, *endpoints: Endpoint) -> Tls | None:
    """What a URL has to say for TLS: nothing, `require`, or `verify-full` with the instance's CA.

    Raises UsageError for another mode; DevdbError when the instance, or the server at one of
    the endpoints, has no TLS.
    """
    if mode is None:
        return None
    from devdb import certificates, wire

    one_of(TLS_MODES)("--tls", mode)
    ca = certificates.ca_path(spec.name)
    refusing = [end for end in endpoints if wire.offers_tls(end.host, end.port) is False]
    if refusing or not ca.is_file():
        raise DevdbError(
            f"'{spec.name}' has no TLS{_where(spec, refusing)}. {_why_no_tls(spec)}",
            "devdb doctor looks for builds that have it; without --tls every client connects.",
        )
    return Tls(ca=ca if mode == "verify-full" else None)


def _where(spec: Spec, refusing: list[Endpoint]) -> str:
    if len(refusing) != 1:
        return ""
    return f" on its {'direct' if refusing[0].port == spec.port else 'pooled'} URL"


def _why_no_tls(spec: Spec) -> str:
    from devdb import pgbouncer, postgres
    from devdb.workspace.instances import find

    server = find(spec).server
    if server is None:
        return "It was never started."
    told = [note for note in server.notes if note in (postgres.NO_TLS, pgbouncer.NO_TLS)]
    return (
        " ".join(told) or "Its own settings turn it off, or it was not started since devdb has it."
    )


def named_client(settings: Settings) -> Client | None:
    """The client that the settings name; raises UsageError, saying who named an unknown one."""
    if settings.client is None:
        return None
    try:
        return clients.client(settings.client)
    except UsageError as error:
        raise UsageError(f"{settings.source('client')}: {error.message}", error.hint) from None


def client_file(project: Path) -> Path | None:
    """The file that a project's client can be kept in; None where the directory is no project's."""
    return project / FILE if config.is_project(project) else None


def keep_client(project: Path, client: Client) -> Path:
    """Make it the one that the project's `devdb.toml` names; returns that file.

    Raises DevdbError.
    """
    from devdb.config import editing

    return editing.keep(project, "client", client.name)


def gateway_news(spec: Spec, chosen: Variables) -> list[str]:
    """What is to be said where variables lead to the gateway and it does not run."""
    urls = {chosen.values[name] for name, kind in chosen.preset.variables if kind == Goes.HTTP}
    if not urls:
        return []
    from devdb import listeners

    if all(listeners.accepts(port) for text in urls if (port := serverless.http_port(text))):
        return []
    return [
        f"note: {', '.join(urls)} answers once it is started: "
        f"devdb up --http -n {spec.name}, or h in the dashboard"
    ]


def ensure_databases(spec: Spec, chosen: Variables) -> list[str]:
    """Make the databases beside the project's own that variables lead to; says what is to be said.

    Where the instance does not answer, that is when they will be made.
    """
    wanted = [goes for goes in _PURPOSES if goes in dict(chosen.preset.variables).values()]
    if not wanted:
        return []
    from devdb import databases

    news = []
    for goes in wanted:
        database, purpose = presets.MADE[goes], _PURPOSES[goes]
        try:
            is_new = databases.ensure(spec, database, databases.Kind(goes.value))
        except (EngineUnavailable, PortInUse):
            again = f"devdb up -d -n {spec.name}, then this again"
            news.append(f"note: '{database}' is made when the instance runs: {again}")
        except DevdbError as error:
            news.append(f"note: '{database}' is not made yet: {error.message} {error.hint}")
        else:
            news += [f"made the database '{database}' for {purpose}"] if is_new else []
    return news


def write(
    chosen: Variables,
    file: Path,
    project: Path | None,
    *,
    comments: Mapping[str, str] = {},
    dry_run: bool = False,
) -> Written:
    """Write the variables to a `.env` file; raises DevdbError, and then it is as it was.

    A value that is put together from others (`postgresql://${PGUSER}:...`) stays where it reads as
    what would be written.
    """
    values = chosen.values
    before = envfile.read(file)
    for key in [key for key in values if "$" in before.get(key, "")]:
        if reading.expanded({**before, **values, key: before[key]})[key] == values[key]:
            del values[key]
    return envfile.write(file, values, project=project, comments=comments, dry_run=dry_run)


def advice(written: Written) -> list[str]:
    """What is to be done for the passwords in the file to stay with its owner."""
    git = envfile.git_has(written.path)
    return wording.env_warnings(written.path, is_open=written.readable_by_others, git=git)


def wanted(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """What `--set NAME=pooled` says, as the table `[env]` has it; raises UsageError."""
    pairs = []
    for text in texts:
        name, equals, kind = text.partition("=")
        if not equals:
            raise UsageError(f"--set: {text!r} is no NAME=WHAT.", "E.g. --set MY_URL=pooled")
        pairs.append((name.strip(), kind.strip()))
    return tuple(pairs)


def variables(
    direct: Endpoint,
    pooled: Endpoint,
    settings: Settings,
    project: Path,
    *,
    gated: Callable[[], Spec],
    directory: Path | None = None,
    file: Path | None = None,
    more: tuple[tuple[str, str], ...] = (),
    tls: Tls | None = None,
) -> Variables:
    """Those of the preset of the settings, and the names of `[env]`, and `more` (`--set`).

    The names go above the preset's; where nobody asks for a preset, they are all there is. With
    none of both it is `plain`; `auto` is what the files of the project ask for, those of
    `directory` first. Where nobody names a client, a URL keeps the form that it has in `file`.
    `gated` is asked for the instance with an HTTP port, and only where a variable leads there.
    Raises UsageError for an unknown preset, client or kind of variable, and for a Prisma schema of
    another database.
    """
    given = _given(settings.env, FILE + ", [env]") | _given(more, "--set")
    named = named_client(settings)
    directory = directory or project
    name, client = settings.preset, named.name if named else None
    saw: tuple[str, ...] | None = None
    found: Detected | None = None
    files: dict[str, dict[str, str]] = {}
    if name == presets.AUTO:
        files = envfile.present(directory, (*envfile.FILES, *_EXAMPLES))
        found = detection.detect_around(directory, project, files)
        name, client, saw = found.preset, client or found.client, found.saw
    if name is None and given:
        preset = Preset(name=presets.OWN, used_by="", variables=())
    else:
        preset = presets.preset(name or presets.DEFAULT)
    remarks = _foreign(preset, directory, project)
    if preset.name in presets.PRISMA or (found and preset.name == "supabase"):
        own = detection.names(directory, project)
        if own is not None:
            kept = [pair for pair in preset.variables if pair[1] == Goes.TEST]
            preset = replace(preset, variables=(*own.variables, *kept), note="")
            remarks = (*remarks, *own.notes)
    beside = detection.beside(directory, project, file)
    if found or preset.name in (*presets.PRISMA, "hyperdrive"):
        preset, remarks = _beside(preset, beside), (*remarks, *beside.notes)
        saw = None if saw is None else tuple(dict.fromkeys([*saw, *beside.saw]))
    if found:
        preset = _without_http(preset, {*dict(beside.variables), *files.get(found.file or "", ())})
    if found is not None and found.file is not None:
        preset = _with(preset, _usual(preset, files[found.file], direct, pooled))
    preset = _with(preset, given)
    remarks = (*remarks, *_missing(preset, beside))
    if direct.user != USER:  # the role of a temporary database reaches no other
        reached = [pair for pair in preset.variables if pair[1] not in presets.MADE]
        preset = replace(preset, variables=tuple(reached))
    before = envfile.read(file) if file is not None else {}
    needs_http = any(kind == Goes.HTTP for _, kind in preset.variables)
    spellings = presets.variables(
        preset,
        direct=direct,
        pooled=pooled,
        http=gated().http_port if needs_http else None,
        client=client,
        before=before,
        tls=tls,
    )
    return Variables(preset=preset, spellings=spellings, saw=saw, remarks=remarks)


def _given(pairs: Iterable[tuple[str, str]], source: str) -> dict[str, Goes]:
    for name, _ in pairs:
        envfile.check_key(name)
    return {name: presets.goes(name, text, source) for name, text in pairs}


def _beside(preset: Preset, found: Beside) -> Preset:
    """The preset with what the project reads besides; its own variables stay what they are."""
    bindings = [name for name, _ in found.variables if name.startswith(presets.HYPERDRIVE)]
    own = {
        name: kind
        for name, kind in preset.variables
        if not (bindings and name.startswith(presets.HYPERDRIVE))  # the preset's is an example
    }
    variables = own | {name: kind for name, kind in found.variables if name not in own}
    readers = {**dict(found.readers), **dict(preset.readers)}
    return replace(preset, variables=tuple(variables.items()), readers=tuple(readers.items()))


def _without_http(preset: Preset, named: Collection[str]) -> Preset:
    """The preset as its files ask for it: where no driver needs the gateway, nothing leads there
    but what is `named`."""
    kept = [pair for pair in preset.variables if pair[1] != Goes.HTTP or pair[0] in named]
    return replace(preset, variables=tuple(kept))


def _missing(preset: Preset, found: Beside) -> tuple[str, ...]:
    """What is to be said of what the project reads besides, and nobody asked for."""
    has_http = any(kind == Goes.HTTP for _, kind in preset.variables)
    left = {
        name: kind
        for name, kind in found.variables
        if name not in preset.names and not (kind == Goes.HTTP and has_http)
    }
    if not left:
        return ()
    sets = " ".join(f"--set {name}={kind}" for name, kind in left.items())
    return (f"{', '.join(found.saw)}: to write what it reads too: devdb env {sets}",)


def _with(preset: Preset, given: Mapping[str, Goes]) -> Preset:
    """The preset with these variables above its own."""
    fixed = tuple(pair for pair in preset.fixed if pair[0] not in given)
    both = {**dict(preset.variables), **given}
    return replace(preset, fixed=fixed, variables=tuple(both.items()))


def _usual(
    preset: Preset, there: Mapping[str, str], direct: Endpoint, pooled: Endpoint
) -> dict[str, Goes]:
    """The usual names that a file has too, but for a URL that its parts make a right one."""
    texts = presets.variables(preset, direct=direct, pooled=pooled)
    full = reading.expanded({**there, **{name: each.text for name, each in texts.items()}})
    usual = {}
    for name, kind in presets.PRESETS[presets.DEFAULT].variables:
        made = reading.endpoint(full[name]) if "$" in there.get(name, "") else None
        if name in there and not (made and reading.is_here(made, direct, pooled)):
            usual[name] = kind
    return usual


def _foreign(preset: Preset, directory: Path, project: Path) -> tuple[str, ...]:
    """What is to be said of a Prisma schema for another database; raised where Prisma is meant."""
    found = detection.prisma_around(directory, project)
    error = found.foreign if found else None
    if error is None:
        return ()
    if preset.name in (*presets.PRISMA, "supabase"):
        raise error
    return (error.message,)
