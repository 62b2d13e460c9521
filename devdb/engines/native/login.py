"""The logins that make an instance READY, done beside the start: psycopg is slow to import."""

from __future__ import annotations

import importlib
import threading
import time

from devdb import postgres
from devdb.engines.native.config import Config
from devdb.errors import DataMismatch
from devdb.model import MAINTENANCE_DATABASE, USER, Endpoint

_RETRY = 0.01


class Login(threading.Thread):
    """Logs in to Postgres, sets it up, then logs in through PgBouncer."""

    def __init__(self) -> None:
        super().__init__(name="devdb login", daemon=True)
        self._config: Config
        self._template_password: str | None = None
        self._failure: BaseException | None = None
        self._go = threading.Event()
        self._cancelled = threading.Event()

    def prepare(self, config: Config, template_password: str | None) -> None:
        """Say where to log in; `template_password` is what new data's superuser has so far."""
        self._config = config
        self._template_password = template_password

    def begin(self) -> None:
        """Postgres lets clients in."""
        self._go.set()

    def cancel(self) -> None:
        """End soon; no server is needed any more."""
        self._cancelled.set()
        self._go.set()

    def result(self) -> None:
        """Raise what went wrong in the thread."""
        if self._failure is not None:
            raise self._failure

    def run(self) -> None:
        """The thread's work."""
        try:
            importlib.import_module("psycopg")  # takes as long as the servers do

            self._go.wait()
            if not self._cancelled.is_set():
                self._log_in()
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            self._failure = error

    def _log_in(self) -> None:
        spec = self._config.spec
        everywhere = self._config.looks_up_everywhere
        if self._template_password is not None:
            self._change_password(self._template_password)
        while not self._cancelled.is_set():
            if postgres.set_up(spec, lookup_everywhere=everywhere) is not None:
                break
            self._examine(spec.direct)
        while not self._cancelled.is_set() and postgres.probe(spec.pooled) is None:
            time.sleep(_RETRY)

    def _change_password(self, old: str) -> None:
        """Give new data the password of its instance; SQL gets the verifier only."""
        import psycopg

        spec = self._config.spec
        first = Endpoint(
            host=spec.direct.host,
            port=spec.port,
            user=USER,
            password=old,
            database=MAINTENANCE_DATABASE,
        )
        # The user's settings may log every statement; this one is nobody's business.
        quiet = "-c log_statement=none -c log_min_duration_statement=-1"
        while not self._cancelled.is_set():
            try:
                with postgres.connect(first, options=quiet) as connection:
                    new = postgres.verifier(spec.password)
                    connection.execute(f"ALTER ROLE {USER} PASSWORD '{new}'")
                return
            except psycopg.OperationalError:
                time.sleep(_RETRY)

    def _examine(self, endpoint: Endpoint) -> None:
        """Raise what no waiting can mend; else wait a little."""
        import psycopg

        try:
            postgres.connect(endpoint, database=MAINTENANCE_DATABASE).close()
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                spec = self._config.spec
                raise DataMismatch(
                    f"The data of '{spec.name}' has another password than its marker.",
                    f"The marker was lost or replaced: put it back, or devdb rm {spec.name}",
                ) from None
        time.sleep(_RETRY)
