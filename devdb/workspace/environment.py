"""`env`: which variables a project reads, what they are to be, and the client that spells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devdb import certificates, config, envfile, pgbouncer, postgres, wire
from devdb.config import Settings, editing
from devdb.envfile import Written
from devdb.errors import DevdbError, UsageError
from devdb.model import USER, Endpoint, Spec
from devdb.urls import clients, presets
from devdb.urls.clients import Client, Tls
from devdb.urls.detection import detect
from devdb.urls.presets import Goes, Preset
from devdb.urls.spelling import Spelling
from devdb.workspace.instances import find

TLS_MODES = ("require", "verify-full")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """The variables of an instance, spelled for whoever reads them in the project."""

    preset: Preset
    spellings: dict[str, Spelling]
    saw: tuple[str, ...] | None = None
    """With the preset `auto`: the files it was concluded from; empty: from none."""

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
        plain = self.preset.name == presets.DEFAULT
        return None if plain else f"preset {self.preset.name}: {self.preset.used_by}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What has to be done beside the variables, each thing once."""
        found = [note for spelling in self.spellings.values() for note in spelling.notes]
        return tuple(dict.fromkeys([*found, *([self.preset.note] if self.preset.note else [])]))


def tls_of(spec: Spec, mode: str | None, *endpoints: Endpoint) -> Tls | None:
    """What a URL has to say for TLS: nothing, `require`, or `verify-full` with the instance's CA.

    Raises UsageError for another mode; DevdbError when the instance, or the server at one of
    the endpoints, has no TLS.
    """
    if mode is None:
        return None
    if mode not in TLS_MODES:
        raise UsageError(f"--tls: {mode!r} is unknown.", f"Known: {', '.join(TLS_MODES)}.")
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


def keep_client(project: Path, client: Client) -> Path | None:
    """Make it the one that the project's `devdb.toml` names; returns that file.

    None where the directory is no project's. Raises DevdbError.
    """
    if not config.is_project(project):
        return None
    return editing.keep(project, "client", client.name)


def ensure_shadow(spec: Spec, chosen: Variables) -> str | None:
    """Make the scratch database of migration tools, where one is wanted; says what is to be said.

    Where the instance does not answer, that is when it will be made.
    """
    if not chosen.preset.needs_shadow:
        return None
    made = postgres.ensure_database(spec.direct, presets.SHADOW_DATABASE)
    if made is None:
        again = f"devdb up -d -n {spec.name}, then this again"
        return f"note: '{presets.SHADOW_DATABASE}' is made when the instance runs: {again}"
    return f"made the database '{presets.SHADOW_DATABASE}' for migration tools" if made else None


def write(
    chosen: Variables,
    file: Path,
    project: Path | None,
    *,
    comments: Mapping[str, str] = {},
    dry_run: bool = False,
) -> Written:
    """Write the variables to a `.env` file; raises DevdbError, and then it is as it was."""
    return envfile.write(file, chosen.values, project=project, comments=comments, dry_run=dry_run)


def variables(
    direct: Endpoint,
    pooled: Endpoint,
    settings: Settings,
    project: Path,
    *,
    tls: Tls | None = None,
) -> Variables:
    """By the preset of the settings (`auto`: what the project's files ask for), else `plain`.

    Raises UsageError for an unknown preset or client.
    """
    named = named_client(settings)
    name, client = settings.preset or presets.DEFAULT, named.name if named else None
    saw: tuple[str, ...] | None = None
    if name == presets.AUTO:
        found = detect(project)
        name, client, saw = found.preset, client or found.client, found.saw
    preset = presets.preset(name)
    spellings = presets.variables(preset, direct=direct, pooled=pooled, client=client, tls=tls)
    if direct.user != USER:  # the role of a temporary database reaches no other, so no shadow
        shadow = {key for key, goes in preset.variables if goes == Goes.SHADOW}
        spellings = {key: value for key, value in spellings.items() if key not in shadow}
    return Variables(preset=preset, spellings=spellings, saw=saw)
