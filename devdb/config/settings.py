"""What the user wants, and who said so: option > `DEVDB_*` > `devdb.toml` > default."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devdb.config import file
from devdb.config.file import FILE, TABLES, Pairs
from devdb.config.table import SETTINGS, Setting
from devdb.errors import UsageError
from devdb.model import PoolMode
from devdb.wording import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is wanted; None where nobody said anything."""

    name: str | None = None
    engine: str = "auto"
    pg: int | None = None
    port: int | None = None
    pool_port: int | None = None
    http: bool | None = None
    """Whether the gateway is to run; None: where the instance has an HTTP port."""
    http_port: int | None = None
    pool_mode: PoolMode | None = None
    max_connections: int | None = None
    log_min_duration_statement: int | None = None
    """Milliseconds."""
    image: str | None = None
    pooler_image: str | None = None
    preset: str | None = None
    client: str | None = None
    postgres: Pairs = ()
    """Postgres settings from the table `[postgres]`."""
    pgbouncer: Pairs = ()
    """PgBouncer settings from the table `[pgbouncer]`."""
    env: Pairs = ()
    """Variables of `.env` from the table `[env]`, and what each is to be (`devdb.urls.presets`)."""
    kubernetes: Pairs = ()
    """Where in a cluster new instances go, from the table `[kubernetes]`."""
    sources: Pairs = ()
    """Where each setting that was given comes from, e.g. `("port", "--port")`."""

    def is_asked_now(self, setting: str) -> bool:
        """Whether an option of this very command says it."""
        return self.source(setting).startswith("-")

    def source(self, setting: str) -> str:
        """Who said it: `--port`, `DEVDB_PORT`, `devdb.toml` or `default`."""
        return dict(self.sources).get(setting, "default")


def load(
    project: Path, options: Mapping[str, object | None], environment: Mapping[str, str]
) -> Settings:
    """The settings for a project; `options` has those given on the command line, by name.

    Raises UsageError for a value that cannot be right, naming who said it.
    """
    assert options.keys() <= SETTINGS.keys()
    written, tables = file.read(project)
    _refuse_unknown(written)
    keys = {key.replace("_", "-"): value for key, value in written.items()}
    values: dict[str, Any] = {**tables}
    sources: dict[str, str] = {}
    for setting in SETTINGS.values():
        if said := _said(setting, options, environment, keys):
            source, value = said
            where = f"{FILE}: {setting.key}" if source == FILE else source
            values[setting.name] = setting.parse(where, value)
            sources[setting.name] = source
    settings = Settings(**values, sources=tuple(sources.items()))
    _check_ports(settings)
    return settings


def _refuse_unknown(keys: Iterable[str]) -> None:
    known = [setting.key for setting in SETTINGS.values()]
    if unknown := [key for key in keys if key.replace("_", "-") not in known]:
        tables = ", ".join(f"[{name}]" for name in TABLES)
        meant = did_you_mean(min(unknown).replace("_", "-"), known)
        raise UsageError(
            f"{FILE} has a setting '{min(unknown)}' that devdb does not know.",
            f"{meant}Known: {', '.join(sorted(known))}, and the tables {tables}.",
        )


def _said(
    setting: Setting,
    options: Mapping[str, object | None],
    environment: Mapping[str, str],
    keys: Mapping[str, object],
) -> tuple[str, object] | None:
    """Who says what about a setting; None where nobody does."""
    if (value := options.get(setting.name)) is not None:
        return setting.option, value
    if variable := environment.get(setting.variable):
        return setting.variable, variable
    return (FILE, keys[setting.key]) if setting.key in keys else None


def _check_ports(settings: Settings) -> None:
    given = {
        "direct": settings.port,
        "pooled": settings.pool_port,
        "HTTP": settings.http_port,
    }
    refuse_same_ports({kind: port for kind, port in given.items() if port is not None})


def refuse_same_ports(ports: Mapping[str, int]) -> None:
    """Raises UsageError where two of an instance's ports, by their kinds, are the same one."""
    kinds: dict[int, str] = {}
    for kind, port in ports.items():
        if port in kinds:
            raise UsageError(
                f"The {kinds[port]} and the {kind} port are both {port}.",
                "Give --port, --pool-port and --http-port different numbers.",
            )
        kinds[port] = kind
