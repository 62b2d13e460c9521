"""What the servers wrote, of all containers of an instance's pod, in the order in which it came."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from contextlib import closing

from devdb.engines.container_logs import follow as followed
from devdb.engines.container_logs import in_order
from devdb.engines.kubernetes import find
from devdb.engines.kubernetes.find import Found
from devdb.engines.kubernetes.kubectl import Kubectl
from devdb.model import LogLine


def read(kubectl: Kubectl, found: Found, *, tail: int, follow: bool) -> Iterator[LogLine | None]:
    """The last `tail` lines of each server, by the cluster's time stamps, then what comes.

    None now and then while nothing comes. Of a pod that is gone the cluster keeps no lines.
    """
    if found.pod is None:
        return
    words = ["logs", found.pod["metadata"]["name"], "--timestamps", f"--tail={tail}"]
    words += ["--follow"] if follow else []
    containers = [
        _Container(part, kubectl.argv(*words, "-c", part))
        for part, status in find.statuses(found.pod).items()
        if "waiting" not in status["state"]
    ]
    with closing(followed(containers)) as lines:
        # What has no time stamp is a node's own word: that a log is gone, say.
        told = (line for line in lines if line is None or line.moment is not None)
        yield from told if follow else in_order(line for line in told if line is not None)


class _Container:
    """One of the pod's, whose log a kubectl prints."""

    def __init__(self, part: str, command: list[str]) -> None:
        self.part = part
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def chunks(self) -> Iterable[bytes]:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            yield from lines

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
