"""TLS by both URLs: for those who ask for it, as strictly as they ask; and without for the rest."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from instances import Instance

from devdb import certificates, paths, wire
from devdb.engines import Engine
from devdb.errors import DevdbError
from devdb.model import Endpoint, Server, Spec
from devdb.urls.clients import Tls
from devdb.urls.spelling import spelling
from devdb.workspace.environment import tls_of


def start(engine: Engine, spec: Spec) -> Server:
    server = list(engine.start(spec))[-1].server
    assert server is not None
    return server


def is_encrypted(endpoint: Endpoint, *, host: str | None = None, **options: Any) -> bool:
    """Log in with libpq, ask something, and say whether that went through TLS."""
    with psycopg.connect(
        user=endpoint.user,
        password=endpoint.password,
        host=host or endpoint.host,
        port=endpoint.port,
        dbname=endpoint.database,
        **options,
    ) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        return bool(connection.pgconn.ssl_in_use)


def test_clients_get_the_tls_they_ask_for_by_both_urls(
    shared: Instance, running: Spec, tmp_path: Path
) -> None:
    server = start(shared.engine, running)
    assert server.notes == ()
    ca = str(certificates.ca_path(running.name))
    other = tmp_path / "other.crt"
    other.write_text(certificates.make("other").ca)
    for endpoint in (running.direct, running.pooled):
        assert not is_encrypted(endpoint, sslmode="disable")
        assert is_encrypted(endpoint, sslmode="require")
        for host in ("127.0.0.1", "localhost"):
            assert is_encrypted(endpoint, sslmode="verify-full", sslrootcert=ca, host=host)
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            is_encrypted(endpoint, sslmode="verify-full", sslrootcert=str(other))
        missing = str(tmp_path / "missing.crt")
        with pytest.raises(psycopg.OperationalError, match="root certificate file"):
            is_encrypted(endpoint, sslmode="verify-full", sslrootcert=missing)


def test_the_url_that_asks_for_tls_gets_it(running: Spec) -> None:
    for mode in ("require", "verify-full"):
        for endpoint in (running.direct, running.pooled):
            how = tls_of(running, mode, endpoint)
            assert how is not None
            text = spelling("libpq", endpoint, pooled=endpoint == running.pooled, tls=how).text
            with psycopg.connect(text) as connection:
                assert connection.pgconn.ssl_in_use


def test_pgbouncer_and_postgres_talk_to_each_other_without(running: Spec) -> None:
    with psycopg.connect(**options(running.pooled), sslmode="require") as connection:
        asked = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert connection.execute(asked).fetchone() == (False,)


def options(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "host": endpoint.host,
        "port": str(endpoint.port),
        "user": endpoint.user,
        "password": endpoint.password,
        "dbname": endpoint.database,
    }


def test_certificates_are_kept_through_a_restart_that_makes_none(
    real_engine: Engine, real_spec: Spec
) -> None:
    """`cryptography` takes longer to import than a stopped instance takes to start."""
    start(real_engine, real_spec)
    ca = certificates.ca_path(real_spec.name).read_text()
    real_engine.stop(real_spec.name)
    script = (
        "import sys\n"
        "from devdb import engines, marker\n"
        "spec = marker.load(sys.argv[1])\n"
        "list(engines.get(spec.engine).start(spec))\n"
        "print('cryptography' in sys.modules)\n"
    )
    command = [sys.executable, "-c", script, real_spec.name]
    assert subprocess.check_output(command, text=True) == "False\n"
    assert certificates.ca_path(real_spec.name).read_text() == ca
    for endpoint in (real_spec.direct, real_spec.pooled):
        how = {"sslmode": "verify-full", "sslrootcert": str(certificates.ca_path(real_spec.name))}
        assert is_encrypted(endpoint, **how)


def test_lost_certificates_are_made_anew_and_shown_by_both_servers(
    real_engine: Engine, real_spec: Spec
) -> None:
    """The same way that an instance made by a devdb without TLS gets it."""
    start(real_engine, real_spec)
    certificates.remove(real_spec.name)
    start(real_engine, real_spec)
    for endpoint in (real_spec.direct, real_spec.pooled):
        how = {"sslmode": "verify-full", "sslrootcert": str(certificates.ca_path(real_spec.name))}
        assert is_encrypted(endpoint, **how)


def test_nothing_is_restarted_for_certificates_that_are_there(
    shared: Instance, running: Spec
) -> None:
    before = start(shared.engine, running)
    assert start(shared.engine, running).parts == before.parts


def test_a_first_start_that_is_cancelled_leaves_no_certificates(
    real_engine: Engine, real_spec: Spec
) -> None:
    steps = real_engine.start(real_spec)
    for progress in steps:
        if progress.step == "login":
            break
    assert certificates.ca_path(real_spec.name).exists()
    steps.close()  # type: ignore[attr-defined]
    assert not certificates.ca_path(real_spec.name).parent.exists()


def test_destroyed_with_the_instance(real_engine: Engine, real_spec: Spec) -> None:
    start(real_engine, real_spec)
    real_engine.stop(real_spec.name, destroy=True)
    assert [path.name for path in paths.instance_dir(real_spec.name).iterdir()] == ["marker.json"]


def test_turned_off_by_the_users_settings_is_told(real_engine: Engine, real_spec: Spec) -> None:
    spec = replace(real_spec, settings=(("ssl", "off"),))
    assert start(real_engine, spec).notes == ()
    assert wire.offers_tls(spec.direct.host, spec.direct.port) is False
    with pytest.raises(DevdbError, match="has no TLS on its direct URL") as caught:
        tls_of(spec, "require", spec.direct, spec.pooled)
    assert "settings" in caught.value.message
    assert tls_of(spec, "require", spec.pooled) == Tls()
