"""`POST /sql`: a query over HTTP, as @neondatabase/serverless sends it.

What is asked and answered is the contract of that driver with its own server: any error of a
request or of SQL is a 400 with all its fields in JSON, which the driver throws as a NeonDbError;
what else is wrong is one line of text, which it shows as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from aiohttp import web

from devdb.gateway import parameters
from devdb.gateway.answers import LARGEST, Result, TooLarge
from devdb.gateway.login import Denied
from devdb.gateway.parameters import Malformed
from devdb.gateway.pool import LOGIN, Closed, Pool, Silent, Unreachable
from devdb.gateway.target import Target
from devdb.gateway.upstream import Failed, Gone
from devdb.wire import Stranger, framing

_FROM_ANYWHERE = {"Access-Control-Allow-Origin": "*"}
"""A page needs the password, whichever it is from."""

_PREFLIGHT = {
    **_FROM_ANYWHERE,
    "Allow": "OPTIONS, POST",
    "Access-Control-Allow-Methods": "OPTIONS, POST",
    "Access-Control-Allow-Headers": ", ".join(
        [
            "Authorization",
            "Content-Type",
            parameters.CONNECTION,
            "Neon-Raw-Text-Output",
            "Neon-Array-Mode",
            "Neon-Pool-Opt-In",
            parameters.READ_ONLY,
            parameters.ISOLATION,
            parameters.DEFERRABLE,
        ]
    ),
    "Access-Control-Max-Age": "86400",
}

_ERROR_KEYS = {
    "message": "M",
    "code": "C",
    "detail": "D",
    "hint": "H",
    "position": "P",
    "internalPosition": "p",
    "internalQuery": "q",
    "severity": "S",
    "where": "W",
    "table": "t",
    "column": "c",
    "schema": "s",
    "dataType": "d",
    "constraint": "n",
    "file": "F",
    "line": "L",
    "routine": "R",
}
"""What the driver knows of an error, by the letters of
https://www.postgresql.org/docs/current/protocol-error-fields.html."""

_POOLERS = "08P01"
"""protocol_violation: what PgBouncer says of all that goes wrong."""

_JSON = "application/json"
_PIECE = 1 << 18
"""Bytes of an answer that is sent whole; a larger one is handed on in parts, so that there are not
two of it."""


class Sql:
    """Answers requests to `/sql`, for one instance."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._pool = Pool(target)

    async def close(self) -> None:
        """End what runs; each gets an answer that says so."""
        await self._pool.close()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to it; only a client that has left gets none.

        Raises what `request.read()` does for a body that does not come, or is too large.
        """
        if request.method == "OPTIONS":
            return web.Response(headers=_PREFLIGHT)
        if request.method != "POST":
            return _refused(405, {"M": "POST a query."}, {"Allow": "OPTIONS, POST"})
        try:
            return await self._run(request)
        except Malformed as error:
            said = {"S": "ERROR", "M": error.message}
            return _refused(400, said | ({"C": error.sqlstate} if error.sqlstate else {}))
        except (Failed, Denied) as error:
            if await self._is_down(error.fields):
                return _failed(self._target.down)
            return _refused(400, error.fields)
        except Gone:
            return self._look("ended the connection in the midst of the query: it may have run")
        except Silent:
            return self._look(f"has let nobody in for {LOGIN:.0f} s")
        except Stranger as error:
            return self._look(f"is not what answers there: {error.message}")
        except Unreachable:
            return _failed(self._target.down)
        except Closed:
            return _failed("Query cancelled, connection was terminated")

    async def _run(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        login = parameters.login(request.headers)
        begin, repeated = parameters.transaction(request.headers)
        try:
            port = self._target.upstream(login.port)
        except LookupError as error:
            raise Malformed(str(error.args[0])) from None
        asked = parameters.asked(request.headers, body)
        together = begin if asked.is_batch else None
        try:
            results = await self._pool.run(login, port, asked.statements, together)
        except TooLarge:
            stays = "" if asked.is_batch else " What the statement changed may be there."
            hint = f"Ask for fewer rows at once, with LIMIT.{stays}"
            return _refused(
                507, {"M": f"The answer is larger than {LARGEST >> 20} MiB.", "H": hint}
            )
        if not asked.is_batch:
            return await _sent(request, results[0].json, _FROM_ANYWHERE)
        return await _sent(request, _together(results), _FROM_ANYWHERE | repeated)

    async def _is_down(self, said: Mapping[str, str]) -> bool:
        """Whether that was said because Postgres is not there (yet).

        PgBouncer says it in many ways, by one code, which it has for much else.
        """
        code = said.get("C")
        return code == framing.NOT_YET or (code == _POOLERS and await self._pool.is_down())

    def _look(self, what: str) -> web.Response:
        name = self._target.name
        return _failed(f"devdb: '{name}' {what}. Look: devdb status -n {name}")


def _together(results: Sequence[Result]) -> list[bytes]:
    pieces = [b'{"results":[']
    for number, result in enumerate(results):
        if number:
            pieces.append(b",")
        pieces += result.json
    pieces.append(b"]}")
    return pieces


async def _sent(
    request: web.BaseRequest, pieces: Sequence[bytes], headers: Mapping[str, str]
) -> web.StreamResponse:
    size = sum(map(len, pieces))
    if size <= _PIECE:
        return web.Response(body=b"".join(pieces), content_type=_JSON, headers=headers)
    answer = web.StreamResponse(headers=headers)
    answer.content_type = _JSON
    answer.content_length = size
    await answer.prepare(request)
    held: list[bytes] = []
    waiting = 0
    for piece in pieces:
        held.append(piece)
        waiting += len(piece)
        if waiting >= _PIECE:
            await answer.write(b"".join(held))
            held.clear()
            waiting = 0
    await answer.write_eof(b"".join(held))
    return answer


def _refused(
    status: int, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> web.Response:
    """An error as the driver reads it, with all its keys."""
    error = {key: fields.get(letter) for key, letter in _ERROR_KEYS.items()}
    return web.Response(
        body=json.dumps(error, ensure_ascii=False).encode(),
        status=status,
        content_type=_JSON,
        headers={**_FROM_ANYWHERE, **(headers or {})},
    )


def _failed(line: str) -> web.Response:
    return web.Response(status=500, text=line, headers=_FROM_ANYWHERE)
