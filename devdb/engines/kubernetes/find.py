"""What there is of an instance in the cluster at this moment, and how it reads as a Server."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from devdb.engines.forward import PART, Forwarder
from devdb.engines.kubernetes import labels
from devdb.engines.kubernetes.address import Address
from devdb.engines.kubernetes.kubectl import Kubectl, Thing
from devdb.model import Part, PartState, PoolMode, Server

_KINDS = "statefulsets,pods,persistentvolumeclaims"
_STUCK = ("BackOff", "Err", "Invalid")
"""In the reasons for which a container waits that never passes by itself, or not soon."""
ENDED = "CrashLoopBackOff"
"""The one of them that says that it ran, and ended."""


@dataclass(slots=True)
class Found:
    """Everything of one instance, apart from its Secret."""

    name: str
    stateful_set: Thing | None = None
    pod: Thing | None = None
    claim: Thing | None = None

    def __bool__(self) -> bool:
        return bool(self.stateful_set or self.pod or self.claim) and not self.is_going

    @property
    def is_going(self) -> bool:
        """Whether what is left is over, and only not gone yet: the cluster removes it for sure."""
        left = [thing for thing in (self.pod, self.claim) if thing]
        is_over = self.pod is None or has_ended(self.pod)
        return bool(left) and self.stateful_set is None and is_over and all(map(is_going, left))

    @property
    def is_wanted(self) -> bool:
        """Whether it is to run."""
        return bool(self.stateful_set and self.stateful_set["spec"].get("replicas"))

    @property
    def versions(self) -> dict[str, str]:
        """Those of its servers, as they were last ready; empty: not known, or never ready."""
        found: dict[str, str] = json.loads(_annotation(self.stateful_set, labels.VERSIONS) or "{}")
        return found

    @property
    def major(self) -> int | None:
        """That of its Postgres, where it was ever ready."""
        version = self.versions.get(labels.POSTGRES)
        return int(version.partition(".")[0]) if version else None

    @property
    def has_data(self) -> bool:
        """Whether there is data, as far as is known: such as was never ready is none."""
        if self.claim is None or is_going(self.claim):
            return False
        return self.stateful_set is None or bool(self.versions)


def look(kubectl: Kubectl, name: str) -> Found:
    """What there is of the instance; an empty Found when nothing is."""
    items = kubectl.get(_KINDS, "-l", labels.selector(name))
    return next(iter(_grouped(items)), Found(name))


def look_at_all(kubectl: Kubectl) -> list[Found]:
    """What there is of each instance in the namespace, by name."""
    items = kubectl.get(_KINDS, "-l", labels.INSTANCE)
    return sorted(filter(None, _grouped(items)), key=lambda found: found.name)


def _grouped(items: Iterable[Thing]) -> Iterable[Found]:
    found: defaultdict[str, Found] = defaultdict(lambda: Found(""))
    for item in items:
        mine = found[item["metadata"]["labels"][labels.INSTANCE]]
        mine.name = _annotation(item, labels.NAME) or mine.name
        match item["kind"]:
            case "StatefulSet":
                mine.stateful_set = item
            case "Pod":
                mine.pod = item
            case _:
                mine.claim = item
    return [one for one in found.values() if one.name]


def _annotation(thing: Thing | None, name: str) -> str:
    return str(((thing or {}).get("metadata", {}).get("annotations") or {}).get(name, ""))


def made_from(pod: Thing) -> str:
    """The hash of what that pod was made from."""
    return _annotation(pod, labels.MADE_FROM)


def is_going(thing: Thing) -> bool:
    """Whether it is being deleted."""
    return "deletionTimestamp" in thing["metadata"]


def statuses(pod: Thing) -> dict[str, Thing]:
    """What the cluster says of each container of that pod that it has begun with."""
    return {each["name"]: each for each in pod.get("status", {}).get("containerStatuses") or ()}


def is_stuck(reason: str) -> bool:
    """Whether a container that waits for that reason does so in vain, or for long."""
    return any(word in reason for word in _STUCK)


def has_ended(pod: Thing) -> bool:
    """Whether that pod is going, and nothing runs in it any more.

    What was removed before anybody looked, Kubernetes has as one that waits, and that had ended.
    """
    its = statuses(pod).values()
    is_over = all("terminated" in (*each["state"], *each.get("lastState", {})) for each in its)
    is_unbegun = "nodeName" in pod["spec"] and not its
    is_at_work = any("running" in each["state"] for each in its)
    return is_going(pod) and is_over and not is_unbegun and not is_at_work


def has_started(pod: Thing, part: str) -> bool:
    """Whether that server of the pod listens, or did."""
    status = statuses(pod).get(part, {})
    return "running" in status.get("state", {}) and status.get("started") is not False


def server(found: Found, address: Address) -> Server:
    """The instance as every engine describes it; it was found at that address."""
    names = [labels.POSTGRES, labels.PGBOUNCER]
    template: dict[str, Any] = (found.stateful_set or {}).get("spec", {}).get("template", {})
    containers = template.get("spec", {}).get("containers") or ()
    if any(each["name"] == labels.REAPER for each in containers):
        names.append(labels.REAPER)
    parts = [_part(found, name) for name in names]
    is_up = any(part.state in (PartState.RUNNING, PartState.STARTING) for part in parts)
    stopped = Part(name=PART, state=PartState.STOPPED)
    parts.append(Forwarder(found.name).part() if is_up else stopped)
    clients = _annotation(found.stateful_set, labels.CLIENTS)
    mode = _annotation(found.stateful_set, labels.POOL_MODE)
    return Server(
        name=found.name,
        engine="kubernetes",
        parts=tuple(parts),
        pool_mode=PoolMode(mode) if mode else PoolMode.TRANSACTION,
        location=f"claim {labels.claim_name(found.name)} in the namespace {address.namespace} "
        f"of the context {address.context}",
        max_clients=int(clients) if clients else None,
    )


def _part(found: Found, name: str) -> Part:
    state, detail = _state(found, name)
    running = statuses(found.pod or {}).get(name, {}).get("state", {}).get("running")
    return Part(
        name=name,
        state=state,
        version=found.versions.get(name),
        started=moment(running["startedAt"]) if running else None,
        detail=detail,
    )


def _state(found: Found, name: str) -> tuple[PartState, str]:
    pod = found.pod
    if pod is None:
        state = PartState.STARTING if found.is_wanted else PartState.STOPPED
        return state, "waits for its pod" if found.is_wanted else "no pod"
    where = f"pod {pod['metadata']['name']}"
    status = statuses(pod).get(name, {}).get("state", {})
    if "running" in status:
        is_up = has_started(pod, name)
        return PartState.RUNNING if is_up else PartState.STARTING, where
    if not found.is_wanted:
        return PartState.STOPPED, where
    if "terminated" in status and not is_going(pod):
        return PartState.DEAD, f"{where}, exit code {status['terminated'].get('exitCode')}"
    reason = status.get("waiting", {}).get("reason", "")
    if is_stuck(reason):
        return PartState.DEAD, f"{where}, {reason}"
    return PartState.STARTING, f"{where}, {reason}" if reason else where


def moment(text: str) -> datetime:
    """A time as the cluster writes it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
