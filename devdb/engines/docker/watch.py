"""Noticing that a start will never end: a server that went away, or that says nothing any more."""

from __future__ import annotations

import re
import time
from threading import Event, Lock
from typing import TYPE_CHECKING

from devdb.engines.docker import labels
from devdb.errors import StartFailed, TimedOut
from devdb.model import Spec

if TYPE_CHECKING:
    from docker import APIClient

_LOOK_EVERY = 0.5
_READ_EVERY = 5.0
PATIENCE = 60.0
"""Seconds without a word from the servers after which a start is given up."""
_NO_PROGRESS = re.compile(r"FATAL|DETAIL|\b[CS]-0x|LOG stats|server_login_retry")
"""What the servers say to our own attempts, and PgBouncer every minute."""
_SERVERS = {labels.POSTGRES: "Postgres", labels.PGBOUNCER: "PgBouncer"}


class Vanished(StartFailed):
    """A container was removed under our hands, by somebody or by a dead devdb's last request."""


def watch(client: APIClient, spec: Spec, given_up: Event, changing: Lock) -> None:
    """Look at the servers until it is given up; not while `changing` is held.

    Raises StartFailed when one ends, TimedOut when they neither answer nor say anything new.
    """
    restarts: dict[str, int] = {}
    heard: set[str] = set()
    read_at = heard_at = time.monotonic()
    while not given_up.wait(_LOOK_EVERY):
        with changing:
            for part in _SERVERS:
                _check(client, spec, part, restarts)
        now = time.monotonic()
        if now - read_at < _READ_EVERY:
            continue
        read_at = now
        lines = {line for part in _SERVERS for line in _tail(client, spec.name, part)}
        news = {line for line in lines if not _NO_PROGRESS.search(line)}
        if not news <= heard:
            heard, heard_at = news, now
        if now - heard_at > PATIENCE:
            words = {part: said(client, spec.name, part) for part in _SERVERS}
            raise TimedOut(
                f"No login within {PATIENCE:g} s; {_quote(words)}.",
                f"`devdb logs -n {spec.name}` shows more; then try again.",
            )


def _check(client: APIClient, spec: Spec, part: str, restarts: dict[str, int]) -> None:
    from docker.errors import NotFound

    try:
        container = client.inspect_container(labels.object_name(spec.name, part))
    except NotFound:
        container = {"State": {"Status": "removing"}}
    state = container["State"]
    if state["Status"] in ("removing", "dead"):
        raise Vanished(
            f"The {part} container was removed while it started.", "Try again: `devdb up`."
        )
    restarts.setdefault(part, container["RestartCount"])
    if state["Running"] and container["RestartCount"] <= restarts[part]:
        return
    words = {part: said(client, spec.name, part)}
    raise StartFailed(
        f"{_SERVERS[part]} ended with exit code {state['ExitCode']}; {_quote(words)}.",
        "Mend what it complains about (a setting? the image?), then `devdb up` again.",
    )


def said(client: APIClient, name: str, part: str) -> str:
    """What a server said last, on one line: its complaints if it has any."""
    lines = _tail(client, name, part)
    complaints = [line for line in lines if re.search("FATAL|PANIC|[Ee]rror|ERROR", line)]
    return " / ".join((complaints or lines)[-3:])


def _tail(client: APIClient, name: str, part: str) -> list[str]:
    text = client.logs(labels.object_name(name, part), tail=25).decode(errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _quote(words: dict[str, str]) -> str:
    texts = (f"the last words of {part}: {text or 'none'}" for part, text in words.items())
    return "; ".join(texts).rstrip(".")
