"""The native engine: Postgres and PgBouncer as ordinary process trees, no Docker."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from devdb.errors import EngineUnavailable

if TYPE_CHECKING:
    from devdb.engines import Engine


def at(host: str | None) -> Engine:
    """The engine of this machine, wherever that is; raises EngineUnavailable on Windows."""
    del host
    if sys.platform == "win32":
        raise EngineUnavailable(
            "The native engine does not run on Windows.",
            "Use Docker (devdb up --engine docker), or devdb in WSL.",
        )
    from devdb.engines.native.engine import NativeEngine

    return NativeEngine()
