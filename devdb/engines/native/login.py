"""The logins that make an instance READY."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from devdb import pgbouncer, postgres, sessions
from devdb.engines.native.config import Config
from devdb.engines.refusal import Refusals, is_crowded, other_password
from devdb.model import Endpoint, Spec
from devdb.wire import Refused

_RETRY = 0.005


def log_in(config: Config, template_password: str | None, cancelled: threading.Event) -> None:
    """Log in to Postgres and set it up, then log in by both URLs; until it works.

    `template_password` is what the superuser of new data has for a password until now.
    Raises DataMismatch when the data has another password than the marker, and LetsNobodyIn
    when a server keeps saying no.
    """
    spec = config.spec
    by_postgres, by_pooler = Refusals.of_postgres(spec), Refusals.of_pooler(spec)
    if template_password is not None:
        first = replace(spec.direct, password=template_password)
        _until(lambda: postgres.set_password(first, spec.password), by_postgres, cancelled)
    _until(lambda: _set_up(config), by_postgres, cancelled)
    _until(lambda: _lets_in(spec, spec.direct), by_postgres, cancelled)
    _until(lambda: _lets_in(spec, spec.pooled), by_pooler, cancelled)


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


def _set_up(config: Config) -> bool:
    spec = config.spec
    try:
        return postgres.set_up(spec, lookup_everywhere=config.looks_up_everywhere) is not None
    except Refused:
        if postgres.knows_password(spec.direct):
            raise
        raise other_password(spec) from None


def _lets_in(spec: Spec, endpoint: Endpoint) -> bool:
    try:
        return bool(sessions.version(endpoint, timeout=2))
    except (Refused, TimeoutError) as error:
        if pgbouncer.is_full(error) or is_crowded(spec):
            return True
        raise
