"""How many open files the servers may have."""

from __future__ import annotations

import resource
import sys

from devdb.engines import files

FILES = 4096
"""Open files a server may have: more than macOS' default of 256."""
MANY_FILES = 10_240 if sys.platform == "darwin" else 65_536
"""Open files of one that has as many clients as the system lets it have.

macOS grants no more, whatever it calls its hard limit (OPEN_MAX in its limits.h).
"""


def open_files(pid: int | None, wanted: int) -> int:
    """How many files that process may have open; one that is yet to be started, where pid is None.

    A server keeps what it was started with, whatever the shell allows that devdb runs in now.
    """
    if pid is not None and (found := files.limit_of(pid)) is not None:
        return found
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft, wanted if hard == resource.RLIM_INFINITY else min(wanted, hard))
