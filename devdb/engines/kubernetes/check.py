"""What `devdb doctor` says of the kubernetes engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial

from devdb.engines.kubernetes.address import Address
from devdb.engines.kubernetes.kubectl import ROLE, Kubectl
from devdb.engines.waiting import begin
from devdb.errors import DevdbError
from devdb.model import Finding, Level

_SUBJECT = "kubernetes"
_NEEDS = (
    ("statefulsets.apps", "get list create patch delete"),
    ("secrets", "get create patch delete"),
    ("persistentvolumeclaims", "list delete"),
    ("pods", "get list watch"),
    ("pods/log", "get"),
    ("pods/portforward", "create"),
    ("pods/exec", "create"),
    ("events", "list"),
)
_CAN_DO_WITHOUT = {
    "pods/exec": "a psql of the pod's, where this machine has none that is new enough",
    "events": "what the cluster says of a volume, a quota or an image",
    "pods/log": "devdb logs, and a server's last words",
}


def findings(address: Address) -> list[Finding]:
    """kubectl, the cluster, and each right and thing that an instance needs there."""
    try:
        kubectl = Kubectl(address).resolved()
        return [*_of_cluster(kubectl)]
    except DevdbError as error:
        return [Finding(level=Level.ERROR, subject=_SUBJECT, message=error.message, fix=error.hint)]


def _of_cluster(kubectl: Kubectl) -> Iterator[Finding]:
    where = kubectl.address
    told = json.loads(kubectl.ask("version", "-o", "json"))
    client, server = (told[side]["gitVersion"] for side in ("clientVersion", "serverVersion"))
    yield _info(f"kubectl {client}; Kubernetes {server} answers (context {where.context})")
    asked = [
        (what, verb, begin(partial(may, kubectl, verb, what)))
        for what, verbs in _NEEDS
        for verb in verbs.split()
    ]
    missing = [(what, verb) for what, verb, answer in asked if not answer.result()]
    if not missing:
        yield _info(f"the namespace {where.namespace} gives all the rights that devdb needs")
    for what, verb in missing:
        without = _CAN_DO_WITHOUT.get(what)
        yield Finding(
            level=Level.WARNING if without else Level.ERROR,
            subject=_SUBJECT,
            message=f"you may not {verb} {what} in the namespace {where.namespace}"
            + (f": there will not be {without}" if without else ""),
            fix=f"ask for a role like devdb's {ROLE}",
        )
    yield _of_storage(kubectl)


def may(kubectl: Kubectl, verb: str, what: str) -> bool:
    """Whether the user may do that; asked with `--subresource` for what is a part of a thing."""
    thing, _, part = what.partition("/")
    more = (f"--subresource={part}",) if part else ()
    try:
        return kubectl.ask("auth", "can-i", verb, thing, *more).strip().startswith("yes")
    except DevdbError as error:
        if error.message.rstrip(".").endswith("kubectl says: nothing"):
            return False  # its no is an exit code
        raise


def _of_storage(kubectl: Kubectl) -> Finding:
    wanted = kubectl.address.storage_class
    try:
        classes = kubectl.get("storageclasses")
    except DevdbError as error:
        return Finding(
            level=Level.WARNING,
            subject=_SUBJECT,
            message=f"whether there is a storage class nobody says: {error.message}",
        )
    names = {each["metadata"]["name"]: each["metadata"].get("annotations", {}) for each in classes}
    key = "storageclass.kubernetes.io/is-default-class"
    default = next((name for name, told in names.items() if told.get(key) == "true"), None)
    if wanted in names or (wanted is None and default):
        return _info(f"volumes are of the storage class {wanted or default}")
    known = ", ".join(names) or "none"
    what = f"storage class '{wanted}'" if wanted else "default storage class"
    return Finding(
        level=Level.ERROR,
        subject=_SUBJECT,
        message=f"the cluster has no {what}; it has: {known}",
        fix="name one in devdb.toml: [kubernetes] storage-class",
    )


def _info(message: str) -> Finding:
    return Finding(level=Level.INFO, subject=_SUBJECT, message=message)
