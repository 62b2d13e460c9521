"""A program that devdb runs for the user: in its own place, or as a child it waits for.

A child is in devdb's process group, so that the terminal's Ctrl-C and Ctrl-Z reach it as they reach
any program. What reaches devdb alone is passed on; devdb stops when the child was stopped, so that
the shell gets the terminal back.
"""

from __future__ import annotations

import errno
import os
import shlex
import signal
import sys
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TypeVar

from devdb.cli.signals import from_others, no_action
from devdb.errors import DevdbError, NoProgram, NotExecutable

T = TypeVar("T")

_UNDONE = tuple(
    getattr(signal, name) for name in ("SIGPIPE", "SIGXFZ", "SIGXFSZ") if hasattr(signal, name)
)
"""Signals that Python ignores, and a program expects to end it."""
_KEYS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH)
"""What a terminal sends to whoever is in its foreground, all of them."""
_JOB = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
"""What stops a job; in a group that nobody would wake they do nothing."""
_BUILT_IN = ("cd", "export", "source", ".", "alias", "set", "eval", "exec", "ulimit", "umask")
_SHELL = "/bin/sh"


def program(word: str, environment: Mapping[str, str]) -> str:
    """The path of the program that a shell would run for that word.

    Raises NoProgram or NotExecutable.
    """
    there = None
    for path in _places(word, environment):
        if os.access(path, os.X_OK) and Path(path).is_file():
            return path
        if os.access(path, os.F_OK):
            there = there or path
    if there is None:
        raise NoProgram(f"There is no program '{word}'.", _way_out(word))
    if Path(there).is_dir():
        raise NotExecutable(f"'{word}' is a directory.", "Name a program in it.")
    raise NotExecutable(
        f"'{there}' is no program, by its mode.", f"If it is one: chmod +x {shlex.quote(there)}"
    )


def _places(word: str, environment: Mapping[str, str]) -> list[str]:
    if not word or "/" in word:
        return [word] if word else []
    # Not as a Path: `./x` is what a script finds itself called then.
    places = environment.get("PATH", os.defpath).split(os.pathsep)
    return [f"{place or os.curdir}/{word}" for place in places]


def _way_out(word: str) -> str:
    if word.startswith("-"):
        return "devdb's own options stand in front of the command: devdb run --help"
    if word in _BUILT_IN or " " in word:
        return "For a shell's own words: devdb run -- sh -c 'cd web && npm run dev'"
    return "Is it installed, and on PATH? Functions and aliases of a shell are none."


def inherited() -> dict[str, str]:
    """The environment as devdb was given it.

    In the C locale Python adds LC_CTYPE to its own, for children (PEP 538).
    """
    found = dict(os.environ)
    with suppress(OSError):
        given = Path("/proc/self/environ").read_bytes().split(b"\0")
        if not any(each.startswith(b"LC_CTYPE=") for each in given):
            found.pop("LC_CTYPE", None)
    return found


def become(path: str, argv: list[str], environment: Mapping[str, str]) -> NoReturn:
    """Have that program take devdb's place: its pid, its terminal, its status.

    Raises NoProgram or NotExecutable.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.flush()
    before = {each: signal.signal(each, signal.SIG_DFL) for each in _UNDONE}

    def execute(program: str, words: list[str]) -> NoReturn:
        os.execve(program, words, environment)  # noqa: S606

    try:
        _started(execute, path, argv)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _started(start: Callable[[str, list[str]], T], path: str, argv: list[str]) -> T:
    """What `start` returns for that program; a script without a first line (#!) is the shell's.

    Raises NoProgram or NotExecutable.
    """
    try:
        try:
            return start(path, argv)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
            return start(_SHELL, [_SHELL, path, *argv[1:]])
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: str, error: OSError) -> DevdbError:
    """Why the system would not run a program that is there."""
    words = f"{path} cannot be run: {error.strerror or error}."
    if error.errno == errno.ENOENT:
        return NoProgram(words, "Its first line (#!) names a program that is not here.")
    if error.errno == errno.E2BIG:
        return NotExecutable(words, "Its arguments and the environment are too long together.")
    return NotExecutable(words, "Was it built for this machine?")


class Waiting:
    """In its block signals wait until they are asked for, so that none ends devdb.

    One that was ignored before (nohup) stays ignored, by devdb and by the child.
    """

    def __enter__(self) -> Waiting:
        self._signals = from_others()
        # What does nothing is thrown away by some systems, also where it is waited for.
        idle = (signal.SIGCHLD, signal.SIGCONT, signal.SIGWINCH)
        self._before = {each: signal.signal(each, no_action) for each in idle}
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def run(self, path: str, argv: list[str], environment: Mapping[str, str]) -> int:
        """Run that program and wait for its end; returns its status as a shell tells it: its exit
        code, or 128 and the number of the signal that ended it.

        Raises NoProgram or NotExecutable.
        """
        with _Terminal() as terminal:
            pid = self._spawn(path, argv, environment)
            is_stopped = False
            while True:
                number, is_passed_on = self._next(pid, terminal)
                if number == signal.SIGCHLD:
                    for status in _news(pid):
                        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                            return terminal.left_with(status)
                        is_stopped = os.WIFSTOPPED(status)
                        if is_stopped:
                            self._stop(os.WSTOPSIG(status), terminal)
                elif number == signal.SIGCONT and is_stopped:
                    os.kill(pid, number)  # devdb alone was woken
                elif is_passed_on and number != signal.SIGCONT:
                    os.kill(pid, number)

    def _spawn(self, path: str, argv: list[str], environment: Mapping[str, str]) -> int:
        how: Any = {"setsigmask": self._mask, "setsigdef": _UNDONE}

        def spawn(program: str, words: list[str]) -> int:
            return os.posix_spawn(program, words, environment, **how)

        return _started(spawn, path, argv)

    def _next(self, pid: int, terminal: _Terminal) -> tuple[int, bool]:
        """The next signal, and whether the child does not have it already."""
        if not hasattr(signal, "sigwaitinfo"):  # macOS, which does not say who sent one
            number = signal.sigwait(self._signals)
            return number, not (number in (*_KEYS, *_JOB) and terminal.is_ours())
        info = signal.sigwaitinfo(self._signals)
        if info.si_code > 0:
            # The system's own: of the terminal's, for the whole group. Only of its end nobody but
            # the leader of the session is told (credentials(7), setsid(2)).
            return info.si_signo, info.si_signo == signal.SIGHUP and os.getsid(0) == os.getpid()
        # `kill 0` in the child is for devdb too, and came from there.
        return info.si_signo, info.si_pid != pid

    def _stop(self, number: int, terminal: _Terminal) -> None:
        """Stop as the child was stopped, until devdb is woken.

        A SIGSTOP says nothing of a job: that is followed where a shell would not get its terminal
        back otherwise.
        """
        if number == signal.SIGSTOP and terminal.is_ours():
            number = signal.SIGTSTP
        if number not in _JOB:
            return
        # One that waits already, the terminal's, is the same one then.
        os.kill(os.getpid(), number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})


def _news(pid: int) -> Iterator[int]:
    """What became of the child since it was last asked, status by status."""
    while True:
        found, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        if found == 0:
            return
        yield status


class _Terminal:
    """The terminal that devdb runs in, if any, and its modes, as the shell left them."""

    def __enter__(self) -> _Terminal:
        self._descriptor, self._modes = -1, list[Any]()
        with suppress(OSError):
            self._descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        if self.is_ours():
            with suppress(termios.error):
                self._modes = termios.tcgetattr(self._descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: object, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            os.close(self._descriptor)

    def is_ours(self) -> bool:
        """Whether devdb's group is the one in its foreground."""
        try:
            return os.tcgetpgrp(self._descriptor) == os.getpgrp()
        except OSError:  # there is none
            return False

    def left_with(self, status: int) -> int:
        """The child's end: one that was killed had no time to put the modes back.

        A shell does that for what it ran itself. Returns the status as a shell tells it.
        """
        code = os.waitstatus_to_exitcode(status)
        if code < 0 and self._modes and self.is_ours():
            with suppress(termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._modes)
        return code if code >= 0 else 128 - code
