"""Everything devdb raises on purpose.

    DevdbError                      exit 1
    ├── UsageError                  exit 2   the words of the command were off
    ├── EngineUnavailable           exit 3   no Docker, no binaries, no image
    │   └── NamedUnavailable                 one elsewhere that was named: no other in its place
    ├── TimedOut                    exit 4   it did not become ready, or free, in time
    ├── PortInUse                   exit 5   a port of the instance is somebody else's
    ├── NotFound                    exit 1   no instance, database or file of that name
    ├── NoProgram                   exit 127 what was to be run is not there
    ├── NotExecutable               exit 126 what was to be run is there, and cannot be run
    ├── StartFailed                 exit 1   a server was started and went away
    ├── StatementFailed             exit 1   a server refused what its user had devdb run
    ├── DataMismatch                exit 1   the data was made by another major or engine
    ├── DiskFull                    exit 1   no room for another database
    └── NeedsConsent                exit 1   what only a person may say yes to, or an option of `up`
        ├── DataGone                         the data was removed: an empty one in its place?
        ├── MarkerLost                       devdb's file about it was removed: take it over?
        └── ProgramMissing      exit 3       no Postgres, no PgBouncer: are they to be got?

An error is two lines: what happened, and what to do about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What the process ends with; fixed by the design, scripts rely on it."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    ENGINE_UNAVAILABLE = 3
    TIMEOUT = 4
    PORT_IN_USE = 5
    NOT_EXECUTABLE = 126
    NO_PROGRAM = 127
    INTERRUPTED = 130


class DevdbError(Exception):
    """What happened (`message`) and what to do (`hint`); `code` names it in `--json`."""

    code = "failure"
    exit_code = ExitCode.FAILURE
    more: Mapping[str, Any] = {}
    """What else `--json` tells of it."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DevdbError):
    """An option, a name or a setting that cannot be right."""

    code = "usage"
    exit_code = ExitCode.USAGE


class EngineUnavailable(DevdbError):
    """The engine does not answer, or lacks the binaries or images it needs."""

    code = "engine_unavailable"
    exit_code = ExitCode.ENGINE_UNAVAILABLE


class NamedUnavailable(EngineUnavailable):
    """An engine on another machine, named on purpose: no other takes its place."""


class TimedOut(DevdbError):
    """A server did not become ready, or let go of a lock, within the time it was given."""

    code = "timeout"
    exit_code = ExitCode.TIMEOUT


class PortInUse(DevdbError):
    """A port that belongs to the instance is held by somebody else."""

    code = "port_in_use"
    exit_code = ExitCode.PORT_IN_USE


class NotFound(DevdbError):
    """Nothing of that name is here."""

    code = "not_found"


class NoProgram(DevdbError):
    """There is no program of that name; exit code as a shell has it."""

    code = "no_program"
    exit_code = ExitCode.NO_PROGRAM


class NotExecutable(DevdbError):
    """That is a file, but none that can be run; exit code as a shell has it."""

    code = "not_executable"
    exit_code = ExitCode.NOT_EXECUTABLE


class StartFailed(DevdbError):
    """A server was started and went away again; the message carries its last words."""

    code = "start_failed"


class StatementFailed(DevdbError):
    """The server refused a statement of the user's; `sqlstate` is its code."""

    code = "statement_failed"

    def __init__(self, message: str, hint: str, *, sqlstate: str, more: Mapping[str, Any]) -> None:
        super().__init__(message, hint)
        self.sqlstate = sqlstate
        self.more = {"sqlstate": sqlstate, **more}


class DataMismatch(DevdbError):
    """The data that is there was made by another Postgres major or another engine."""

    code = "data_mismatch"


class DiskFull(DevdbError):
    """The disk, or the memory, that an instance's data is on has no room for what was wanted."""

    code = "disk_full"


class NeedsConsent(DevdbError):
    """`up` goes on when somebody says yes to the question, or gives the option of that name."""

    option = ""

    def __init__(self, message: str, hint: str, question: str) -> None:
        super().__init__(message, hint)
        self.question = question


class DataGone(NeedsConsent):
    """An instance that had data has none any more: never made anew without being asked."""

    code = "data_gone"
    option = "anew"


class MarkerLost(NeedsConsent):
    """There are data or servers of that name, and no marker that tells how to get in."""

    code = "marker_lost"
    option = "adopt"


class ProgramMissing(NeedsConsent, EngineUnavailable):
    """The engine lacks programs, and devdb can get them: never unasked."""

    code = EngineUnavailable.code
    option = "fix"
