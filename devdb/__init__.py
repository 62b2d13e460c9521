"""devdb: a real Postgres behind a real PgBouncer for every project on your machine."""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # without importing typing, which `devdb url` does not need
if TYPE_CHECKING:
    from devdb.api import Temp as Temp
    from devdb.api import temp as temp

__all__ = ["Temp", "__version__", "temp"]


def __getattr__(name: str) -> object:
    if name in ("Temp", "temp"):
        from devdb import api  # what it needs is loaded by those who use it

        return getattr(api, name)
    raise AttributeError(f"module 'devdb' has no attribute {name!r}")
