"""What `npx create-db` asks: databases for who may have them, and for nobody else."""

from __future__ import annotations

import html
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import specs
import world
from gateway import serving
from gateway.serving import Talk, request
from inside import Inside

from devdb import databases
from devdb.errors import DevdbError
from devdb.gateway import createdb
from devdb.gateway.createdb import AT_ONCE, LONGEST, PATHS, REGIONS, WAITING, Full, Made, Offer
from devdb.gateway.target import Target
from devdb.model import Spec
from devdb.workspace import createdb as offering

HOST = "Host: 127.0.0.1"
JSON = "Content-Type: application/json"
SENT = {"region": "us-east-1", "name": "2026-11-26T11:08:43.123Z", "source": "cli"}
"""As create-db 1.2.1 sends it."""


@pytest.fixture
def served(running: Spec) -> Iterator[Target]:
    """A gateway that makes databases; none of them is left."""
    target = serving.target(running)
    try:
        with serving.thread(target, offer=offering.offer(running)):
            yield target
    finally:
        Inside(running).tidy()


def ask(target: Target, data: bytes) -> tuple[int, Any]:
    with Talk(target.port) as talk:
        talk.send(data)
        status, headers, body = talk.answer()
    is_json = headers["content-type"].startswith("application/json")
    return status, json.loads(body) if is_json else body.decode()


def create(target: Target, *headers: str, **changes: Any) -> tuple[int, Any]:
    asked = {key: value for key, value in {**SENT, **changes}.items() if value is not ...}
    body = json.dumps(asked).encode()
    return ask(target, request("POST /create HTTP/1.1", HOST, JSON, *headers, body=body))


def urls(answer: Any) -> tuple[str, str]:
    (connection,) = answer["data"]["database"]["connections"]
    endpoints = connection["endpoints"]
    return endpoints["direct"]["connectionString"], endpoints["pooled"]["connectionString"]


def test_a_database_with_a_role_of_its_own_is_made(served: Target, running: Spec) -> None:
    status, answer = create(served, ttlMs=3_600_000)
    assert status == 200
    name = answer["data"]["id"]
    assert answer["data"]["database"]["name"] == name
    assert answer["data"]["database"]["region"] == {"id": "us-east-1"}
    for url in urls(answer):
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT current_user, current_database()").fetchone()
            assert row == (name, name)
    (made,) = [each for each in databases.every(running) if each.name == name]
    assert made.left is not None
    assert timedelta(minutes=50) < made.left <= timedelta(hours=1)


def test_it_lives_for_a_day_where_nobody_says_how_long(served: Target, running: Spec) -> None:
    status, answer = create(served, name=..., region=...)
    assert status == 200
    (made,) = [each for each in databases.every(running) if each.name == answer["data"]["id"]]
    assert made.left is not None
    assert timedelta(hours=23) < made.left <= timedelta(days=1)


def test_a_name_that_a_database_can_have_is_its_name_once(served: Target) -> None:
    status, answer = create(served, name="mine")
    assert (status, answer["data"]["id"]) == (200, "mine")
    status, answer = create(served, name="mine")
    assert (status, answer["error"]["status"]) == (400, 400)
    assert "'mine'" in answer["error"]["message"]


def test_a_name_and_a_time_that_no_database_has_are_refused_with_the_reason(
    served: Target, running: Spec
) -> None:
    before = Inside(running).databases()
    names = ("Mine", "a b", "postgres", "pg_x", "x" * 64, "a\0b")
    wrong: list[dict[str, Any]] = [{"name": name} for name in names]
    wrong += [{"ttlMs": ttl} for ttl in (0, -1, 999, 30 * 86_400_001)]
    for each in wrong:
        status, answer = create(served, **each)
        assert (status, answer["error"]["status"]) == (400, 400), each
        assert answer["error"]["message"].startswith("devdb: "), each
    assert Inside(running).databases() == before


def test_no_more_live_at_a_time_than_may(
    served: Target, running: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offering, "MOST", 2)
    databases.create(running, ttl=timedelta(hours=1), name="others")
    assert create(served, name="mine")[0] == 200
    status, answer = create(served)
    assert (status, answer["error"]) == (429, "RATE_LIMIT_EXCEEDED")
    assert "devdb temp drop" in answer["message"]
    info = answer["rateLimitInfo"]
    assert (info["currentCount"], info["maxRequests"], info["retryAfterMs"] > 0) == (2, 2, True)
    databases.drop(running, ["mine"])
    with ThreadPoolExecutor(4) as several:
        statuses = sorted(several.map(lambda _: create(served)[0], range(4)))
    assert statuses == [200, 429, 429, 429]


def test_servers_that_do_not_run_are_told_with_the_cure(tmp_path: Path) -> None:
    target = serving.nothing(tmp_path)
    down = specs.new("fake", port=target.direct, pool_port=target.pooled)
    with serving.thread(target, offer=offering.offer(down)):
        status, answer = create(target)
    assert status == 503
    assert f"devdb up -d -n {down.name}" in answer["error"]["message"]
    assert down.password not in str(answer)


# What follows needs no servers.


class Maker:
    """Makes nothing, as slowly as it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go_on = threading.Event()
        self.at_work = 0
        self.most = 0
        self.asked: list[tuple[str | None, timedelta | None]] = []
        self._error = error
        self._lock = threading.Lock()

    @property
    def offer(self) -> Offer:
        return Offer(instance="my shop", make=self.make, prepare=lambda: None)

    def make(self, name: str | None, ttl: timedelta | None) -> Made:
        with self._lock:
            self.asked.append((name, ttl))
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        self.go_on.wait(serving.PATIENCE)
        with self._lock:
            self.at_work -= 1
        if self._error is not None:
            raise self._error
        return Made(name="x", direct="postgresql://d", pooled="postgresql://p")


@pytest.fixture
def maker() -> Iterator[Maker]:
    made = Maker()
    yield made
    made.go_on.set()


@pytest.fixture
def offered(tmp_path: Path, maker: Maker) -> Iterator[Target]:
    target = serving.nothing(tmp_path)
    with serving.thread(target, offer=maker.offer):
        yield target
        maker.go_on.set()


def test_the_regions_are_those_that_the_command_line_knows(offered: Target) -> None:
    status, answer = ask(offered, request("GET /regions HTTP/1.1", HOST))
    assert status == 200
    assert [each["id"] for each in answer["data"]] == list(REGIONS)
    assert {each["status"] for each in answer["data"]} == {"available"}
    assert all(each["name"] for each in answer["data"])


MISFITS: dict[str, list[Any]] = {
    "name": [1, [], {}],
    "ttlMs": [10**30, "1h", 1.5, True, []],
    "region": ["mars", None, 1, [], {}],
}


@pytest.mark.parametrize(
    "wrong", [{key: value} for key, values in MISFITS.items() for value in values], ids=str
)
def test_what_is_not_of_its_kind_is_refused(
    offered: Target, maker: Maker, wrong: dict[str, Any]
) -> None:
    status, answer = create(offered, **wrong)
    assert (status, answer["error"]["status"]) == (400, 400)
    assert maker.asked == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"1", b"\xff", b'{"ttlMs": NaN}', b"[" * 60_000], ids=len
)
def test_what_is_no_object_is_refused(offered: Target, maker: Maker, body: bytes) -> None:
    status, answer = ask(offered, request("POST /create HTTP/1.1", HOST, JSON, body=body))
    assert (status, answer["error"]["status"]) == (400, 400)
    assert maker.asked == []


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        (403, [HOST, JSON, "Origin: https://evil.example"]),
        (403, [HOST, JSON, "Origin: null"]),
        (403, [HOST, JSON, "Origin:"]),
        (403, [HOST, JSON, "Origin: http://127.0.0.1:3000"]),
        (403, ["Host: evil.example", JSON]),
        (415, [HOST]),
        (415, [HOST, "Content-Type: text/plain"]),
        (415, [HOST, "Content-Type: text/plain;application/json"]),
        (415, [HOST, "Content-Type: application/x-www-form-urlencoded"]),
    ],
)
def test_who_may_be_a_page_in_a_browser_gets_none(
    offered: Target, maker: Maker, status: int, lines: list[str]
) -> None:
    body = json.dumps(SENT).encode()
    assert ask(offered, request("POST /create HTTP/1.1", *lines, body=body))[0] == status
    assert maker.asked == []


def test_a_browser_that_asks_before_is_not_told_yes(offered: Target) -> None:
    lines = [HOST, "Origin: https://evil.example", "Access-Control-Request-Method: POST"]
    with Talk(offered.port) as talk:
        talk.send(request("OPTIONS /create HTTP/1.1", *lines))
        status, headers, _ = talk.answer()
    assert status == 405
    assert [name for name in headers if name.startswith("access-control")] == []


def test_what_is_counted_there_is_dropped_here(offered: Target, maker: Maker) -> None:
    body = b'{"eventName": "x"}'
    lines = ["POST /analytics HTTP/1.1", HOST, JSON]
    assert ask(offered, request(*lines, body=body)) == (200, {})
    assert ask(offered, request(*lines, "Origin: null", body=body))[0] == 403
    assert maker.asked == []


def test_few_are_made_at_once_and_few_wait(offered: Target, maker: Maker) -> None:
    with ThreadPoolExecutor(AT_ONCE + WAITING + 1) as several:
        answers = [several.submit(create, offered) for _ in range(AT_ONCE + WAITING + 1)]
        status, answer = next(as_completed(answers)).result()
        assert (status, answer["rateLimitInfo"]["retryAfterMs"]) == (429, 1000)
        world.eventually(lambda: maker.at_work == AT_ONCE, "as many as can are made")
        maker.go_on.set()
        statuses = sorted(each.result()[0] for each in answers)
    assert statuses == [200] * (AT_ONCE + WAITING) + [429]
    assert maker.most == AT_ONCE


def test_who_leaves_while_others_are_served_gets_none(offered: Target, maker: Maker) -> None:
    with ThreadPoolExecutor(AT_ONCE) as several:
        answers = [several.submit(create, offered) for _ in range(AT_ONCE)]
        world.eventually(lambda: maker.at_work == AT_ONCE, "as many as can are made")
        body = json.dumps({**SENT, "name": "left"}).encode()
        with Talk(offered.port) as talk:
            talk.send(request("POST /create HTTP/1.1", HOST, JSON, body=body))
        assert ask(offered, request("GET /regions HTTP/1.1", HOST))[0] == 200
        maker.go_on.set()
        assert {each.result()[0] for each in answers} == {200}
    assert create(offered, name="last")[0] == 200
    assert maker.asked[-1][0] == "last"
    assert len(maker.asked) <= AT_ONCE + 2


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (DevdbError("It broke.", "Mend it."), 500, "devdb: It broke. Mend it."),
        (PermissionError(13, "Permission denied", "/srv/secret"), 500, "Permission denied"),
        (Full(7, 7), 429, "at most 7"),
    ],
)
def test_what_goes_wrong_is_one_line_for_who_asked(
    tmp_path: Path, error: Exception, status: int, said: str
) -> None:
    target = serving.nothing(tmp_path)
    maker = Maker(error)
    maker.go_on.set()
    with serving.thread(target, offer=maker.offer):
        found, answer = create(target)
    assert found == status
    assert said in str(answer)
    assert "/srv" not in str(answer)


def test_a_body_is_short_and_comes_in_time(
    offered: Target, maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker.go_on.set()
    first = ["POST /create HTTP/1.1", HOST, JSON]
    whole = json.dumps(SENT).encode()
    assert ask(offered, request(*first, body=whole.ljust(LONGEST)))[0] == 200
    assert ask(offered, request(*first, body=whole.ljust(LONGEST + 1)))[0] == 413
    chunks = b"".join(b"4000\r\n" + b" " * 0x4000 + b"\r\n" for _ in range(5))
    chunked = request(*first, "Transfer-Encoding: chunked") + chunks
    assert ask(offered, chunked)[0] == 413
    monkeypatch.setattr(createdb, "PATIENCE", 0.1)
    assert ask(offered, request(*first, "Content-Length: 9") + b"{")[0] == 408


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", PATHS)
def test_each_route_takes_its_method_alone(
    offered: Target, maker: Maker, path: str, method: str
) -> None:
    maker.go_on.set()
    with Talk(offered.port) as talk:
        talk.send(request(f"{method} {path} HTTP/1.1", HOST))
        status, headers, _ = talk.answer(head_only=method == "HEAD")
    assert (status == 405) == (method != PATHS[path])
    assert headers.get("allow") == (PATHS[path] if status == 405 else None)
    assert maker.asked == []


@pytest.mark.parametrize(("path", "method"), PATHS.items())
def test_without_an_offer_it_is_told_how_to_get_one(tmp_path: Path, path: str, method: str) -> None:
    target = serving.nothing(tmp_path)
    with serving.thread(target):
        body = json.dumps(SENT).encode() if method == "POST" else b""
        status, answer = ask(target, request(f"{method} {path} HTTP/1.1", HOST, JSON, body=body))
    assert status == 404
    assert "devdb http --create-db" in answer["error"]["message"]


def test_the_page_says_how_to_claim(offered: Target, maker: Maker) -> None:
    lines = ["GET /claim?projectID=temp_calm_owl&utm_source=x HTTP/1.1", HOST]
    with Talk(offered.port) as talk:
        talk.send(request(*lines))
        status, headers, body = talk.answer()
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "devdb temp claim temp_calm_owl -n 'my shop'" in html.unescape(body.decode())
    assert maker.asked == []


@pytest.mark.parametrize(
    "name", ["", "x%3Brm%20-rf%20~", "%3Cscript%3Ealert(1)%3C/script%3E", "-f", "x%0Ay", "X", "a'b"]
)
def test_the_page_shows_no_name_that_no_database_has(offered: Target, name: str) -> None:
    status, page = ask(offered, request(f"GET /claim?projectID={name} HTTP/1.1", HOST))
    assert status == 400
    assert "devdb temp ls" in page
    assert "script" not in page
    assert "rm " not in page
    assert "claim" not in page


LATER = """
import sys, threading
from datetime import timedelta
from devdb import marker
from devdb.workspace import createdb

offer = createdb.offer(marker.load(sys.argv[1]))
offer.prepare()
late = []
def watch(event, arguments):
    if event == "import" or (event == "open" and isinstance(arguments[0], str)):
        late.append((event, arguments[0]))
sys.addaudithook(watch)

made = offer.make(None, None)
for name in ("Wrong", made.name):
    try:
        offer.make(name, timedelta(hours=1))
    except Exception as error:
        assert error.hint
    else:
        raise SystemExit("made")
print(made.name, *late)
"""


def test_what_makes_one_reads_no_file_any_more(running: Spec) -> None:
    """A process that has given up root may not be able to read what it was started from."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", LATER, running.name],
            env={**os.environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.split()) == 1, done.stdout
    finally:
        Inside(running).tidy()


AS_WHOM = """
import asyncio, os, sys
from pathlib import Path
from devdb.gateway.createdb import Made, Offer
from devdb.gateway.server import serve
from devdb.gateway.target import Target

def prepare():
    print("prepared", os.geteuid(), flush=True)

def make(name, ttl):
    print("made", os.geteuid(), flush=True)
    return Made(name="x", direct="postgresql://d", pooled="postgresql://p")

port = int(sys.argv[1])
target = Target(
    name="shop", port=port, direct=1, pooled=2, max_connections=9, directory=Path(sys.argv[2])
)
offer = Offer(instance="shop", make=make, prepare=prepare)
ready = lambda: print("ready", flush=True)
asyncio.run(serve(target, user=(65534, 65534), offer=offer, ready=ready))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to give up")
def test_it_is_prepared_before_root_is_given_up_and_makes_them_after(tmp_path: Path) -> None:
    target = serving.nothing(tmp_path)
    argv = [sys.executable, "-P", "-c", AS_WHOM, str(target.port), str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            said = [running.stdout.readline(), running.stdout.readline()]
            assert create(target)[0] == 200
            said.append(running.stdout.readline())
        finally:
            running.terminate()
    assert said == ["prepared 0\n", "ready\n", "made 65534\n"]
    assert running.returncode == 0
