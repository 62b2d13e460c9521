"""`devdb http --create-db`: temporary databases for whoever asks the gateway of an instance."""

from __future__ import annotations

import threading
from datetime import timedelta

from devdb import databases
from devdb.databases import Kind, Stage
from devdb.gateway.createdb import Full, Made, Offer
from devdb.model import Spec
from devdb.urls import url

MOST = 50
"""Temporary databases of the instance that live at the same time, whoever made them."""


def offer(spec: Spec) -> Offer:
    """What makes them in that instance; it holds the instance's password."""
    making = _Making(spec)
    return Offer(instance=spec.name, make=making.make, prepare=databases.prepare)


def terms(spec: Spec, *, port: int, user: str) -> list[str]:
    """What is to be said before anybody is served; `user`: as whom the gateway runs."""
    address = f"http://127.0.0.1:{port}"
    return [
        f"create-db: every user and program of this machine can make databases in '{spec.name}': "
        f"{MOST} at most, 24 h each unless asked otherwise",
        f"create-db: for that the password of '{spec.name}' is in this process' memory, and "
        f"nowhere else; it runs as {user}",
        f"use it: CREATE_DB_WORKER_URL={address} CLAIM_DB_WORKER_URL={address} "
        "npx create-db -r us-east-1",
    ]


class _Making:
    """Makes databases, in several threads, and never more than `MOST`."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._lock = threading.Lock()
        self._begun = 0

    def make(self, name: str | None, ttl: timedelta | None) -> Made:
        """As of `Offer`."""
        with self._lock:
            there = [each for each in databases.every(self._spec) if each.kind == Kind.TEMPORARY]
            living = sum(each.state == Stage.READY for each in there)
            if living + self._begun >= MOST:
                raise Full(living + self._begun, MOST)
            self._begun += 1
        try:
            lifetime = databases.DEFAULT_TTL if ttl is None else ttl
            made = databases.create(self._spec, ttl=lifetime, name=name)
        finally:
            with self._lock:
                self._begun -= 1
        return Made(name=made.name, direct=url(made.direct), pooled=url(made.pooled))
