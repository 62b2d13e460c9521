"""Instances and what belongs to them as JSON objects."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from devdb import paths, urls
from devdb.model import Finding, Level, Part, Spec
from devdb.output.envelope import as_json

if TYPE_CHECKING:
    from devdb.databases import TemporaryDatabase
    from devdb.databases.seeding import Loaded
    from devdb.engines.vitals import Health
    from devdb.envfile import Written
    from devdb.journal import Entry
    from devdb.workspace.diagnosis import Diagnosis
    from devdb.workspace.down import Removal
    from devdb.workspace.environment import Variables
    from devdb.workspace.instances import Instance
    from devdb.workspace.up import Ready


def started(ready: Ready) -> dict[str, Any]:
    """What came of `up`."""
    return {
        "outcome": ready.outcome.value,
        "reason": ready.reason,
        "changes": list(ready.changes),
        "notes": list(ready.notes),
        "instance": instance(ready.instance, masked=False),
    }


def removal(one: Removal) -> dict[str, Any]:
    """What `rm` deleted."""
    databases = one.databases
    return {
        "name": one.spec.name,
        "location": one.location,
        "size_bytes": one.size,
        "databases": databases
        and [
            {"name": name, "size_bytes": count, "claimed": name in one.claimed}
            for name, count in databases
        ],
    }


def instance(found: Instance, *, masked: bool = True) -> dict[str, Any]:
    """An instance as `up`, `ls` and `status` report it; to `up` alone with its password."""
    spec, server = found.spec, found.server
    parts = (*(server.parts if server else ()), *((found.gateway,) if found.gateway else ()))
    return {
        "name": spec.name,
        "state": found.state.value,
        "engine": spec.engine,
        "project": paths.as_text(spec.project) if spec.project else None,
        "created": moment(spec.created) if found.is_marked else None,
        **(connection(spec, masked=masked) if found.is_marked else _NO_CONNECTION),
        "masked": masked,
        "max_clients": server.max_clients if server else None,
        "pool_mode": (server.pool_mode if server else spec.pool_mode).value,
        "major": spec.major,
        "location": server.location if server else None,
        "parts": [part(each) for each in parts],
        "notes": list(server.notes) if server else [],
        "trouble": as_json(found.trouble) if found.trouble else None,
    }


_NO_CONNECTION = dict.fromkeys(("port", "pool_port", "http_port", "url", "pooled_url", "http_url"))
"""Of an instance without a marker."""


def connection(spec: Spec, *, masked: bool) -> dict[str, Any]:
    """Ports and URLs; `masked`: without the password."""
    url, pooled_url = urls.url(spec.direct), urls.url(spec.pooled)
    return {
        "port": spec.port,
        "pool_port": spec.pool_port,
        "http_port": spec.http_port,
        "url": urls.masked(url) if masked else url,
        "pooled_url": urls.masked(pooled_url) if masked else pooled_url,
        "http_url": urls.http(spec),
    }


def part(one: Part) -> dict[str, Any]:
    """One server of an instance."""
    return {
        "name": one.name,
        "state": one.state.value,
        "version": one.version,
        "started": moment(one.started),
        "detail": one.detail,
    }


def health(found: Health) -> dict[str, Any]:
    """What the servers say of themselves; null where they let nobody in."""
    postgres, pgbouncer = found.postgres, found.pgbouncer
    return {
        "ready": found.ready,
        "postgres": postgres
        and {
            "version": postgres.version,
            "started": moment(postgres.started),
            "connections": postgres.connections,
            "max_connections": postgres.max_connections,
        },
        "pgbouncer": pgbouncer
        and {
            "version": pgbouncer.version,
            "clients": pgbouncer.clients,
            "servers": pgbouncer.servers,
        },
    }


def temporary(spec: Spec, one: TemporaryDatabase) -> dict[str, Any]:
    """A temporary database; times are the server's, spans in seconds."""
    return {
        "name": one.name,
        "instance": spec.name,
        "kind": one.kind.value,
        "role": one.role,
        "state": one.state.value,
        "url": urls.url(one.direct),
        "pooled_url": urls.url(one.pooled),
        "created": moment(one.created),
        "expires": moment(one.expires),
        "age_seconds": one.age.total_seconds(),
        "left_seconds": one.left.total_seconds() if one.left is not None else None,
        "size_bytes": one.size,
        "sessions": one.sessions,
        "claim": f"devdb temp claim {one.name} -n {spec.name}" if one.expires else None,
        **({"seed": _seed(spec, one, one.loaded)} if one.loaded else {}),
    }


def _seed(spec: Spec, one: TemporaryDatabase, loaded: Loaded) -> dict[str, Any]:
    """What became of its seed; only for who made it."""
    return {
        "name": loaded.name,
        "skipped": loaded.counts(),
        "by_hand": loaded.by_hand(spec.name, one.name),
        "notes": list(loaded.remarks),
    }


def log_entry(entry: Entry) -> dict[str, Any]:
    """A line that a server wrote; `duration_ms` is there of a slow query only."""
    return {
        "part": entry.part,
        "moment": moment(entry.moment),
        "level": entry.level,
        "pid": entry.pid,
        "text": entry.text,
        "duration_ms": entry.duration,
        "belongs": entry.belongs,
        "housekeeping": entry.is_housekeeping,
    }


def finding(one: Finding) -> dict[str, Any]:
    """One line of `doctor`."""
    return {
        "level": one.level.value,
        "subject": one.subject,
        "message": one.message,
        "fix": one.fix,
    }


def diagnosis(found: Diagnosis) -> dict[str, Any]:
    """All that `doctor` found."""
    return {
        "engine": found.engine,
        "reason": found.reason,
        "healthy": found.healthy,
        "engines": {
            name: {
                "usable": all(one.level != Level.ERROR for one in findings),
                "findings": [finding(one) for one in findings],
            }
            for name, findings in found.engines
        },
        "ports": list(found.ports) if found.ports else None,
        "instances": [finding(one) for one in found.instances],
        "remedies": [
            {"subject": each.subject, "why": each.why, "how": each.how} for each in found.remedies
        ],
    }


def variables(chosen: Variables, written: Sequence[Written]) -> dict[str, Any]:
    """What `env` chose, and the files it wrote."""
    return {
        "preset": chosen.preset.name,
        "saw": list(chosen.saw or ()),
        "variables": chosen.values,
        "notes": list(chosen.notes),
        "files": [
            {
                "path": str(each.path),
                "created": each.created,
                "changed": each.changed,
                "changes": [
                    {"key": change.key, "action": change.action.value} for change in each.changes
                ],
            }
            for each in written
        ],
    }


def moment(when: datetime | None) -> str | None:
    """RFC 3339."""
    return when.isoformat() if when else None
