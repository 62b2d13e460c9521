"""Stopping an instance in the cluster, and removing what it consists of."""

from __future__ import annotations

import json
import time
from contextlib import suppress

from devdb.engines.forward import Forwarder
from devdb.engines.kubernetes import find, labels
from devdb.engines.kubernetes.find import Found
from devdb.engines.kubernetes.kubectl import Kubectl, Missing
from devdb.engines.kubernetes.watch import Watch
from devdb.errors import TimedOut

_PATIENCE = 320
"""Seconds: a little longer than the cluster waits before it kills the servers."""
_PAUSE = 0.05
_SILENCE = 2.0
"""Seconds without news of a pod, after which it is asked for."""


def stop(kubectl: Kubectl, name: str) -> None:
    """Have no pod of it, and wait until there is none."""
    Forwarder(name).end()
    with suppress(Missing):
        none = json.dumps({"spec": {"replicas": 0}})
        kubectl.ask("patch", "statefulset", labels.object_name(name), "-p", none)
    _outlast(kubectl, find.look(kubectl, name))


def _outlast(kubectl: Kubectl, found: Found) -> None:
    """Wait until its servers have ended; until their pod is gone it may take much longer."""
    began = asked = time.monotonic()
    with Watch(kubectl, found.name, found.pod) as watch:
        while watch.pod is not None and not find.has_ended(watch.pod):
            if watch.trouble:
                raise watch.trouble
            now = time.monotonic()
            if now - max(watch.heard, asked) > _SILENCE:
                asked = now
                if find.look(kubectl, found.name).pod is None:  # gone before it was watched
                    break
            if now - began > _PATIENCE:
                pod = labels.pod_name(found.name)
                raise TimedOut(
                    f"The pod {pod} has not ended after {_PATIENCE} s.",
                    f"What keeps it: kubectl describe pod {pod}",
                )
            time.sleep(_PAUSE)


def destroy(kubectl: Kubectl, name: str) -> None:
    """Remove all that there is of it, its data too, and wait until it is gone.

    The Secret goes first: what is left, should this be killed, is found by the next one.
    """
    Forwarder(name).end()
    own, claim = labels.object_name(name), labels.claim_name(name)
    things = (f"secret/{own}", f"statefulset/{own}", f"persistentvolumeclaim/{claim}")
    kubectl.ask("delete", "--ignore-not-found", "--wait=false", *things)
    while found := find.look(kubectl, name):
        _outlast(kubectl, found)
        time.sleep(_PAUSE)


def outlast_removal(kubectl: Kubectl, name: str) -> None:
    """Wait until nothing is left of what the cluster is removing."""
    while find.look(kubectl, name).is_going:
        time.sleep(_PAUSE)
