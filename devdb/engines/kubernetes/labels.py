"""The names, labels and annotations of what devdb makes in a cluster.

Names are the namespace's: whoever may work in it can attach to an instance by its name.
"""

from __future__ import annotations

import hashlib
import re

INSTANCE = "devdb.instance"
"""A label, the object's name: what instances are called need not be the value of a label."""
NAME = "devdb/name"
"""An annotation, as all below: what the instance is called."""
MADE_FROM = "devdb/made-from"
"""On a pod: a keyed hash of all that it was made from."""
AGAIN = "devdb/again"
"""On a pod: when it was last made anew although nothing had changed."""
VERSIONS = "devdb/versions"
"""On a StatefulSet from when it was ready once: the versions of its servers, as JSON."""
POOL_MODE = "devdb/pool-mode"
CLIENTS = "devdb/clients"
"""How many can come by the pooled URL."""

POSTGRES = "postgres"
PGBOUNCER = "pgbouncer"
REAPER = "reaper"
_LENGTH = 38


def object_name(instance: str) -> str:
    """What its StatefulSet and its Secret are called: at most 52 characters, as a label's value.

    The label that the controller makes of a StatefulSet's name has room for no more (63).
    """
    if re.fullmatch("[a-z0-9]([a-z0-9-]*[a-z0-9])?", instance):
        return f"devdb-{instance}"
    word = re.sub("[^a-z0-9]+", "-", instance)[:_LENGTH].strip("-")
    return f"devdb-{word}-{hashlib.sha256(instance.encode()).hexdigest()[:5]}"


def pod_name(instance: str) -> str:
    """The one pod, as the StatefulSet calls it."""
    return f"{object_name(instance)}-0"


def claim_name(instance: str) -> str:
    """The claim of its volume, as the StatefulSet calls it."""
    return f"data-{object_name(instance)}-0"


def selector(instance: str) -> str:
    """What selects all of the instance but the Secret."""
    return f"{INSTANCE}={object_name(instance)}"
