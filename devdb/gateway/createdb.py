"""The service that `npx create-db` asks, as far as it asks: each database is a temporary one here.

Without credentials, and what it answers holds some: it is off unless it is offered. The contract is
what create-db 1.2.1 sends and reads; GET /health, which it asks first, is the server's.
"""

from __future__ import annotations

import asyncio
import html
import json
import re
import shlex
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from devdb.errors import DevdbError, EngineUnavailable, NotFound, TimedOut, UsageError

PATHS = {"/regions": "GET", "/create": "POST", "/analytics": "POST", "/claim": "GET"}
"""The routes, each with the one method that it takes."""
COMMAND = "devdb http --create-db"
"""What has them answer."""
REGIONS = (
    *("ap-southeast-1", "ap-northeast-1", "eu-central-1", "eu-west-3"),
    *("us-east-1", "us-west-1"),
)
"""The ones that the command line knows; all of them are this machine."""
AT_ONCE = 3
"""Databases that are made at the same time."""
WAITING = 16
"""How many more may be asked for meanwhile."""
LONGEST = 64 * 1024
"""Bytes of a body."""

PATIENCE = 10
"""Seconds for a body."""

_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Full(Exception):
    """There are as many databases as there may be: `count` of `most`."""

    seconds = 60
    """When it may be otherwise."""

    def __init__(self, count: int, most: int) -> None:
        super().__init__(f"{count} of {most}")
        self.count = count
        self.most = most

    @property
    def message(self) -> str:
        """For who asked."""
        return (
            f"devdb makes no more now: {self.count} temporary databases live, of at most "
            f"{self.most}. They end by themselves; devdb temp ls, devdb temp drop NAME."
        )


class _Busy(Full):
    """So many are being made, or waited for."""

    seconds = 1

    @property
    def message(self) -> str:
        return f"devdb is making {AT_ONCE} databases, and {WAITING} more wait. Try again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A database that was made: its name, and its URLs, which have its password in them."""

    name: str
    direct: str = field(repr=False)
    pooled: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What makes the databases."""

    instance: str
    """The name of the instance that they are in."""
    make: Callable[[str | None, timedelta | None], Made]
    """Makes one of that name that lives for so long; None: what is usual. It blocks, and is
    called in a thread. Raises DevdbError, Full, OSError."""
    prepare: Callable[[], None]
    """Loads all that `make` will need; to be called while everything can still be read."""


class CreateDb:
    """The routes, for one server; without an offer they say how to get one."""

    def __init__(self, offer: Offer | None) -> None:
        self._offer = offer
        self._makers = ThreadPoolExecutor(AT_ONCE, "devdb-create-db") if offer else None
        self._asked: list[Future[Made]] = []

    async def answer(self, request: web.BaseRequest) -> web.Response:
        """The answer to a request for one of `PATHS`, whose Host is known to be right."""
        path = request.path
        if self._offer is None:
            return _refusal(404, f"devdb makes no databases here. Start it so: {COMMAND}")
        if request.method != PATHS[path]:
            return _refusal(405, f"{path} is for {PATHS[path]}.", Allow=PATHS[path])
        if path == "/regions":
            return _json({"data": [_region(name) for name in REGIONS]})
        if path == "/claim":
            return _claim(request.query.get("projectID", ""), self._offer.instance)
        # A page in a browser cannot leave out its Origin, nor send JSON without asking before.
        if "Origin" in request.headers:
            return _refusal(403, "devdb answers no web page here, only create-db itself.")
        if request.content_type != "application/json":
            return _refusal(415, "Content-Type has to be application/json.")
        try:
            async with asyncio.timeout(PATIENCE):
                body = await _body(request)
        except TimeoutError:
            return _last(_refusal(408, "The rest of the request did not come."))
        if body is None:
            return _last(_refusal(413, f"A request has {LONGEST} bytes at most."))
        if path == "/analytics":
            return _json({})  # and nothing is done with it
        return await self._create(self._offer, body)

    def close(self) -> None:
        """Begin no more; what is being made is waited for by the end of the process."""
        if self._makers is not None:
            self._makers.shutdown(wait=False, cancel_futures=True)

    async def _create(self, offer: Offer, body: bytes) -> web.Response:
        try:
            region, name, ttl = _wanted(body)
            made = await self._made(offer, name, ttl)
        except Full as full:
            return _full(full)
        except DevdbError as error:
            return _refusal(_status(error), f"devdb: {error.message} {error.hint}")
        except OSError as error:
            return _refusal(500, f"devdb: no database was made: {error.strerror or 'error'}.")
        connection = {
            "endpoints": {
                "direct": {"connectionString": made.direct},
                "pooled": {"connectionString": made.pooled},
            }
        }
        database = {"name": made.name, "region": {"id": region}, "connections": [connection]}
        return _json({"data": {"id": made.name, "database": database}})

    async def _made(self, offer: Offer, name: str | None, ttl: timedelta | None) -> Made:
        assert self._makers is not None
        self._asked = [each for each in self._asked if not each.done()]
        if len(self._asked) >= AT_ONCE + WAITING:
            raise _Busy(len(self._asked), AT_ONCE + WAITING)
        # Who leaves takes back what has not begun; the rest is done, and ends by itself.
        making = self._makers.submit(offer.make, name, ttl)
        self._asked.append(making)
        return await asyncio.wrap_future(making)


async def _body(request: web.BaseRequest) -> bytes | None:
    """The whole body; None where it is too long."""
    if (request.content_length or 0) > LONGEST:
        return None
    found = bytearray()
    async for chunk in request.content.iter_any():  # `read` would take what the gateway takes
        found += chunk
        if len(found) > LONGEST:
            return None
    return bytes(found)


def _wanted(body: bytes) -> tuple[str, str | None, timedelta | None]:
    """The region, the name and the time to live that a request asks for; raises UsageError."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict):
        raise UsageError("The body is no JSON object.", "create-db 1.2.1 sends one.")
    region = asked.get("region", REGIONS[4])
    if region not in REGIONS:
        raise UsageError("There is no such region.", f"Known: {', '.join(REGIONS)}.")
    name = asked.get("name")
    if not isinstance(name, str | None):
        raise UsageError("`name` is no text.", "Leave it out, and there will be one.")
    if name is not None and _is_moment(name):
        name = None  # the command line's own, which no database can have
    ttl = asked.get("ttlMs")
    if ttl is None:
        return region, name, None
    wrong = UsageError("`ttlMs` is no whole number of milliseconds.", "E.g. 3600000, an hour.")
    if not isinstance(ttl, int) or isinstance(ttl, bool):
        raise wrong
    with suppress(OverflowError):
        return region, name, timedelta(milliseconds=ttl)
    raise wrong


def _is_moment(name: str) -> bool:
    """Whether it is what JavaScript's `toISOString` makes, or nothing."""
    with suppress(ValueError):
        return not name or bool(datetime.fromisoformat(name))
    return False


def _region(name: str) -> dict[str, str]:
    return {"id": name, "name": f"{name}, that is this machine", "status": "available"}


def _status(error: DevdbError) -> int:
    if isinstance(error, UsageError | NotFound):
        return 400
    return 503 if isinstance(error, EngineUnavailable | TimedOut) else 500


def _full(full: Full) -> web.Response:
    body = {
        "error": "RATE_LIMIT_EXCEEDED",
        "message": full.message,
        "rateLimitInfo": {
            "retryAfterMs": full.seconds * 1000,
            "currentCount": full.count,
            "maxRequests": full.most,
        },
    }
    return _json(body, 429, **{"Retry-After": str(full.seconds)})


def _refusal(status: int, message: str, **headers: str) -> web.Response:
    """What the command line prints; of GET /regions it shows the reason alone."""
    return _json({"error": {"message": message, "status": status}}, status, **headers)


def _last(response: web.Response) -> web.Response:
    response.force_close()
    return response


def _json(value: Any, status: int = 200, **headers: str) -> web.Response:
    message = value.get("error", {}).get("message", "") if status == 404 else ""
    return web.Response(
        body=json.dumps(value).encode(),
        content_type="application/json",
        status=status,
        reason=message or None,
        headers={**_HEADERS, **headers},
    )


def _claim(name: str, instance: str) -> web.Response:
    """A page that says how; it does nothing, as whatever opens a link would do it too."""
    if _NAME.fullmatch(name):
        told = f"To keep '{name}' for good, run this on the machine that has it:"
        command = f"devdb temp claim {name} -n {shlex.quote(instance)}"
    else:
        told = "That is no name of a database. See what there is:"
        command = f"devdb temp ls -n {shlex.quote(instance)}"
    page = (
        "<!doctype html><html lang=en><meta charset=utf-8><title>devdb</title>"
        f"<p>{html.escape(told)}<pre>{html.escape(command)}</pre>"
        "<p>This page has changed nothing."
    )
    return web.Response(
        text=page,
        content_type="text/html",
        status=200 if _NAME.fullmatch(name) else 400,
        headers=_HEADERS,
    )
