"""`devdb temp` by its streams and exit codes, with real servers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import world
from commandline import Cli

DATABASE = {
    "name",
    "instance",
    "kind",
    "role",
    "state",
    "url",
    "pooled_url",
    "created",
    "expires",
    "age_seconds",
    "left_seconds",
    "size_bytes",
    "sessions",
    "claim",
}

pytestmark = pytest.mark.parametrize("real_engine", ["native"], indirect=True)


@pytest.fixture
def shop(real: Cli) -> Iterator[Cli]:
    assert real("up", "-d").code == 0
    yield real
    real("temp", "drop", "--all")


def listed(cli: Cli) -> dict[str, Any]:
    return {each["name"]: each for each in cli("temp", "ls", "--json").json["data"]["databases"]}


def works(url: str) -> bool:
    try:
        with psycopg.connect(url, prepare_threshold=None) as connection:
            connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def test_temp_starts_what_is_not_running_and_prints_one_line(real: Cli) -> None:
    done = real("temp")
    assert done.code == 0
    (url,) = done.out.splitlines()
    assert works(url)
    assert f"created '{real.name}'" in done.err
    real("down")
    quiet = real("temp", "-q")
    assert quiet.err == ""
    assert works(quiet.out.strip())


def test_the_databases_of_the_instance_that_is_meant_complete(shop: Cli, tmp_path: Path) -> None:
    shop("temp", "-q", "--as", "mine")
    assert shop.completed("temp", "--from", "m") == ["main", "mine"]
    assert shop.completed("temp", "claim", "") == ["mine"]
    assert shop.completed("temp", "rm", "mi") == ["mine"]
    for words in (("temp", "extend", "-n", shop.name), ("temp", "-n", shop.name, "extend")):
        assert shop.completed(*words, "", cwd=tmp_path) == ["mine"]
        assert shop.completed(*words, "x", cwd=tmp_path) == []
    assert shop.completed("temp", "-n", shop.name, "--from", "ma", cwd=tmp_path) == ["main"]


def test_pooled_is_the_pooled_url(shop: Cli) -> None:
    url = shop("temp", "-q", "--pooled").out.strip()
    assert f":{shop.env['DEVDB_POOL_PORT']}/" in url
    assert works(url)


def test_json_env_and_copy_work_together(shop: Cli) -> None:
    done = shop("temp", "--json", "--env", ".env", "--copy", "--ttl", "1h", "--as", "mine")
    data = done.json["data"]
    assert set(data) == DATABASE
    assert (data["name"], data["role"], data["instance"]) == ("mine", "mine", shop.name)
    assert data["left_seconds"] == 3600
    assert data["claim"] == f"devdb temp claim mine -n {shop.name}"
    text = (shop.project / ".env").read_text()
    assert f"DATABASE_URL={data['pooled_url']}\n" in text
    assert f"DIRECT_URL={data['url']}\n" in text
    assert text.startswith("# devdb: temporary, until 2")
    assert "copied" in done.err or "clipboard" in done.err
    assert "lead to" not in shop("status").out
    shop("temp", "drop", "mine")
    lost = f"lead to the role 'mine', which is expired or not in '{shop.name}'; devdb env"
    assert lost in shop("status").out
    shop("env", "--file", ".env")
    assert "temporary" not in (shop.project / ".env").read_text()
    assert "lead to" not in shop("status").out


def test_the_http_url_of_a_temporary_database_is_the_instances(shop: Cli) -> None:
    own = shop("env", "--set", "DEVDB_HTTP_URL=http", "--print").out
    shop("temp", "-q", "--env", ".env.temp", DEVDB_PRESET="neon")
    text = (shop.project / ".env.temp").read_text()
    assert own.startswith("DEVDB_HTTP_URL=http://127.0.0.1:")
    assert own in text
    assert text.count("# devdb: temporary, until ") == 3


def test_from_copies_and_seed_fills(shop: Cli) -> None:
    shop("psql", "-Xqc", "CREATE TABLE kept AS SELECT 42 AS answer")
    (shop.project / "seed.sql").write_text("INSERT INTO kept VALUES (43);\n")
    url = shop("temp", "-q", "--from", "main", "--seed", "seed.sql").out.strip()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT sum(answer) FROM kept").fetchone() == (85,)


def test_what_is_piped_in_fills_it_and_what_is_skipped_is_said(shop: Cli) -> None:
    dump = "ALTER TABLE t OWNER TO boss;\nGRANT ALL ON t TO a;\nGRANT ALL ON t TO b;\n"
    (shop.project / "-").write_text("SELECT nonsense;")  # not what - means
    for options in ((), ("--json",)):
        piped = subprocess.run(
            shop.argv("temp", "--seed", "-", *options),
            cwd=shop.project,
            env=shop.environment(),
            input=f"CREATE TABLE t (a int);\n{dump}",
            capture_output=True,
            text=True,
        )
        assert piped.returncode == 0, piped.stderr
        said = piped.stderr.splitlines()
        assert "loaded 'standard input'; skipped: 2 grants, 1 owner" in said
    assert json.loads(piped.stdout)["data"]["seed"] == {
        "name": "standard input",
        "skipped": {"grants": 2, "owners": 1},
        "by_hand": [],
        "notes": [],
    }
    assert "standard input' is empty" in shop("temp", "--seed", "-").error[0]


def test_the_rest_of_its_life(shop: Cli) -> None:
    for name in ("one", "two", "three"):
        shop("temp", "-q", "--as", name)
    extended = shop("temp", "extend", "two", "--ttl", "2h")
    assert (extended.code, extended.out) == (0, "")
    assert 7100 < listed(shop)["two"]["left_seconds"] <= 7200
    claimed = shop("temp", "claim", "one", "--as", "kept")
    direct, pooled = claimed.out.splitlines()
    assert works(direct)
    assert works(pooled)
    assert listed(shop)["kept"]["expires"] is None
    assert shop("temp", "drop", "t*", "--json").json["data"]["dropped"] == ["two", "three"]
    assert set(listed(shop)) == {"kept"}
    assert shop("temp", "drop", "--all").code == 0
    assert shop("temp", "drop", "kept").code == 2
    assert shop("temp", "drop", "kept", "--claimed").code == 2
    assert "claimed" in shop("rm", shop.name).error[0]
    assert shop("temp", "drop", "kept", "--claimed", "--force").code == 0
    assert listed(shop) == {}


def test_expired_ones_are_dropped_on_demand(shop: Cli) -> None:
    shop("temp", "-q", "--as", "short", "--ttl", "1s")
    world.eventually(
        lambda: listed(shop).get("short", {"state": "expired"})["state"] != "ready", "it expires"
    )
    assert shop("temp", "claim", "short").code == 1
    assert shop("temp", "drop", "--expired").code == 0
    assert listed(shop) == {}


WRONG = (
    ("--ttl 0", 2),
    ("--ttl -1h", 2),
    ("--ttl abc", 2),
    ("--ttl 999d", 2),
    ("--as pgbouncer", 2),
    ("--from nope", 1),
    ("--seed nope.sql", 2),
    ("claim nope", 1),
    ("extend nope --ttl 1h", 1),
    ("extend nope", 2),
    ("drop nope", 1),
    ("drop", 2),
    ("drop x --all", 2),
)


def test_what_cannot_be_is_two_lines(shop: Cli) -> None:
    for words, code in WRONG:
        done = shop("temp", *words.split())
        assert (done.code, done.out) == (code, ""), (words, done.err)
        assert len(done.error) == 2, words
    assert listed(shop) == {}
