"""Whether a process runs, where that is less plain than it looks."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import world

from devdb import processes

# The first thread ends, as it does where a signal ends all of them, and is not the last one.
_LISTENS_WITHOUT_ITS_FIRST_THREAD = """
import ctypes, socket, threading
listening = socket.create_server(("127.0.0.1", 0))
def serve():
    print(listening.getsockname()[1], flush=True)
    listening.accept()
threading.Thread(target=serve).start()
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="how Linux tells of threads")
def test_one_whose_first_thread_has_ended_runs_until_the_last_has() -> None:
    command = [sys.executable, "-c", _LISTENS_WITHOUT_ITS_FIRST_THREAD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        status = Path(f"/proc/{process.pid}/stat")
        world.eventually(lambda: ") Z " in status.read_text(), "the end of its first thread")
        assert processes.is_running(process.pid)
        socket.create_connection(("127.0.0.1", port)).close()
        world.eventually(lambda: not processes.is_running(process.pid), "its end")
        assert process.wait() == 0
