"""What a variable of a `.env` file is to be, and the databases made for some of them."""

from __future__ import annotations

from enum import StrEnum


class Goes(StrEnum):
    """What a variable is to be: where its URL leads, or which part of one it has."""

    POOLED = "pooled"
    DIRECT = "direct"
    SHADOW = "shadow"
    """A database for migration tools, which empty it each time they use it."""
    TEST = "test"
    """A database for a test suite, which resets it each time it runs."""
    HOST = "host"
    PORT = "port"
    """Of the direct URL."""
    POOL_PORT = "pool-port"
    USER = "user"
    PASSWORD = "password"  # noqa: S105 - what a variable is called to be
    DATABASE = "database"
    HTTP = "http"
    """The gateway's URL, for serverless drivers."""

    @property
    def is_url(self) -> bool:
        """Whether it is a whole URL, and not a part of one."""
        return self in (Goes.POOLED, Goes.DIRECT, Goes.HTTP, *MADE)


MADE = {Goes.SHADOW: "shadow", Goes.TEST: "test"}
"""The databases beside the project's own, made on demand; their URLs are direct."""
