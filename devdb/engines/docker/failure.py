"""Noticing that a start will never end: a server that went away, or that says nothing any more."""

from __future__ import annotations

import re
import time
from threading import Event, Lock
from typing import TYPE_CHECKING

from devdb.engines import refusal
from devdb.engines.docker.find import moment
from devdb.engines.docker.labels import Identity
from devdb.errors import StartFailed, TimedOut
from devdb.model import SERVERS, Spec, title

if TYPE_CHECKING:
    from docker import APIClient

_LOOK_EVERY = 0.5
_READ_EVERY = 5.0
PATIENCE = 60.0
"""Seconds without a word from the servers after which a start is given up."""
_NO_PROGRESS = re.compile(r"FATAL|DETAIL|\b[CS]-0x|LOG stats|server_login_retry")
"""What the servers say to our own attempts, and PgBouncer every minute."""
_SHOWN = 100
"""Lines in which the last complaint is looked for, to be shown."""
_ROOM = (
    "Make room, or inodes, on the disk of the Docker engine (what takes it: docker system df; "
    "devdb ls), then: devdb up -d -n {}"
)
_KILLED = 137
"""The exit code that the engine gives to SIGKILL."""


class Vanished(StartFailed):
    """A container was killed or removed under our hands, by somebody or by a dead devdb's last
    request."""


def watch(
    client: APIClient, spec: Spec, identity: Identity, given_up: Event, changing: Lock
) -> None:
    """Look at the servers until it is given up; not while `changing` is held.

    Raises StartFailed when one ends, TimedOut when they neither answer nor say anything new.
    """
    restarts: dict[str, int] = {}
    heard: dict[str, str] = {}
    read_at = heard_at = time.monotonic()
    while not given_up.wait(_LOOK_EVERY):
        with changing:
            for part in SERVERS:
                _check_server(client, spec, identity.object_name(part), part, restarts)
        now = time.monotonic()
        if now - read_at < _READ_EVERY:
            continue
        read_at = now
        if any(_has_news(client, identity.object_name(part), heard) for part in SERVERS):
            heard_at = now
        if now - heard_at > PATIENCE:
            words = {part: _said(client, identity.object_name(part)) for part in SERVERS}
            raise TimedOut(
                f"No login within {PATIENCE:g} s; {_last_words(words)}.",
                f"`devdb logs -n {spec.name}` shows more; then try again.",
            )


def _check_server(
    client: APIClient, spec: Spec, name: str, part: str, restarts: dict[str, int]
) -> None:
    from docker.errors import NotFound

    try:
        container = client.inspect_container(name)
    except NotFound:
        container = {"State": {"Status": "removing"}}
    state = container["State"]
    if state["Status"] in ("removing", "dead"):
        raise Vanished(
            f"The {part} container was removed while it started.",
            f"Try again: devdb up -d -n {spec.name}",
        )
    restarts.setdefault(part, container["RestartCount"])
    if state["Running"] and container["RestartCount"] <= restarts[part]:
        return
    words = {part: _said(client, name)}
    # One that dies by itself is started again by the engine; one that the engine was told to kill,
    # maybe by a devdb that is dead, is not.
    is_restarted = container["RestartCount"] > restarts[part]
    if state["ExitCode"] == _KILLED and not (is_restarted or state.get("OOMKilled")):
        raise Vanished(
            f"{title(part)} was killed while it started; {_last_words(words)}.",
            f"Try again: devdb up -d -n {spec.name}",
        )
    raise StartFailed(
        f"{title(part)} ended with exit code {state['ExitCode']}; {_last_words(words)}.",
        refusal.of_end(words[part], spec, part, room=_ROOM.format(spec.name)),
    )


def _has_news(client: APIClient, container: str, heard: dict[str, str]) -> bool:
    """Whether it said anything but the same since it was last listened to.

    `heard`: the engine's time stamp of each container's last line until then.
    """
    before = heard.get(container)
    if before is None:
        text = client.logs(container, timestamps=True, tail=1)
    else:
        text = client.logs(container, timestamps=True, since=moment(before))
    lines = [
        line.split(" ", 1) for line in text.decode(errors="replace").split("\n") if " " in line
    ]
    news = [line for line in lines if before is None or line[0] > before]
    if news:
        heard[container] = news[-1][0]
    return any(not _NO_PROGRESS.search(line[-1]) for line in news)


def _said(client: APIClient, container: str) -> str:
    """What a server said last, on one line."""
    text = client.logs(container, tail=_SHOWN).decode(errors="replace")
    return refusal.last_words(text)


def _last_words(words: dict[str, str]) -> str:
    texts = (f"the last words of {part}: {text or 'none'}" for part, text in words.items())
    return "; ".join(texts).rstrip(".")
