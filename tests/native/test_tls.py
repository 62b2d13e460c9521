"""Builds without TLS, whose instances work all the same and say what they lack; and old ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from inside import verified
from libpq import connect

from devdb import certificates, pgbouncer, postgres, wire
from devdb.engines.native import binaries
from devdb.engines.native.engine import NativeEngine
from devdb.errors import DevdbError
from devdb.model import Server, Spec
from devdb.urls.clients import Tls
from devdb.workspace.environment import tls_of


def start(native: NativeEngine, spec: Spec) -> Server:
    server = list(native.start(spec))[-1].server
    assert server is not None
    return server


@pytest.fixture
def postgres_without_tls(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheel's Postgres is the one in use."""
    monkeypatch.setenv("DEVDB_PG_BIN", str(wheel / "pginstall" / "bin"))


@pytest.fixture
def pooler_without_tls(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PgBouncer that says of itself what one without TLS says."""
    program = home / "programs" / "bin" / "pgbouncer"
    program.parent.mkdir(parents=True)
    real = binaries.pooler()
    if (libraries := real.path.parent.parent / "lib").is_dir() and binaries.libraries(real.path):
        (home / "programs" / "lib").symlink_to(libraries)
    program.write_text(
        "#!/bin/bash\n"
        f'[ "$1" != --version ] || {{ {real.path} --version | grep -v ^tls; exit; }}\n'
        f'exec -a "$0" {real.path} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("DEVDB_PGBOUNCER", str(program))


@pytest.mark.usefixtures("postgres_without_tls")
def test_postgres_without_it_leaves_it_to_the_pooled_url(native: NativeEngine, spec: Spec) -> None:
    server = start(native, spec)
    assert server.notes == (postgres.NO_TLS,)
    assert wire.offers_tls(spec.direct.host, spec.direct.port) is False
    with connect(spec.direct) as connection:
        assert connection.execute("SHOW ssl").fetchone() == ("off",)
    assert verified(spec, spec.pooled)
    assert tls_of(spec, "require", spec.pooled) == Tls()
    with pytest.raises(DevdbError, match="no TLS on its direct URL") as caught:
        tls_of(spec, "require", spec.direct)
    assert postgres.NO_TLS in caught.value.message
    assert postgres.NO_TLS in [finding.message for finding in native.check()]


@pytest.mark.usefixtures("pooler_without_tls")
def test_pgbouncer_without_it_leaves_it_to_the_direct_url(native: NativeEngine, spec: Spec) -> None:
    server = start(native, spec)
    assert pgbouncer.NO_TLS in server.notes
    assert postgres.NO_TLS not in server.notes
    assert wire.offers_tls(spec.pooled.host, spec.pooled.port) is False
    assert verified(spec, spec.direct)
    with pytest.raises(DevdbError, match="no TLS on its pooled URL") as caught:
        tls_of(spec, "require", spec.direct, spec.pooled)
    assert pgbouncer.NO_TLS in caught.value.message
    assert pgbouncer.NO_TLS in [finding.message for finding in native.check()]


@pytest.mark.usefixtures("postgres_without_tls", "pooler_without_tls")
def test_without_any_there_are_no_certificates(native: NativeEngine, spec: Spec) -> None:
    certificates.ensure(spec.name)  # as if other builds had run here before
    assert {postgres.NO_TLS, pgbouncer.NO_TLS} <= set(start(native, spec).notes)
    assert not certificates.ca_path(spec.name).exists()
    native.stop(spec.name)
    with pytest.raises(DevdbError, match="built without TLS"):
        tls_of(spec, "verify-full", spec.direct)


def test_an_old_pgbouncer_has_it_too(
    native: NativeEngine, spec: Spec, pgbouncer_1_18: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVDB_PGBOUNCER", str(pgbouncer_1_18))
    start(native, spec)
    assert verified(spec, spec.pooled)


def test_what_was_never_started_has_none(native: NativeEngine, spec: Spec) -> None:
    with pytest.raises(DevdbError, match=r"has no TLS\. It was never started"):
        tls_of(spec, "require", spec.direct)
