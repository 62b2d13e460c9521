"""What a project's Prisma files read: which variables, and for which database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from devdb.errors import UsageError
from devdb.urls.manifests import is_file, read_json, read_text
from devdb.urls.presets import Goes

POSTGRES = ("postgresql", "postgres")
_SCHEMAS = (
    *("prisma/schema.prisma", "prisma/schema", "prisma", "schema.prisma"),
    *("api/db/schema.prisma", "api/db/schema", "api/db"),
)
_CONFIGS = tuple(
    f"{stem}.{ending}"
    for stem in ("prisma.config", "prisma7.config", ".config/prisma", "api/prisma.config")
    for ending in ("ts", "mts", "cts", "js", "mjs", "cjs")
)
_COMMENT = re.compile(r"/\*.*?\*/|(?<![:\w\"'])//[^\n]*", re.DOTALL)
_DATASOURCE = re.compile(r"\bdatasource\s+\w+\s*\{([^{}]*)\}")
_PROVIDER = re.compile(r"\bprovider\s*=\s*\"([\w-]+)\"")
_IN_SCHEMA = re.compile(r"\b(url|directUrl|shadowDatabaseUrl)\s*=\s*env\(\s*\"(\w+)\"\s*\)")
_IN_CONFIG = re.compile(
    r"\b(url|directUrl|shadowDatabaseUrl)\s*:\s*"
    r"(?:env\s*(?:<[^>]*>)?\(\s*|process\.env\s*\[\s*|process\.env\.)[\"'`]?(\w+)"
)
_SCHEMA_OF_CONFIG = re.compile(
    r"\bschema\s*:\s*(?:path\.)?(?:join|resolve)?([^,\n]*(?:\([^)]*\))?)"
)
_STRING = re.compile(r"[\"'`]([^\"'`]+)[\"'`]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prisma:
    """Prisma as a directory has it."""

    seven: bool
    """Whether it is Prisma 7, whose URLs are in its config and in the app's code."""
    saw: tuple[str, ...]
    provider: str | None = None
    """What the schema's datasource says, e.g. `postgresql`; None where it says nothing."""
    provider_in: str = ""
    """The file that says it."""
    schema: dict[str, str] = field(default_factory=dict)
    """The variable that each of `url`, `directUrl`, `shadowDatabaseUrl` of the schema reads."""
    config: dict[str, str] = field(default_factory=dict)
    """The same of the config: its `url` is the migrations'."""

    @property
    def foreign(self) -> UsageError | None:
        """What is to be said where it speaks to another database; None: to Postgres."""
        if self.provider is None or self.provider in POSTGRES:
            return None
        return UsageError(
            f'{self.provider_in} has provider = "{self.provider}", and devdb\'s is Postgres.',
            'Make it provider = "postgresql" (and its migrations anew); to write all the same: '
            "devdb env --preset plain",
        )

    @property
    def variables(self) -> tuple[tuple[str, Goes], ...]:
        """The variables it reads and what each is to be; empty where it names none.

        One that both the app and the migrations read is direct: a migration holds locks on its
        session, which a pooler would give to others.
        """
        url, migrations = self.schema.get("url"), self.config.get("url")
        direct = self.schema.get("directUrl") or self.config.get("directUrl")
        shadow = self.config.get("shadowDatabaseUrl") or self.schema.get("shadowDatabaseUrl")
        if not (url or migrations):
            return ()
        if self.seven:
            app, direct = url or "DATABASE_URL", migrations or direct or "DIRECT_URL"
        else:
            app = url or "DATABASE_URL"
            direct = direct or (migrations if migrations != app else None) or "DIRECT_URL"
        found = {app: Goes.POOLED, direct: Goes.DIRECT}
        if shadow:
            found[shadow] = Goes.SHADOW
        return tuple(found.items())

    @property
    def notes(self) -> tuple[str, ...]:
        """What should be changed in its files, so that each URL can be what it is best as."""
        if self.seven and self.config.get("url") == self.schema.get("url", "DATABASE_URL"):
            return (
                f"{self.saw[0]} migrates with {self.config['url']}, so that is the direct URL."
                ' For a pooled app: url: env("DIRECT_URL") there, and this again.',
            )
        if not self.seven and dict(self.variables).get("DIRECT_URL") and not self._reads_direct:
            return (f'{self.provider_in}: add directUrl = env("DIRECT_URL") for the migrations.',)
        return ()

    @property
    def _reads_direct(self) -> bool:
        both = (*self.schema.values(), *self.config.values())
        return "DIRECT_URL" in both


def look(project: Path, wanted: str | None, *, base: Path | None = None) -> Prisma | None:
    """Prisma in that directory; None where no file speaks of it.

    `wanted` is the version that package.json asks for; what is installed goes before it. Files are
    named as from `base`, else as from the directory.
    """
    config = next((name for name in _CONFIGS if is_file(project / name)), None)
    settings = _uncommented(read_text(project / config)) if config else ""
    files = list(dict.fromkeys(_schemas(project, settings)))
    if not config and not files and wanted is None:
        return None
    installed = read_json(project / "node_modules" / "prisma" / "package.json").get("version")
    version = str(installed or wanted or "")
    major = re.match(r"[\^~>=v\s]*(\d+)", version)
    block, where = _datasource(files)
    provider = _PROVIDER.search(block)
    prefix = f"{project.relative_to(base).as_posix()}/" if base and base in project.parents else ""
    shown = f"{prefix}{(where or files[0]).relative_to(project).as_posix()}" if files else None
    saw = [name for name in (f"{prefix}{config}" if config else None, shown) if name]
    return Prisma(
        seven=int(major[1]) >= 7 if major else config is not None,
        saw=(*saw, *([f"package.json: prisma {version}"] if version else ())),
        provider=provider[1] if provider else None,
        provider_in=shown or "",
        schema=dict(_IN_SCHEMA.findall(block)),
        config=_first(_IN_CONFIG.findall(settings)),
    )


def _first(pairs: list[tuple[str, str]]) -> dict[str, str]:
    return dict(reversed(pairs))


def _schemas(project: Path, config: str) -> Iterator[Path]:
    """The files of the schema, the likeliest first: a schema may be a directory of many."""
    named = []
    table = read_json(project / "package.json").get("prisma")
    if isinstance(table, dict) and isinstance(table.get("schema"), str):
        named.append(table["schema"])
    if match := _SCHEMA_OF_CONFIG.search(config):
        named.append("/".join(_STRING.findall(match[1])))
    for name in (*named, *_SCHEMAS):
        path = project / name
        if not name or Path(name).is_absolute():
            continue
        if is_file(path):
            yield path
            continue
        for pattern in ("*.prisma", "*/*.prisma"):
            with suppress(OSError):
                yield from sorted(each for each in path.glob(pattern) if is_file(each))


def _datasource(files: list[Path]) -> tuple[str, Path | None]:
    """The inside of the first datasource block, and the file that has it."""
    for path in files:
        if match := _DATASOURCE.search(_uncommented(read_text(path))):
            return match[1], path
    return "", None


def _uncommented(text: str) -> str:
    return _COMMENT.sub("", text)
