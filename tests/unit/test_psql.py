"""What Postgres' client programs read of the environment, and which of them are taken."""

from __future__ import annotations

from pathlib import Path

import pytest

from devdb import psql
from devdb.cli import connect
from devdb.engines import programs

MINE = {"PATH": "/bin", "HOME": "/home/me", "PSQLRC": "/home/me/rc", "PSQL_PAGER": "less"}
LIKED = {"PGOPTIONS": "-cwork_mem=1MB", "PGTZ": "UTC", "PGAPPNAME": "me", "PG_COLOR": "always"}
ELSEWHERE = dict.fromkeys(
    (
        "PGHOST",
        "PGHOSTADDR",
        "PGPORT",
        "PGUSER",
        "PGDATABASE",
        "PGPASSFILE",
        "PGSERVICE",
        "PGSERVICEFILE",
        "PGSSLMODE",
        "PGSSLROOTCERT",
        "PGSSLCERT",
        "PGSSLNEGOTIATION",
        "PGCHANNELBINDING",
        "PGREQUIREAUTH",
        "PGREQUIREPEER",
        "PGTARGETSESSIONATTRS",
        "PGLOADBALANCEHOSTS",
        "PGGSSENCMODE",
        "PGKRBSRVNAME",
        "PGMINPROTOCOLVERSION",
        "PGREALM",
        "PGCLUSTER",
        "PGOAUTHDEBUG",
        "PGSOMETHINGNEW",
    ),
    "x",
)


def test_psql_keeps_what_its_user_likes_and_drops_what_leads_elsewhere() -> None:
    made = psql.environment("secret", MINE | LIKED | ELSEWHERE | {"PGPASSWORD": "another"})
    assert made == {
        **MINE,
        **LIKED,
        "PGPASSWORD": "secret",
        "PGREQUIREAUTH": "scram-sha-256",
    }


def test_work_of_its_own_keeps_nothing_of_it() -> None:
    made = psql.own_environment("secret", MINE | LIKED | ELSEWHERE)
    ours = {name: value for name, value in made.items() if name.startswith("PG")}
    assert ours == {
        "PGPASSWORD": "secret",
        "PGREQUIREAUTH": "scram-sha-256",
        "PGSSLMODE": "disable",
        "PGGSSENCMODE": "disable",
    }
    assert made.items() >= MINE.items()


def test_a_client_program_is_no_older_than_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for major in (15, 17, 18):
        program = tmp_path / str(major) / "bin" / "psql"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\necho 'psql (PostgreSQL) {major}.1 (Somebody 1)'\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/15/bin:/bin:/usr/bin")
    monkeypatch.setattr(programs, "SYSTEM_PLACES", (f"{tmp_path}/*/bin",))
    monkeypatch.setattr(programs, "wheel", lambda: None)
    found = {major: programs.client("psql", major) for major in (None, 14, 15, 16, 18, 19)}
    assert found == {
        None: f"{tmp_path}/15/bin/psql",
        14: f"{tmp_path}/15/bin/psql",
        15: f"{tmp_path}/15/bin/psql",
        16: f"{tmp_path}/17/bin/psql",
        18: f"{tmp_path}/18/bin/psql",
        19: None,
    }


@pytest.mark.parametrize(
    ("argument", "reaches"),
    [
        ("-f", True),
        ("-Xqf", True),
        ("-fdump.sql", True),
        ("--file=dump.sql", True),
        ("-o", True),
        ("-L", True),
        (r"\copy t from 'x.csv'", True),
        (r"\i seed.sql", True),
        ("-c", False),
        ("-d", False),
        ("-F", False),
        ("-At", False),
        ("--csv", False),
        (r"\l", False),
        (r"\d+ t", False),
        ("select 1", False),
    ],
)
def test_what_reads_and_writes_files_wants_a_psql_of_this_machine(
    argument: str, reaches: bool
) -> None:
    assert bool(connect._FILES.search(argument)) is reaches
