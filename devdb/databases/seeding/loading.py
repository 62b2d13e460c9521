"""Running Postgres' own tools on a seed: pg_restore makes a script of an archive, psql runs it."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO

from devdb.databases.seeding import failure, opening, tarball
from devdb.databases.seeding.content import Kind
from devdb.databases.seeding.feeding import Feed
from devdb.databases.seeding.opening import Seed
from devdb.databases.seeding.unpacking import Damaged, Reader
from devdb.errors import DevdbError, EngineUnavailable
from devdb.model import Endpoint, Spec
from devdb.psql import own_environment

if sys.platform == "linux":
    import fcntl

Tools = Callable[[str], Sequence[str]]
"""The command that runs a client program of Postgres on the instance (`Engine.tool_argv`)."""

_RESTRICTED_SINCE = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
"""The minor release of each major whose psql has a restricted mode; all newer majors have it."""

# What a setting of the server, the role or the database says is about the user's own work. A crash
# takes half-made data back, and half-made is what is removed then.
_SETTINGS = {
    "synchronous_commit": "off",
    "client_min_messages": "warning",
    "standard_conforming_strings": "on",
    "default_transaction_read_only": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
_SINCE = ((14, "idle_session_timeout", "0"), (17, "transaction_timeout", "0"))


def restricted_mode(version: str) -> bool:
    """Whether the psql that printed this for --version has `\\restrict`."""
    found = re.search(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?", version)
    if found is None:
        return False
    major, minor = int(found[1]), int(found[2] or 0)
    return major >= 18 or minor >= _RESTRICTED_SINCE.get(major, minor + 1)


class Psql:
    """The psql that is to be used, asked for its version while other work is done."""

    def __init__(self, tools: Tools) -> None:
        """Raises NotFound, EngineUnavailable when there is none."""
        self.argv = tools("psql")
        asking = [*self.argv[: _tool_at(self.argv) + 1], "--version"]
        self._asked = _start(asking, subprocess.DEVNULL, subprocess.PIPE, subprocess.DEVNULL)

    def guard(self) -> str | None:
        """A key for its restricted mode; None where it has none."""
        said, _ = self._asked.communicate()
        return secrets.token_hex(16) if restricted_mode(said.decode(errors="replace")) else None

    def __enter__(self) -> Psql:
        return self

    def __exit__(self, *_: object) -> None:
        self._asked.kill()
        self._asked.wait()
        if self._asked.stdout is not None:
            self._asked.stdout.close()


@contextmanager
def script(seed: Seed, tools: Tools) -> Iterator[Reader]:
    """The seed as SQL for psql. Raises Damaged and DevdbError, and so does reading it."""
    if seed.kind is Kind.PLAIN:
        yield seed.reader
        return
    with tempfile.TemporaryFile() as said:
        feeding = _Feeding()
        argv, stdin, feed = _restoring(seed, tools("pg_restore"))
        process = _start(argv, stdin, subprocess.PIPE, said)
        try:
            if feed is not None:
                feeding.start(feed, process)
            yield Reader(_restored(process, said, feeding, seed.name))
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
            feeding.join()


def _restored(
    process: subprocess.Popen[bytes], said: IO[bytes], feeding: _Feeding, name: str
) -> Iterator[bytes]:
    assert process.stdout is not None
    while block := process.stdout.read(1 << 16):
        yield block
    status = process.wait()
    feeding.join()
    if feeding.error is not None:
        raise feeding.error
    if status:
        said.seek(0)
        message = failure.of_archive(said.read().decode(errors="replace"))
        raise DevdbError(
            f"pg_restore cannot read '{name}': {message}.",
            failure.archive_way_out(message),
        )


_Feeder = Callable[[IO[bytes]], None]


def _restoring(
    seed: Seed, tool: Sequence[str]
) -> tuple[list[str], int | IO[bytes], _Feeder | None]:
    """The command, its stdin, and what writes that, where it is no file."""
    at = _tool_at(tool)
    if seed.kind is Kind.DIRECTORY:
        assert seed.path is not None, "a directory has a path"
        if at == 0:
            return [tool[0], "-f", "-", "-Fd", str(seed.path)], subprocess.DEVNULL, None
        # It is in a container, where the directory is not.
        return [*tool[:at], "sh", "-c", _IN_CONTAINER], subprocess.PIPE, _packer(seed.path)
    argv = [*tool[: at + 1], "-f", "-", "-F", "t" if seed.kind is Kind.TAR else "c"]
    if (file := seed.reader.file) is not None:
        if seed.kind is Kind.TAR:
            tarball.check(file)
        file.seek(0)
        return argv, file, None

    def write(pipe: IO[bytes]) -> None:
        blocks = seed.reader.blocks()
        for block in tarball.checked(blocks) if seed.kind is Kind.TAR else blocks:
            pipe.write(block)

    return argv, subprocess.PIPE, write


_IN_CONTAINER = (
    'd=$(mktemp -d) && trap \'rm -rf "$d"\' EXIT && tar -xf - -C "$d" && pg_restore -f - -Fd "$d"'
)


def _packer(directory: Path) -> _Feeder:
    def write(pipe: IO[bytes]) -> None:
        with tarfile.open(fileobj=pipe, mode="w|") as tar:
            for file in sorted(directory.iterdir()):
                tar.add(file, file.name, recursive=False)

    return write


class _Feeding:
    """A thread that writes what a process reads, while what it writes is read here."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self._thread: threading.Thread | None = None

    def start(self, write: _Feeder, process: subprocess.Popen[bytes]) -> None:
        pipe = process.stdin
        assert pipe is not None

        def run() -> None:
            try:
                with suppress(BrokenPipeError), pipe:
                    write(pipe)
            except (Damaged, DevdbError, OSError, ValueError) as error:
                self.error = error
                process.kill()  # it may not notice what is missing

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Until it has written all, or nobody reads it any more."""
        if self._thread is not None:
            self._thread.join()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """psql as it is run on the seed's script."""

    psql: Sequence[str]
    endpoint: Endpoint
    major: int
    guard: str | None

    def argv(self) -> list[str]:
        """The command; no secret in it."""
        newer = {name: value for since, name, value in _SINCE if self.major >= since}
        options = " ".join(f"-c {name}={value}" for name, value in (_SETTINGS | newer).items())
        target = f"dbname={self.endpoint.database} options='{options}'"
        argv = [*self.psql, "-X", "-q", "-w", "-o", "/dev/null", "-U", self.endpoint.user]
        argv += ["-d", target, "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"]
        if self.guard:
            argv += ["-c", f"\\restrict {self.guard}"]
        return [*argv, "-f", "-"]


def run(how: Run, feed: Feed, reader: Reader, path: Path | None, spec: Spec) -> None:
    """Give psql the script, to its end or to the first error.

    Raises DevdbError; EngineUnavailable when there is no psql.
    """
    with tempfile.TemporaryFile() as told:
        process = _start(
            how.argv(), subprocess.PIPE, subprocess.DEVNULL, told, password=how.endpoint.password
        )
        pipe = process.stdin
        assert pipe is not None
        _widen(pipe)
        try:
            try:
                with suppress(BrokenPipeError), pipe:
                    for block in feed.blocks(reader, path):
                        pipe.write(block)
            except (Damaged, OSError) as error:
                raise opening.unreadable(feed.name, error) from None
            status = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        told.seek(0)
        said = failure.said(told.read().decode(errors="replace")) if status else None
    if said is not None:
        where = feed.where(said.line) if said.line is not None else feed.name
        context = f" ({said.context})" if said.context else ""
        raise DevdbError(
            f"The seed failed at {where}: {said.message}{context}.",
            failure.way_out(said, spec),
        )
    if status:
        raise DevdbError(
            f"The seed '{feed.name}' failed: psql ended with {status} and gave no reason.",
            f"Look at `devdb logs`; {failure.NOTHING_LEFT}.",
        )


def _start(
    argv: Sequence[str],
    stdin: int | IO[bytes],
    stdout: int,
    stderr: int | IO[bytes],
    *,
    password: str = "",
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            argv, stdin=stdin, stdout=stdout, stderr=stderr, env=own_environment(password)
        )
    except FileNotFoundError:
        raise _missing(argv[0]) from None


def _widen(pipe: IO[bytes]) -> None:
    """Have a block of the script fit into it, where the system can: two processes switch less."""
    if sys.platform == "linux":
        with suppress(OSError):
            fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, 1 << 20)


def _missing(program: str) -> EngineUnavailable:
    return EngineUnavailable(
        f"There is no {program} to seed with.",
        "Install the Postgres client tools, or set DEVDB_PG_BIN to where they are.",
    )


def _tool_at(argv: Sequence[str]) -> int:
    """Where the tool stands in its command: first, or after what runs it in a container."""
    tools = ("psql", "pg_restore", "psql.exe", "pg_restore.exe")
    return max(n for n, word in enumerate(argv) if PurePath(word).name in tools)
