"""devdb: a real Postgres behind a real PgBouncer for every project on your machine.

import devdb

with devdb.temp(ttl="1h") as db:
    connect(db.url)  # or db.pooled_url; dropped at the end of the block
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devdb.api import Temp as Temp
    from devdb.api import temp as temp

__version__ = "0.1.0"
__all__ = ["Temp", "__version__", "temp"]


def __getattr__(name: str) -> Any:
    """`temp` and `Temp`, imported when they are asked for: the command line never does."""
    if name in ("temp", "Temp"):
        from devdb import api

        return getattr(api, name)
    raise AttributeError(f"module 'devdb' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is handed out, loaded or not."""
    return sorted(__all__)
