"""Noticing that a start will never end, and why, in the cluster's words and the servers' own."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace

from devdb.engines import refusal
from devdb.engines.kubernetes import find, labels
from devdb.engines.kubernetes.kubectl import Forbidden, Kubectl, Thing
from devdb.engines.kubernetes.watch import Watch
from devdb.engines.waiting import HEARTBEAT, attend, begin
from devdb.errors import DataMismatch, DevdbError, StartFailed, TimedOut
from devdb.model import SERVERS, Progress, Spec, title

PATIENCE = 60.0
"""Seconds without anything new after which a start is given up."""
_ASK_EVERY = 3.0
"""Seconds without news of the pod, after which is asked what else may tell of it."""
_PAUSE = HEARTBEAT / 3
_CLOCKS_DIFFER = 5
"""Seconds that the cluster's may be behind."""
_BEGINNING = ("ContainerCreating", "PodInitializing")
_SHOWN = 100
_NO_PROGRESS = re.compile("FATAL|DETAIL")
"""What Postgres says to our own attempts."""
_LAST_WORD = re.compile(
    "exceeded quota|failed quota|forbidden|storageclass.* not found|no storage class is set", re.I
)
"""Of what the cluster says of its own accord: what does not pass by itself."""
_TELLING = re.compile("Pulling|Failed|.*Provision|.*BackOff")
"""The reasons of its events that tell what is waited for, or why in vain."""


class Lookout:
    """Waits beside a start, and looks meanwhile whether it will ever end."""

    def __init__(
        self,
        kubectl: Kubectl,
        spec: Spec,
        watch: Watch,
        is_it: Callable[[Thing], bool],
        kept: Thing | None,
    ) -> None:
        """`is_it`: whether a pod is the one that is wanted; `kept`: one that was there before."""
        self._kubectl = kubectl
        self._spec = spec
        self._watch = watch
        self._is_it = is_it
        self._restarts = restarts(kept)
        self._checked: Thing | None = None
        self._began = time.time() - _CLOCKS_DIFFER
        self._asked = time.monotonic()
        self._heard = self._asked
        self._words = ""
        self._log = ""

    def until(self, is_done: Callable[[], bool], progress: Progress) -> Iterator[Progress]:
        """Tell this progress, and what is waited for, until that is done.

        Raises StartFailed where a server ends or cannot be started, EngineUnavailable where the
        cluster is out of reach, TimedOut where nothing new is heard.
        """
        while not is_done():
            said = yield from attend(begin(self._look), progress)
            yield replace(progress, detail=said) if said else progress
            time.sleep(_PAUSE)

    def _look(self) -> str:
        """What keeps it, in a few words; empty where nothing is known."""
        if self._watch.trouble:
            raise self._watch.trouble
        pod = self._watch.pod
        if pod is not None and pod is not self._checked and self._is_it(pod):
            self._checked = pod
            check(self._spec, pod, self._restarts)
        now = time.monotonic()
        self._heard = max(self._heard, self._watch.heard)
        if now - max(self._heard, self._asked) > _ASK_EVERY:
            self._asked = now
            if pod is not None and find.has_started(pod, labels.POSTGRES):
                self._words = ""
                self._listen(now)
            else:
                self._words = events(self._kubectl, self._spec, self._began)
            if now - self._heard > PATIENCE:
                raise too_long(self._spec, waits_for(pod) or self._words or self._log)
        return waits_for(pod) or self._words

    def _listen(self, now: float) -> None:
        """Take what Postgres says for news, such as how far its recovery is."""
        with suppress(DevdbError):
            command = ("logs", labels.pod_name(self._spec.name), "-c", labels.POSTGRES)
            lines = self._kubectl.ask(*command, f"--tail={_SHOWN}").splitlines()
            told = [line for line in lines if not _NO_PROGRESS.search(line)]
            if told and told[-1] != self._log:
                self._log, self._heard = told[-1], now


def restarts(kept: Thing | None) -> dict[str, int]:
    """How often each server of a pod that was there before may have been started again.

    What runs in it may be dead already: a kubelet tells it a second or two later, and by then it
    has started it again. Only what ends after that is a start that failed.
    """
    its = find.statuses(kept or {}).items()
    return {part: one["restartCount"] + ("running" in one["state"]) for part, one in its}


def check(spec: Spec, pod: Thing, allowed: dict[str, int]) -> None:
    """Raise StartFailed where a server of that pod ended, or cannot be started.

    `allowed`: `restarts`; one that is not there yet may not be started again at all.
    """
    for part, status in find.statuses(pod).items():
        if part not in SERVERS:
            continue
        count = status["restartCount"]
        last = allowed.setdefault(part, count)
        waiting = status["state"].get("waiting", {})
        reason = waiting.get("reason", "")
        has_ended = "terminated" in status["state"] or reason == find.ENDED
        if count > last or (has_ended and count == last):
            raise _ended(spec, part, status)
        if not has_ended and find.is_stuck(reason):
            raise _of_image(spec, part, status["image"], waiting)


def _of_image(spec: Spec, part: str, image: str, waiting: Thing) -> StartFailed:
    said = " ".join(str(waiting.get("message") or waiting["reason"]).split())
    option = "--image" if part == labels.POSTGRES else "--pooler-image"
    return StartFailed(
        f"The cluster cannot start {title(part)} from {image}: {said.rstrip('.')}.",
        f"Name an image that its nodes can pull: devdb up -n {spec.name} {option} IMAGE",
    )


def _ended(spec: Spec, part: str, status: Thing) -> DevdbError:
    ended = status["state"].get("terminated") or status["lastState"].get("terminated") or {}
    # The end of its log: the pod's policy has it so.
    words = refusal.last_words(ended.get("message", ""))
    if found := re.search(r"devdb: the data was made by Postgres (\d+), not (\d+)", words):
        return DataMismatch(
            f"The data of '{spec.name}' was made by Postgres {found[1]}, not {found[2]}.",
            f"Start it with `--pg {found[1]}` and an image of that major, "
            "or make a new instance with `-n`.",
        )
    if "devdb: the data is gone" in words:
        return refusal.data_gone(spec, f"the volume of {labels.claim_name(spec.name)}")
    if found := re.search("devdb: (.*)", words):
        hint = "Name another image with `--image` or `--pooler-image`."
        if "clients" in found[1]:
            hint = "Ask for fewer: devdb.toml, [pgbouncer] max_client_conn."
        return StartFailed(f"{title(part)} cannot be used: {found[1]}.", hint)
    code = ended.get("exitCode", "?")
    told = f"its last words: {words or 'none'}".rstrip(".")
    room = f"Make the volume larger: kubectl edit pvc {labels.claim_name(spec.name)}"
    return StartFailed(
        f"{title(part)} ended with exit code {code}; {told}.",
        refusal.of_end(words, spec, part, room=room),
    )


def waits_for(pod: Thing | None) -> str:
    """What keeps the pod from running, in a few words; empty where nothing is known."""
    if pod is None:
        return "waiting for its pod"
    if find.is_going(pod):
        return "waiting for the last pod to go"
    for condition in pod.get("status", {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"waiting for a node: {condition.get('message', condition.get('reason', ''))}"
    for part, status in find.statuses(pod).items():
        reason = status["state"].get("waiting", {}).get("reason")
        if reason and reason not in _BEGINNING:
            return f"{part}: {reason}"
    return ""


def events(kubectl: Kubectl, spec: Spec, since: float) -> str:
    """What the cluster says last of the instance's objects, from that time on (`time.time`).

    Raises StartFailed where that is its last word. Who may not ask is told nothing.
    """
    own, pod = labels.object_name(spec.name), labels.pod_name(spec.name)
    claim = labels.claim_name(spec.name)
    told = ""
    with suppress(Forbidden):
        # By name: a busy namespace has thousands.
        things = (pod, claim, own)
        selectors = [f"--field-selector=involvedObject.name={thing}" for thing in things]
        for event in [each for one in selectors for each in kubectl.get("events", one)]:
            stamp = event.get("lastTimestamp")
            is_new = stamp is None or find.moment(stamp).timestamp() >= int(since)
            if not is_new:
                continue
            message = " ".join(event.get("message", "").split()).rstrip(".")
            if _LAST_WORD.search(message):
                raise StartFailed(
                    f"The cluster cannot make '{spec.name}': {message}.", _way_out(message, spec)
                )
            if _TELLING.match(event.get("reason", "")):
                told = message
    return told


def _way_out(message: str, spec: Spec) -> str:
    if "quota" in message:
        return "Make room in the namespace (kubectl describe quota), or ask for more."
    if "storage" in message:
        return "Name one of `kubectl get storageclass` in devdb.toml: [kubernetes] storage-class."
    return f"kubectl describe statefulset {labels.object_name(spec.name)}"


def too_long(spec: Spec, said: str) -> DevdbError:
    """The error for a pod that does not come to run."""
    return TimedOut(
        f"'{spec.name}' does not get to run within {PATIENCE:g} s; {said or 'nobody says why'}.",
        f"kubectl describe pod {labels.pod_name(spec.name)}",
    )


def is_broken(pod: Thing) -> bool:
    """Whether a server of that pod ended, or cannot be started: another pod may fare better."""
    for status in find.statuses(pod).values():
        reason = status["state"].get("waiting", {}).get("reason", "")
        if "terminated" in status["state"] or find.is_stuck(reason):
            return True
    return bool(pod.get("status", {}).get("phase") in ("Failed", "Succeeded"))
