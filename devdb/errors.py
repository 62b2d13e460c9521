"""Everything devdb raises on purpose.

    DevdbError                      exit 1
    ├── UsageError                  exit 2   the words of the command were off
    ├── EngineUnavailable           exit 3   no Docker, no binaries, no image
    ├── TimedOut                    exit 4   it did not become ready, or free, in time
    ├── PortInUse                   exit 5   a port of the instance is somebody else's
    ├── NotFound                    exit 1   no instance, database or file of that name
    ├── StartFailed                 exit 1   a server was started and went away
    ├── DataMismatch                exit 1   the data was made by another major or engine
    └── NeedsConsent                exit 1   what only a person may say yes to, or an option of `up`
        ├── DataGone                         the data was removed: an empty one in its place?
        ├── MarkerLost                       devdb's file about it was removed: take it over?
        └── ProgramMissing      exit 3       no Postgres, no PgBouncer: are they to be got?

An error is two lines: what happened, and what to do about it.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process ends with; fixed by the design, scripts rely on it."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    ENGINE_UNAVAILABLE = 3
    TIMEOUT = 4
    PORT_IN_USE = 5
    INTERRUPTED = 130


class DevdbError(Exception):
    """What happened (`message`) and what to do (`hint`); `code` names it in `--json`."""

    code = "failure"
    exit_code = ExitCode.FAILURE

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


class StartFailed(DevdbError):
    """A server was started and went away again; the message carries its last words."""

    code = "start_failed"


class DataMismatch(DevdbError):
    """The data that is there was made by another Postgres major or another engine."""

    code = "data_mismatch"


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
