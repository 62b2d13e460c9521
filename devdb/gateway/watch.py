"""Whether the instance that is served is still one."""

from __future__ import annotations

import os
from pathlib import Path

from devdb.errors import DevdbError


class Watch:
    """Sees an instance's marker go, also where the way to it is closed by then; for a `with`."""

    def __init__(self, name: str, directory: Path) -> None:
        """Raises DevdbError where there is no such directory, or it may not be looked into."""
        try:
            self._directory = os.open(directory, getattr(os, "O_PATH", 0) | os.O_DIRECTORY)
        except OSError as error:
            raise DevdbError(
                f"Instance '{name}' cannot be seen: {error.strerror or error}.",
                f"Look at it: devdb status -n {name}",
            ) from None

    def is_gone(self) -> bool:
        """Whether the marker was removed; False where that cannot be told."""
        # Of a directory that is open its owner cannot keep that from us.
        if os.fstat(self._directory).st_nlink == 0:
            return True
        try:
            os.stat("marker.json", dir_fd=self._directory)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return False

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._directory)
