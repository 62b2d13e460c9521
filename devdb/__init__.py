"""devdb: a real Postgres behind a real PgBouncer for every project on your machine.

import devdb

devdb.up()  # start this project's instance, or make it: url, pooled_url, env()
devdb.instance("shop")  # one that is there, running or not
with devdb.temp(ttl="1h") as db:
    connect(db.url)  # or db.pooled_url; dropped at the end of the block

Each raises devdb.DevdbError; what kinds there are is in devdb.errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devdb.api import Instance as Instance
    from devdb.api import Temp as Temp
    from devdb.api import instance as instance
    from devdb.api import temp as temp
    from devdb.api import up as up
    from devdb.errors import DevdbError as DevdbError

__version__ = "0.1.0"
__all__ = ["DevdbError", "Instance", "Temp", "__version__", "instance", "temp", "up"]


if not TYPE_CHECKING:  # else each name that is none would have a type

    def __getattr__(name: str) -> Any:
        """What `__all__` has, imported when it is asked for: the command line never does."""
        if name == "DevdbError":
            from devdb import errors

            return errors.DevdbError
        if name in __all__:
            from devdb import api

            return getattr(api, name)
        raise AttributeError(f"module 'devdb' has no attribute {name!r}")


def __dir__() -> list[str]:
    """What is handed out, loaded or not."""
    return sorted(__all__)
