"""The logins that make an instance READY."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from devdb import postgres
from devdb.engines.native.config import Config
from devdb.errors import DataMismatch

_RETRY = 0.005


def log_in(config: Config, template_password: str | None, cancelled: threading.Event) -> None:
    """Log in to Postgres and set it up, then log in through PgBouncer; until it works.

    `template_password` is what the superuser of new data has for a password until now.
    Raises DataMismatch when the data has another password than the marker.
    """
    spec = config.spec
    if template_password is not None:
        first = replace(spec.direct, password=template_password)
        while not cancelled.is_set() and not postgres.set_password(first, spec.password):
            time.sleep(_RETRY)
    while not cancelled.is_set():
        if postgres.set_up(spec, lookup_everywhere=config.looks_up_everywhere) is not None:
            break
        if not postgres.knows_password(spec.direct):
            raise DataMismatch(
                f"The data of '{spec.name}' has another password than its marker.",
                f"The marker was lost or replaced: put it back, or devdb rm {spec.name}",
            )
        time.sleep(_RETRY)
    while not cancelled.is_set() and postgres.probe(spec.pooled) is None:
        time.sleep(_RETRY)
