"""The pod of an instance while it starts or ends, as the cluster tells of each change."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator

from devdb.engines.kubernetes import labels
from devdb.engines.kubernetes.kubectl import Kubectl, Thing
from devdb.errors import DevdbError

_PAUSE = 0.3
"""Seconds before a cluster that ended the watch is asked for another."""
_SILENCE = 15.0
"""Seconds that the cluster may be out of reach in the middle of a start."""


class Watch:
    """Keeps the pod as it was last told of, in a thread of its own, until it is closed."""

    def __init__(self, kubectl: Kubectl, name: str, pod: Thing | None) -> None:
        """`pod`: as it was found before."""
        self.pod = pod
        self.heard = time.monotonic()
        """When it was last told of."""
        self._kubectl = kubectl
        words = ("get", "pods", "-l", labels.selector(name), "-w", "--output-watch-events")
        self._command = kubectl.argv(*words, "-o", "json")
        self._closed = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._lost: tuple[float, str] | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while not self._closed.is_set():
            with subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as self._process:
                if self._closed.is_set():  # between the two
                    self._process.kill()
                assert self._process.stdout is not None
                assert self._process.stderr is not None
                for event in _documents(self._process.stdout):
                    self.pod = None if event["type"] == "DELETED" else event["object"]
                    self.heard, self._lost = time.monotonic(), None
                said = self._process.stderr.read()
            if self._process.returncode:
                self._lost = (self._lost or (time.monotonic(), ""))[0], said
            self._closed.wait(_PAUSE)

    @property
    def trouble(self) -> DevdbError | None:
        """Why nothing can be told of it, for so long that it is a failure."""
        lost = self._lost
        is_long = lost is not None and time.monotonic() - lost[0] > _SILENCE
        return self._kubectl.error(lost[1]) if lost is not None and is_long else None

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        self._closed.set()
        if self._process is not None:
            self._process.kill()


def _documents(lines: Iterable[str]) -> Iterator[Thing]:
    """The events that kubectl prints, each on one line, or on many whose last is a brace alone."""
    text: list[str] = []
    for line in lines:
        text.append(line)
        if line.startswith('{"') or line.rstrip("\n") == "}":
            yield json.loads("".join(text))
            text = []
