"""TLS in each client's own words, against both servers' certificate; and strings without it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from clients.programs import Run, psql
from clients.stacks import Stack
from clients.workload import done, everything

from devdb import certificates
from devdb.advice import lookup
from devdb.urls import url
from devdb.urls.clients import Tls
from devdb.urls.spelling import Spelling, spelling

CLIENTS = (
    "psycopg",
    "asyncpg",
    "sqlalchemy",
    "sqlalchemy-asyncpg",
    "node-postgres",
    "postgres.js",
    "drizzle",
    "prisma",
    "jdbc",
)
SECURED = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


WORKERS = 5


def exported(spelled: Spelling) -> dict[str, str]:
    """The environment that the notes ask for."""
    words = [word for note in spelled.notes for word in shlex.split(note) if "=" in word]
    return dict(word.split("=", 1) for word in words)


@pytest.mark.parametrize("verified", [False, True], ids=["require", "verify-full"])
@pytest.mark.parametrize("pooled", [False, True], ids=["direct", "pooled"])
@pytest.mark.parametrize("client", CLIENTS)
def test_tls(
    client: str,
    pooled: bool,
    verified: bool,
    run: Callable[[str], Run],
    new_stack: Stack,
) -> None:
    endpoint = new_stack.spec.pooled if pooled else new_stack.spec.direct
    tls = Tls(new_stack.ca if verified else None)
    spelled = spelling(client, endpoint, pooled=pooled, tls=tls)
    more = exported(spelled)
    run(client)(client, spelled.text, together=True, workers=WORKERS, more=more)
    assert done(new_stack.spec, client) == everything(WORKERS)


def test_an_old_pgbouncer_does_it_too(old_stack: Stack) -> None:
    for tls in (Tls(), Tls(old_stack.ca)):
        text = spelling("libpq", old_stack.spec.pooled, pooled=True, tls=tls).text
        assert psql(text, "SELECT 1") == "1"


def test_libpq_is_really_encrypted_and_really_verifies(new_stack: Stack, tmp_path: Path) -> None:
    direct = new_stack.spec.direct
    verify = spelling("libpq", direct, tls=Tls(new_stack.ca)).text
    assert psql(verify, SECURED) == "t"
    assert psql(spelling("libpq", direct, tls=Tls()).text, SECURED) == "t"
    assert psql(f"{url(direct)}?sslmode=disable", SECURED) == "f"
    other = tmp_path / "other.crt"
    other.write_text(certificates.make("other").ca)
    for endpoint in (direct, new_stack.spec.pooled):
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed") as caught:
            psycopg.connect(spelling("libpq", endpoint, tls=Tls(other)).text)
        advice = lookup(str(caught.value))
        assert advice is not None
        assert "--tls verify-full" in advice.cure
