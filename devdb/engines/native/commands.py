"""Other programs, run while the start goes on telling that it lives; and the cache's lock."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from devdb.engines.native.owner import Owner

T = TypeVar("T")
Beats = Generator[None, None, T]
"""Something that takes a while: yields at least every `BEAT` seconds, then returns its result."""

BEAT = 0.1


class CommandFailed(Exception):
    """The program ended with an error; the message is what it printed."""


def run(
    argv: Sequence[str | Path],
    *,
    owner: Owner | None = None,
    env: dict[str, str] | None = None,
    text: str = "",
    cwd: Path = Path("/"),
) -> Beats[str]:
    """Run a program to its end, as `owner`, with `text` on its stdin; returns its output.

    Raises CommandFailed. Abandoned half-way (the generator is closed), it is killed.
    """
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=env,
        cwd=cwd,
        **(owner.credentials if owner else {}),
    )
    output = b""
    with process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(text.encode())
            process.stdin.close()
            # The end of the output is noticed at once; Popen.wait(timeout) polls up to 50 ms.
            while True:
                if not select.select([process.stdout], [], [], BEAT)[0]:
                    yield
                elif chunk := os.read(process.stdout.fileno(), 65536):
                    output += chunk
                else:
                    break
        except BaseException:
            process.kill()
            raise
    printed = output.decode(errors="replace").strip()
    if process.returncode != 0:
        raise CommandFailed(printed or f"{argv[0]} ended with {process.returncode}")
    return printed


def copy_tree(source: Path, target: Path) -> Beats[None]:
    """Copy a directory with owners and modes; shares blocks where the file system can."""
    if sys.platform == "darwin":
        argv = ["cp", "-cpR"]
    else:
        argv = ["cp", "-a", "--reflink=auto"]
    yield from run([*argv, source, target])


def beside(work: Callable[[], T], *, abandon: Callable[[], object] = lambda: None) -> Beats[T]:
    """Do something that blocks in a thread; returns its result, raises what it raised.

    Abandoned half-way, it is told so by `abandon`, and waited for: nothing is left half done.
    """
    with meanwhile(work, abandon=abandon) as doing:
        return (yield from doing)


@contextmanager
def meanwhile(
    work: Callable[[], T], *, abandon: Callable[[], object] = lambda: None
) -> Iterator[Beats[T]]:
    """The same for the length of a block, which waits for the result where it wants it."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run_it() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    def result() -> Beats[T]:
        while thread.is_alive():
            thread.join(BEAT)
            if thread.is_alive():
                yield
        if errors:
            raise errors[0]
        return results[0]

    thread = threading.Thread(target=run_it, daemon=True)
    thread.start()
    try:
        yield result()
    except BaseException:
        abandon()
        raise
    finally:
        thread.join()


def locked(path: Path) -> Beats[int]:
    """Wait for an exclusive lock on that file; close the descriptor to let go of it.

    A killed process lets go of it too.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                select.select([], [], [], BEAT)
                yield
            else:
                return descriptor
    except BaseException:
        os.close(descriptor)
        raise
