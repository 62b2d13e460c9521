"""What an instance is made of in a cluster, as values: a Secret with its files, a StatefulSet."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from devdb import marker, pgbouncer, postgres
from devdb.certificates import Certificates
from devdb.engines import reaping
from devdb.engines.kubernetes import labels
from devdb.engines.kubernetes.address import Address
from devdb.model import HOST, Spec

DIRECTORY = "/etc/devdb"
MARKER = "marker.json"
CERTIFICATES = ("ca.crt", "server.crt", "server.key")
PGPASS = "/tmp/pgpass"  # noqa: S108 - in a container of its own
_POSTGRES_PORT, _PGBOUNCER_PORT = 5432, 6432
_DATA = "/var/lib/devdb"
_PGDATA = f"{_DATA}/postgres"
_NOBODY = 65534
_SERVER = 999
"""The user of Postgres in the official images."""
_SERVERS = {"alpine": 70, "cloudnative-pg/": 26}
"""And in others, by a part of their name."""
_CLIENTS = 1000
_FILES = 65_536
"""Open files that PgBouncer asks for; an engine that says nothing lets it have more."""
_GRACE = 300
"""Seconds that a checkpoint may take; with nothing to write it takes less than one."""
_PASSWORD = "password"  # noqa: S105 - its name
MADE = "made"
"""Where it is, data was there once, and is not made anew."""
_UNHASHED = (MARKER, "passwords.sql", "key", MADE)
"""What no running server reads."""
_LISTENS = "grep -q ':{:04X} 00000000:0000 0A' /proc/net/tcp"


def files(spec: Spec, certificates: Certificates | None) -> dict[str, str]:
    """All that is in the Secret, by name; what is made of the marker is what a team-mate gets."""
    settings = postgres.settings(spec)
    paths = [f"{DIRECTORY}/{name}" for name in ("server.crt", "server.key", "ca.crt")]
    texts = {
        "pg_hba.conf": postgres.hba(),
        "postgresql.conf": postgres.conf(_own() | settings, data=_PGDATA),
        "pgbouncer-21.ini": _ini(spec, (1, 21, 0)),
        "pgbouncer-24.ini": _ini(spec, (1, 24, 0)),
        "userlist.txt": pgbouncer.userlist(spec),
        "pgpass": reaping.passwords(spec),
        "reaper.sh": spec.reaper or "",
        "postgres.sh": _script("postgres"),
        "pgbouncer.sh": _script("pgbouncer"),
        "serve.sh": _script("serve"),
        _PASSWORD: spec.password,
        MARKER: marker.text(public(spec)),
    }
    if certificates is not None:
        tls = _own() | postgres.tls_settings(*paths[:2]) | settings
        texts |= {
            "postgresql-tls.conf": postgres.conf(tls, data=_PGDATA),
            "tls.ini": "".join(f"{k} = {v}\n" for k, v in pgbouncer.tls_settings(*paths).items()),
            "server.crt": certificates.certificate,
            "server.key": certificates.key,
            "ca.crt": certificates.ca,
        }
    if spec.has_data:
        texts[MADE] = "yes"
    if spec.rekeyed:
        texts |= {"passwords.sql": postgres.passwords(spec), "key": spec.derive("volume")}
    return texts


def public(spec: Spec) -> Spec:
    """What of it is everybody's who attaches, whatever of it is known by now."""
    return replace(
        spec, project=None, host=None, http_port=None, major=None, has_data=True, reaper=None
    )


def _own() -> dict[str, str]:
    return {"listen_addresses": HOST, "unix_socket_directories": ""}


def _ini(spec: Spec, version: tuple[int, int, int]) -> str:
    return pgbouncer.ini(
        spec,
        version,
        postgres_host=HOST,
        postgres_port=_POSTGRES_PORT,
        listen_addr=HOST,
        listen_port=_PGBOUNCER_PORT,
        auth_file=f"{DIRECTORY}/userlist.txt",
        clients=clients(spec),
    )


def clients(spec: Spec) -> int:
    """How many clients PgBouncer takes."""
    return pgbouncer.max_clients(spec, _FILES, otherwise=_CLIENTS)


def _script(name: str) -> str:
    return Path(__file__).with_name(f"{name}.sh").read_text(encoding="utf-8")


def secret(spec: Spec, texts: Mapping[str, str]) -> dict[str, Any]:
    """The Secret with these files."""
    data = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": _meta(spec.name), "data": data}


def texts_in(secret: Mapping[str, Any]) -> dict[str, str]:
    """The files of a Secret."""
    data = secret.get("data") or {}
    return {name: base64.b64decode(text).decode() for name, text in data.items()}


def stateful_set(
    spec: Spec, address: Address, images: tuple[str, str], texts: Mapping[str, str]
) -> dict[str, Any]:
    """The StatefulSet, with the hash of all that its pod is made from in the pod's annotations."""
    name = labels.object_name(spec.name)
    template: dict[str, Any] = {
        "metadata": {"labels": _labels(spec.name), "annotations": {labels.NAME: spec.name}},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": _GRACE,
            # Its own process is PID 1: one orphaned to Postgres looks like a crash of its own.
            "shareProcessNamespace": True,
            "securityContext": _pod_security(images[0]),
            "containers": _containers(spec, images),
            "volumes": [
                {"name": "files", "secret": {"secretName": name, "defaultMode": 0o440}},
                {"name": "shm", "emptyDir": {"medium": "Memory"}},
            ],
        },
    }
    lasting = {name: text for name, text in texts.items() if name not in _UNHASHED}
    made_from = spec.derive(json.dumps([template, lasting], sort_keys=True))[:16]
    template["metadata"]["annotations"][labels.MADE_FROM] = made_from
    meta = _meta(spec.name)
    meta["annotations"] |= {
        labels.POOL_MODE: spec.pool_mode.value,
        labels.CLIENTS: str(clients(spec)),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": meta,
        "spec": {
            "replicas": 1,
            "serviceName": name,
            # One that never became ready is replaced as well, when it is made from something else.
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {labels.INSTANCE: name}},
            "template": template,
            "volumeClaimTemplates": [_claim(spec, address)],
        },
    }


def _labels(name: str) -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": "devdb", labels.INSTANCE: labels.object_name(name)}


def _meta(name: str) -> dict[str, Any]:
    return {
        "name": labels.object_name(name),
        "labels": _labels(name),
        "annotations": {labels.NAME: name},
    }


def _claim(spec: Spec, address: Address) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": address.size}},
    }
    if address.storage_class:
        wanted["storageClassName"] = address.storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _meta(spec.name) | {"name": "data"},
        "spec": wanted,
    }


def _pod_security(image: str) -> dict[str, Any]:
    """What Kubernetes calls `restricted`, and who owns the volume."""
    server = next((user for part, user in _SERVERS.items() if part in image), _SERVER)
    return {
        "runAsNonRoot": True,
        "runAsUser": server,
        "runAsGroup": server,
        "fsGroup": server,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _containers(spec: Spec, images: tuple[str, str]) -> list[dict[str, Any]]:
    server, pooler = images
    shm = {"name": "shm", "mountPath": "/dev/shm"}  # noqa: S108 - Docker's 64 MB are too few
    data = {"name": "data", "mountPath": _DATA}
    servers = (HOST, _POSTGRES_PORT), (HOST, _PGBOUNCER_PORT)
    reaper = reaping.environment(*servers, PGPASS)
    containers = [
        _container(labels.POSTGRES, server, _own_pgpass("sh $FILES/postgres.sh"))
        | {
            "env": _env({"FILES": DIRECTORY, "PGDATA": _PGDATA}),
            "volumeMounts": [_files(), data, shm],
            "startupProbe": _probe(_POSTGRES_PORT),
        },
        _container(labels.PGBOUNCER, pooler, "exec sh $FILES/pgbouncer.sh", user=_NOBODY)
        | {
            "env": _env({"FILES": DIRECTORY}),
            "startupProbe": _probe(_PGBOUNCER_PORT),
        },
    ]
    if spec.reaper:
        command = _own_pgpass("sh $FILES/reaper.sh")
        containers.append(
            _container(labels.REAPER, server, command, user=_NOBODY)
            | {"env": _env({"FILES": DIRECTORY} | reaper)}
        )
    return containers


def _container(name: str, image: str, command: str, *, user: int | None = None) -> dict[str, Any]:
    security: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    if user is not None:
        security |= {"runAsUser": user, "runAsGroup": user}
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", command],
        "securityContext": security,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [_files()],
    }


def _own_pgpass(command: str) -> str:
    """The command, after a copy of the passwords as libpq takes them: one of nobody else's."""
    return f"(umask 077; cp -f {DIRECTORY}/pgpass {PGPASS}); exec {command}"


def _files() -> dict[str, Any]:
    return {"name": "files", "mountPath": DIRECTORY, "readOnly": True}


def _env(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _probe(port: int) -> dict[str, Any]:
    """Whether it listens; asked until it does, and never again. A long recovery is no failure."""
    command = ["sh", "-c", _LISTENS.format(port)]
    return {"exec": {"command": command}, "periodSeconds": 1, "failureThreshold": 86_400}


def address_in_pod(*, pooled: bool = False) -> list[str]:
    """Where the servers are for a client program in the pod."""
    return ["-h", HOST, "-p", str(_PGBOUNCER_PORT if pooled else _POSTGRES_PORT)]
