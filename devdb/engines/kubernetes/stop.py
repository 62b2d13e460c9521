"""Stopping an instance in the cluster, and removing what it consists of."""

from __future__ import annotations

import json
import time
from contextlib import suppress

from devdb.engines.forward import Forwarder
from devdb.engines.kubernetes import find, labels
from devdb.engines.kubernetes.kubectl import Kubectl, Missing
from devdb.errors import TimedOut

_PATIENCE = 320
"""Seconds: a little longer than the cluster waits before it kills the servers."""


def stop(kubectl: Kubectl, name: str) -> None:
    """Have no pod of it, and wait until there is none."""
    Forwarder(name).end()
    with suppress(Missing):
        none = json.dumps({"spec": {"replicas": 0}})
        kubectl.ask("patch", "statefulset", labels.object_name(name), "-p", none)
    _outlast(kubectl, name)


def _outlast(kubectl: Kubectl, name: str) -> None:
    pod, limit = f"pod/{labels.pod_name(name)}", f"--timeout={_PATIENCE}s"
    with suppress(Missing):
        # What is deleted at this moment is still there, but nobody says that it is to go.
        kubectl.ask("wait", "--for=delete", pod, limit, patience=_PATIENCE + 10)


def destroy(kubectl: Kubectl, name: str) -> None:
    """Remove all that there is of it, its data too, and wait until it is gone.

    The Secret goes first: what is left, should this be killed, is found by the next one.
    """
    Forwarder(name).end()
    own, claim = labels.object_name(name), labels.claim_name(name)
    things = (f"secret/{own}", f"statefulset/{own}", f"persistentvolumeclaim/{claim}")
    kubectl.ask("delete", "--ignore-not-found", "--wait=false", *things)
    deadline = time.monotonic() + _PATIENCE
    while find.look(kubectl, name):
        if time.monotonic() > deadline:
            raise TimedOut(
                f"'{name}' is not gone after {_PATIENCE} s: {', '.join(things)}.",
                f"What holds it: kubectl describe {things[-1]} pod/{labels.pod_name(name)}",
            )
        _outlast(kubectl, name)
        time.sleep(0.1)
