"""The kubernetes engine: an instance as one pod of a team's cluster, its data in a claim's volume.

`kubectl` is the only client, with whatever configuration the user has for it. In the pod all
listen on its 127.0.0.1, so that only `kubectl port-forward` reaches them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devdb.engines import Engine


def at(host: str | None) -> Engine:
    """The engine at that address; None: where kubectl's own configuration points."""
    from devdb.engines.kubernetes.engine import KubernetesEngine

    return KubernetesEngine(host)
