"""Brings the ports of an instance's pod to 127.0.0.1 here, whichever pod that is: the command that
the forwarder keeps running.

`kubectl port-forward` stays with one pod, and notices only at its next use that it is gone. So the
pod is watched: one that is going is let go of at once, and the one in its place is taken when it
runs. The program imports nothing of devdb's: it has to be small, and runs for as
long as the instance.
"""

from __future__ import annotations

import queue
import subprocess
import sys
import threading
import time

OVER = "(NotFound)"
"""What it says where the instance is gone."""
_STATE = "{.metadata.uid} {.status.phase} {.metadata.deletionTimestamp}"
_LISTENING = "Forwarding from"
_PAUSE = 0.3
"""Seconds before what has ended is tried again."""
Event = tuple[str, str]
"""What happened (`pod`, `ended`) and to which pod."""
_children: list[subprocess.Popen[str]] = []
"""Who waits for our end waits for theirs: they have the same stderr."""


def _begin(command: list[str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    _children[:] = [*(child for child in _children if child.poll() is None), process]
    return process


class _Forward:
    """One `kubectl port-forward`, to one pod."""

    def __init__(self, command: list[str], pod: str, events: queue.Queue[Event]) -> None:
        self._process = _begin(command)
        self._pod = pod
        self._events = events
        self.has_listened = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.has_listened = self.has_listened or line.startswith(_LISTENING)
        self._process.wait()
        self._events.put(("ended", self._pod))

    def end(self) -> None:
        self._process.terminate()
        self._process.wait()


def _watch(kubectl: list[str], name: str, events: queue.Queue[Event]) -> None:
    """Tell which pod runs, each time that this changes; "" for none."""
    get = ["get", "pods", "-l", f"devdb.instance={name}", "-w", "-o", f'jsonpath={_STATE}{{"\\n"}}']
    while True:
        with _begin([*kubectl, *get]) as process:
            assert process.stdout is not None
            for line in process.stdout:
                match line.split():
                    case [uid, "Running"]:
                        events.put(("pod", uid))
                    case _:
                        events.put(("pod", ""))
        # The server ends each after half an hour or so, which is no news of the pod.
        time.sleep(_PAUSE)


def _require(kubectl: list[str], name: str) -> None:
    """End where the instance is gone: there will be no other pod."""
    asked = subprocess.run(
        [*kubectl, "get", "statefulset", name, "-o", "name"], capture_output=True, text=True
    )
    if OVER in asked.stderr:
        sys.exit(asked.stderr)


def main(name: str, direct: str, pooled: str, kubectl: list[str]) -> None:
    """Bring both ports, until the instance is gone or they cannot be brought."""
    events: queue.Queue[Event] = queue.Queue()
    threading.Thread(target=_watch, args=(kubectl, name, events), daemon=True).start()
    command = [*kubectl, "port-forward", "--address=127.0.0.1", f"pod/{name}-0"]
    command += [f"{direct}:5432", f"{pooled}:6432"]
    forward, pod = None, ""
    while True:
        happened, which = events.get()
        if happened == "pod" and which != pod:
            if forward is not None:
                forward.end()
            forward = _Forward(command, which, events) if which else None
            pod = which
            if not which:
                _require(kubectl, name)
        elif happened == "ended" and which == pod and forward is not None:
            if not forward.has_listened:
                sys.exit(1)  # it has said why
            time.sleep(_PAUSE)
            forward = _Forward(command, pod, events)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
    finally:
        for child in _children:
            child.kill()
