"""A connection to one of the two servers, on which one request after the other is run."""

from __future__ import annotations

import asyncio
import re
import select
import struct
from collections.abc import Sequence

from devdb.gateway.answers import Answers, Result, TooLarge
from devdb.gateway.login import Link
from devdb.gateway.parameters import Statement
from devdb.gateway.values import Mode
from devdb.wire import Stranger, framing


class Failed(Exception):
    """The server refused a statement; `fields` are its words, by the letters of the protocol."""

    def __init__(self, fields: dict[str, str]) -> None:
        super().__init__("refused")  # never the words: they may hold what was sent
        self.fields = fields


class Unstarted(Failed):
    """The server ended the connection, and had not come to the request before."""


class Unsupported(Failed):
    """A statement that makes no sense in a request and its answer; it had no effect."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__({"S": "ERROR", "V": "ERROR", "C": "0A000", "M": message, "H": hint})


class Gone(Exception):
    """The server ended the connection without a word."""


class Upstream(asyncio.Protocol):
    """A connection that is logged in.

    While nothing is asked the server has nothing to say: what comes then ends the connection, so
    that nobody gets as an answer what was said before.
    """

    def __init__(self, link: Link) -> None:
        self.is_reusable = True
        """Whether a request would find it as it was after the login."""
        self._link = link  # kept whole: its writer closes the connection when it goes
        self._transport = link.writer.transport
        self._answers: Answers | None = None
        self._complete: asyncio.Future[None] | None = None
        self._pending = bytearray()
        self._needed = 0
        self._news = select.poll()
        self._news.register(self._transport.get_extra_info("socket"), select.POLLIN)
        self._transport.set_protocol(self)

    @classmethod
    async def over(cls, link: Link) -> Upstream:
        """The connection that was logged in; nobody else may use it from then on."""
        upstream = cls(link)
        link.reader.feed_eof()  # nothing comes to it any more: what it has is all there is
        if said := await link.reader.read():
            upstream.data_received(said)
        return upstream

    @property
    def key(self) -> bytes:
        """What a CancelRequest has to carry."""
        return self._link.key

    @property
    def is_quiet(self) -> bool:
        """Whether it is open, and nothing has come that was not read yet."""
        return not self._transport.is_closing() and not self._news.poll(0)

    async def run(
        self, statements: Sequence[Statement], *, begin: bytes | None, reset: bytes
    ) -> list[Result]:
        """Run them: with `begin`, which begins it, as one transaction, else the one that it is.

        `reset`, a message or none, goes behind them. Raises Failed for what the server refuses,
        Gone when it has gone, TooLarge, wire.Stranger. `is_reusable` is true then, too,
        where it is.
        """
        self.is_reusable = False
        modes: list[Mode | None] = [each.mode for each in statements]
        request = [framing.statement(each.query, each.values) for each in statements]
        if begin is not None:
            modes.insert(0, None)
            request.insert(0, framing.statement(begin, []))
        elif not any(_WITHOUT_ANSWER.search(each.query) for each in statements):
            answers = await self._ask([*request, framing.SYNC, reset], modes, 1 + bool(reset))
            self._end(answers, answers, is_reset=bool(reset))
            return answers.results
        # Nothing is kept by the server before it has a SYNC: what we then find to be no answer, or
        # too large for one, has not happened.
        answers = await self._ask([*request, framing.FLUSH], modes, 0)
        _refuse(answers)
        if begin is None:
            rest = [framing.SYNC]
        elif answers.error:
            rest = [framing.SYNC, framing.simple(b"ROLLBACK")]
        else:
            rest = [framing.statement(b"COMMIT", []), framing.SYNC]
        undoes = begin is not None and bool(answers.error)
        try:
            ended = await self._ask([*rest, reset], [], 1 + undoes + bool(reset))
        except Unstarted as error:  # of the whole something has happened
            raise Failed(answers.error or error.fields) from None
        except Gone:
            if answers.error:
                raise Failed(answers.error) from None
            raise
        self._end(answers, ended, is_reset=bool(reset))
        return answers.results

    def fail(self, error: Exception) -> None:
        """Have who waits for the answer get that instead."""
        if self._complete is not None and not self._complete.done():
            self._complete.set_exception(error)

    def close(self) -> None:
        """End the session, and the transaction in it, if there is one."""
        if not self._transport.is_closing():
            self._transport.write(framing.TERMINATE)
            self._transport.close()

    def data_received(self, data: bytes | bytearray) -> None:
        """Read what has come; asyncio's."""
        answers, complete = self._answers, self._complete
        if answers is None or complete is None or complete.done():
            self._transport.abort()
            return
        if self._pending:
            self._pending += data
            if len(self._pending) < self._needed:
                return
            data, self._pending = self._pending, bytearray()
        try:
            used, self._needed = answers.take(data)
        except (TooLarge, Stranger) as error:
            complete.set_exception(error)
            return
        except (ValueError, IndexError, struct.error):
            complete.set_exception(Stranger(framing.NOT_THE_PROTOCOL))
            return
        if used < len(data):
            self._pending += memoryview(data)[used:]
        if answers.is_complete:
            complete.set_result(None)

    def connection_lost(self, _: Exception | None) -> None:
        """Tell who waits; asyncio's."""
        answers, complete = self._answers, self._complete
        if answers and answers.error and complete and not complete.done():
            complete.set_result(None)  # it was the server's last word
        self.fail(Gone("the server closed the connection"))

    async def _ask(self, request: list[bytes], modes: Sequence[Mode | None], ready: int) -> Answers:
        if self._transport.is_closing():
            raise Gone("the server closed the connection")
        answers = self._answers = Answers(modes, ready=ready)
        complete = self._complete = asyncio.get_running_loop().create_future()
        self._transport.write(b"".join(request))
        try:
            await complete
        finally:
            self._answers = self._complete = None
        if answers.is_last_word:
            raise (Failed if answers.has_begun else Unstarted)(answers.error)
        return answers

    def _end(self, answers: Answers, ended: Answers, *, is_reset: bool) -> None:
        """Say what was refused, and whether the next request can come."""
        self.is_reusable = (
            ended.statuses[-1:] == b"I"
            and ended.is_clean
            and not self._pending
            and (is_reset or not answers.has_set)
        )
        if error := answers.error or ended.error:
            raise Failed(error)


_WITHOUT_ANSWER = re.compile(rb"copy|listen", re.IGNORECASE)
"""A word of each statement that `_refuse` may refuse; most that have one are others."""


def _refuse(answers: Answers) -> None:
    """Raises Unsupported."""
    if answers.is_copying:
        raise Unsupported(
            "COPY from or to the client is not possible over HTTP.",
            "Connect by TCP for it, or INSERT and SELECT rows.",
        )
    if any(each.tag == "LISTEN" for each in answers.results):
        raise Unsupported(
            "LISTEN hears nothing over HTTP: the session ends with the request.",
            "Connect by TCP or WebSocket for it, by the direct URL.",
        )
