"""Run commands, narrate on stderr, and end with two lines: what happened, what to do."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

SCRIPTS = Path(__file__).resolve().parents[1]
ROOT = SCRIPTS.parent
PYPROJECT = ROOT / "pyproject.toml"
LOCK = ROOT / "tests" / "requirements.txt"
"""What the tests run with, in exact versions; `scripts/lock` writes it."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "devdb-tests"
"""What the tests need and devdb does not: images, clients, logs."""

ENGINE_UNAVAILABLE = 3


class CommandFailed(Exception):
    """A command ended with an error; the text has its last lines."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def fail(happened: str, to_do: str, *, code: int = 1) -> NoReturn:
    say(happened)
    say(to_do)
    raise SystemExit(code)


def guarded(main: Callable[[], None]) -> None:
    """Run a script's main; what it did not foresee ends in two lines as well."""
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except (CommandFailed, OSError) as error:
        fail(f"{Path(sys.argv[0]).name}: {error}", "Mend that, and run this again.")


def in_venv() -> None:
    """Go on with this checkout's devdb: as the same program in .venv, where it cannot run here."""
    if importlib.util.find_spec("textual") is None:
        run(sys.executable, SCRIPTS / "venv", narrates=True)
        python = ROOT / ".venv" / "bin" / "python"
        os.execv(python, [str(python), *sys.argv])
    sys.path.insert(0, str(ROOT))


def run(
    *argv: str | Path,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    narrates: bool = False,
    timeout: float | None = None,
) -> str:
    """The command's stdout, stripped. Raises CommandFailed, also when there is no such command, or
    when it takes longer than `timeout` seconds.

    What it says on stderr is seen when it fails, or, where it `narrates`, as it says it.
    """
    try:
        done = subprocess.run(
            [str(each) for each in argv],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if narrates else subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"{argv[0]} took longer than {timeout:g} s") from error
    except OSError as error:
        raise CommandFailed(f"{argv[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise CommandFailed(_last_words(argv, done))
    return done.stdout.strip()


def succeeds(*argv: str | Path, timeout: float | None = None) -> bool:
    try:
        run(*argv, timeout=timeout)
    except CommandFailed:
        return False
    return True


def _last_words(argv: Sequence[object], done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stdout + (done.stderr or "")).strip().splitlines()[-15:]
    return "\n  ".join([f"{argv[0]} ended with {done.returncode}", *lines])
