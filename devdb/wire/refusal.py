"""What a server says no with."""

from __future__ import annotations

from collections.abc import Mapping


class Refused(Exception):
    """The server said no; `sqlstate` is its code: `28P01` is a wrong password.

    `fields` is all that it said, by the letters of `framing.fields`.
    """

    def __init__(
        self, message: str, sqlstate: str = "", fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate
        self.fields = fields or {}


class Stranger(Refused):
    """Whoever answers there did not prove that it knows the password: it is another server."""


FAILURES = (Refused, OSError)
"""All that a session raises: the server said no, or there is none (or none any more)."""
