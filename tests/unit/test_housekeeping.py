"""Which lines are hidden as devdb's own work: lines that instances really wrote."""

from __future__ import annotations

import pytest

from devdb import journal, sessions
from devdb.journal import Entry
from devdb.model import LogLine

ZONES = journal.zones()
CONSOLE = "C-0x56457b4f3e40: pgbouncer/devdb_pooler@127.0.0.1:38504"
CHECKPOINT = "LOG:  checkpoint starting: immediate force wait"
COMPLETE = "LOG:  checkpoint complete: wrote 5 buffers (0.0%); 0 WAL file(s) added"


def read(*lines: str) -> list[Entry]:
    """Each a part's first letters and what it wrote, a second after the one before."""
    parts = {"pg": "postgres", "pb": "pgbouncer", "re": "reaper"}
    written = []
    for second, line in enumerate(lines):
        part, _, text = line.partition(" ")
        head = f"2026-11-26 07:41:{second:02}.000 UTC [7] "
        written.append(LogLine(part=parts[part], text=text if text[:1] == "\t" else head + text))
    return list(journal.in_order(written, ZONES))


def hidden(*lines: str) -> list[bool]:
    return [entry.is_housekeeping for entry in read(*lines)]


@pytest.mark.parametrize(
    "line",
    [
        "pb LOG PAUSE 'temp_a' command issued",
        "pb LOG RESUME 'it''s' command issued",
        "pb LOG KILL 'temp_a' command issued",
        "pb LOG RELOAD command issued",
        "pb ERROR database temp_fine_robin is not paused",
        "pb ERROR no such database: temp_mellow_jay",
        f"pb WARNING {CONSOLE} pooler error: no such database: temp_mellow_jay",
        f"pb LOG {CONSOLE} registered new auto-database: temp_noble_eagle",
        f"pb LOG {CONSOLE} closing because: client close request (age=0s)",
        "pb LOG S-0x55: postgres/devdb_pooler@127.0.0.1:15432 new connection to server",
        "re LOG dropped",
        f"pg LOG:  duration: 0.1 ms  statement: BEGIN; SELECT 1 {sessions.MARK}",
        "pg LOG:  connection authorized: user=devdb database=postgres application_name=devdb",
        "pg LOG:  connection authorized: user=devdb database=x application_name=devdb-reaper SSL",
        "pg LOG:  connection authorized: user=devdb_pooler database=postgres",
        'pg LOG:  connection authenticated: identity="devdb_pooler" method=scram-sha-256 (x:1)',
        "pg LOG:  duration: 0.2 ms  execute <unnamed>: "
        "SELECT username, verifier FROM pg_devdb.lookup($1)",
    ],
)
def test_what_only_devdb_can_have_caused_is_hidden(line: str) -> None:
    assert hidden(line) == [True]


@pytest.mark.parametrize(
    "line",
    [
        "pb WARNING C-0x56: main/devdb@127.0.0.1:1 pooler error: query_wait_timeout",
        "pb WARNING C-0x56: temp_a/temp_a@127.0.0.1:1 pooler error: server conn crashed?",
        "pb LOG C-0x56: (nodb)/(nouser)@127.0.0.1:1 registered new auto-database: main",
        "pb LOG C-0x56: pgbouncer/devdb@127.0.0.1:1 closing because: not allowed (age=0s)",
        "pb WARNING S-0x55: postgres/devdb_pooler@127.0.0.1:15432 server login failed: FATAL no",
        "pb ERROR accept() failed: Too many open files",
        "pb LOG got SIGTERM, shutting down",
        "re ERROR psql: error: connection refused",
        "re LOG drops temp_a, temp_b",
        "pg FATAL:  terminating connection due to administrator command",
        "pg ERROR:  PAUSE 'temp_a' command issued",
        "pg LOG:  checkpoint starting: time",
        CHECKPOINT.join(("pg ", "")),
        COMPLETE.join(("pg ", "")),
        "pg LOG:  connection authorized: user=devdb database=main application_name=devdb_shop",
        "pg LOG:  connection received: host=127.0.0.1 port=5",
        "pg ERROR:  permission denied for function lookup",
    ],
)
def test_what_may_be_the_users_is_shown(line: str) -> None:
    assert hidden(line) == [False]


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("pb LOG PAUSE 'temp_a' command issued", "pb LOG RESUME 'temp_a' command issued"),
        ("re LOG drops temp_a", "re LOG dropped"),
    ],
)
def test_checkpoints_are_devdbs_while_it_drops_a_database(begin: str, end: str) -> None:
    drop, starts, completes = begin, f"pg {CHECKPOINT}", f"pg {COMPLETE}"
    lines = (starts, completes, drop, starts, completes, starts, end, completes, starts, completes)
    assert hidden(*lines)[:2] == [False, False]
    assert hidden(*lines)[3:] == [True, True, True, True, True, False, False]
    of_time = "pg LOG:  checkpoint starting: time"
    assert hidden(drop, of_time, completes)[1:] == [False, False]


def test_an_order_whose_end_was_not_seen_does_not_last() -> None:
    first, *_ = lines = [
        LogLine(
            part="pgbouncer", text="2026-11-26 07:41:00.000 UTC [7] LOG PAUSE 'a' command issued"
        ),
        LogLine(part="postgres", text=f"2026-11-26 07:44:00.000 UTC [7] {CHECKPOINT}"),
    ]
    assert [e.is_housekeeping for e in journal.in_order(lines, ZONES)] == [True, False], first


def test_what_belongs_to_a_hidden_line_is_hidden_with_it() -> None:
    query = "LOG:  duration: 0.2 ms  execute x: SELECT username, verifier FROM pg_devdb.lookup($1)"
    lines = (f"pg {query}", "pg DETAIL:  Parameters: $1 = 'x'", "pg \tand so on", "pg LOG:  other")
    assert hidden(*lines) == [True, True, True, False]


def test_the_end_of_a_session_of_devdbs_is_hidden_as_its_beginning() -> None:
    mine = "pg LOG:  connection authorized: user=devdb database=postgres application_name=devdb"
    ended = "pg LOG:  disconnection: session time: 0:00:00.011 user=devdb database=postgres"
    assert hidden(mine, ended) == [True, True]
    assert hidden(ended) == [False]
    assert hidden(mine, "pg LOG:  connection received: host=[local]", ended) == [True, False, False]
