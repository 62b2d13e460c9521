"""The detached gateway: `python -P -m devdb.gateway` with the words below.

NAME PORT DIRECT POOLED MAX_CONNECTIONS DIRECTORY POOL_MODE UID GID: as a `Target` has them, and as
whom to go on, `-` twice where no privileges are to be given up. It says nothing while all is well,
ends with 0 at a signal or when the instance's marker is gone, and else with the code of the error,
whose one line is on stderr.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from devdb.errors import DevdbError
from devdb.gateway.server import SIGNALS, serve
from devdb.gateway.target import Target
from devdb.model import PoolMode


def main(words: list[str]) -> int:
    """Serve as the words say; the exit code."""
    name, port, direct, pooled, most, directory, mode, uid, gid = words
    target = Target(
        name=name,
        port=int(port),
        direct=int(direct),
        pooled=int(pooled),
        max_connections=int(most),
        directory=Path(directory),
        pool_mode=PoolMode(mode),
    )
    user = None if uid == "-" else (int(uid), int(gid))
    try:
        with asyncio.Runner() as runner:
            runner.run(serve(target, user=user, ready=lambda: None))
            # A second signal must not make a failure of a good end.
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    except DevdbError as error:
        sys.stderr.write(f"{error.message}\n")
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
