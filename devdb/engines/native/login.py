"""The logins that make an instance READY."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from devdb import pgbouncer, postgres, sessions
from devdb.engines.native.config import Config
from devdb.engines.refusal import Refusals, is_crowded, other_password
from devdb.essentials import NO_DATABASE
from devdb.model import Endpoint, Spec
from devdb.wire import Refused

_RETRY = 0.005


def log_in(
    config: Config,
    template_password: str | None,
    cancelled: threading.Event,
    *,
    pooler_ran: bool,
) -> tuple[str, ...]:
    """Log in to Postgres and set it up, then log in by both URLs; until it works.

    `pooler_ran`: since before, so that apps may be in its pool. Returns what had to be made anew,
    in words.

    `template_password` is what the superuser of new data has for a password until now.
    Raises DataMismatch when the data has another password than the marker, and LetsNobodyIn
    when a server keeps saying no.
    """
    spec = config.spec
    by_postgres, by_pooler = Refusals.of_postgres(spec), Refusals.of_pooler(spec)
    if template_password is not None:
        first = replace(spec.direct, password=template_password)
        _until(lambda: postgres.set_password(first, spec.password), by_postgres, cancelled)
    notes: list[str] = []
    _until(lambda: _set_up(config, notes), by_postgres, cancelled)
    _until(lambda: _lets_in_directly(config, notes), by_postgres, cancelled)
    visit = partial(pgbouncer.visit, spec) if pooler_ran else partial(_ask, spec.pooled)
    _until(lambda: _lets_in(spec, visit), by_pooler, cancelled)
    return tuple(notes)


def _until(works: Callable[[], bool], refusals: Refusals, cancelled: threading.Event) -> None:
    while not cancelled.is_set():
        try:
            if works():
                return
        except Refused as refused:
            refusals.take(refused)
        except OSError:
            pass  # not yet
        time.sleep(_RETRY)


def _set_up(config: Config, notes: list[str]) -> bool:
    spec = config.spec
    try:
        done = postgres.set_up(spec, lookup_everywhere=config.looks_up_everywhere)
    except Refused:
        if postgres.knows_password(spec.direct):
            raise
        raise other_password(spec) from None
    notes += done.notes if done else ()
    return done is not None


def _lets_in_directly(config: Config, notes: list[str]) -> bool:
    known = len(notes)
    try:
        return _lets_in(config.spec, partial(_ask, config.spec.direct))
    except Refused as refused:
        # Dropped since it was looked for; what is not made anew by that is damaged.
        if refused.sqlstate != NO_DATABASE or not _set_up(config, notes) or len(notes) == known:
            raise
    return False


def _lets_in(spec: Spec, ask: Callable[[], object]) -> bool:
    try:
        ask()
    except (Refused, TimeoutError) as error:
        if pgbouncer.is_full(error) or is_crowded(spec):
            return True
        raise
    return True


def _ask(endpoint: Endpoint) -> None:
    sessions.version(endpoint, timeout=2)
