"""The two streams: stdout is data, stderr is narration; and whether a person sits behind them.

Nothing is written that a terminal would obey but what is made here: see `masking.visible`.
"""

from __future__ import annotations

import base64
import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import IO, Any, TextIO

from devdb.masking import visible

_STYLES = {"green": "32", "yellow": "33", "red": "31", "bold": "1", "dim": "2"}
_NONCE = os.urandom(8).hex()
"""Marks the styles in a text that are ours: nobody else can write one."""
_OURS = re.compile(rf"<{_NONCE}-(\d+)>")
NO_LIMIT = 10_000


def prepare() -> None:
    """Let no character that the locale lacks end the command: it is escaped instead."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def interactive() -> bool:
    """Whether a person can be asked: stdin and stdout are both terminals."""
    return _is_terminal(sys.stdin) and _is_terminal(sys.stdout)


def full_screen() -> bool:
    """Whether a person sits at a terminal on which one can draw."""
    return interactive() and _draws(sys.stdout)


def live() -> bool:
    """Whether narration goes to a terminal that can rewrite a line."""
    return _draws(sys.stderr)


def on_terminal() -> bool:
    """Whether what goes to stdout is read on a terminal."""
    return _is_terminal(sys.stdout)


def width(stream: TextIO | None = None) -> int:
    """Columns of the terminal behind the stream (stdout); off a terminal there is no limit."""
    stream = stream or sys.stdout
    if not _is_terminal(stream):
        return NO_LIMIT
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80


def data(text: str) -> None:
    """One text on stdout; ends the command quietly when nobody reads any more."""
    if sys.stdout is not None:
        _put(sys.stdout, f"{_shown(text)}\n")


def verbatim(content: bytes) -> None:
    """Bytes on a stdout that is no terminal, as they are; ends the command as `data` does."""
    if sys.stdout is not None:
        _put(sys.stdout.buffer, content)


def _put(stream: IO[Any], content: str | bytes) -> None:
    try:
        stream.write(content)
        stream.flush()
    except BrokenPipeError:
        _silence(stream)
        raise SystemExit(1) from None
    except OSError:
        _silence(stream)
        raise


def narrate(text: str, *, end: str = "\n") -> None:
    """One line on stderr; a reader that went away is no reason to stop."""
    line = _shown(text).replace("\n", "\\n")
    _write(f"{line}{end}")


def rewrite(text: str) -> None:
    """The text in place of the line that stderr is on, as much of it as fits there."""
    columns = max(20, width(sys.stderr)) - 1
    _write(f"\r\x1b[K{_shown(text)[:columns]}")


def _write(text: str) -> None:
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _silence(sys.stderr)


def to_clipboard(text: str) -> bool:
    """Send the text to the clipboard of the terminal (OSC 52); False where there is none.

    Terminals do not answer, and some drop it: more than "sent" cannot be claimed.
    """
    stream = next((each for each in (sys.stderr, sys.stdout) if _draws(each)), None)
    if stream is None:
        return False
    encoded = base64.b64encode(text.encode()).decode()
    stream.write(f"\x1b]52;c;{encoded}\x07")
    stream.flush()
    return True


def complain(message: str, hint: str) -> None:
    """An error on stderr, in its two lines: what happened, and what to do."""
    narrate(f"{paint('error:', 'red', stream=sys.stderr)} {_one_line(message)}")
    narrate(f"  {paint('try:', 'bold', stream=sys.stderr)} {_one_line(hint)}")


def paint(text: str, style: str, *, stream: TextIO | None = None) -> str:
    """The text in a colour, on a terminal that has them and wants them (NO_COLOR)."""
    if os.environ.get("NO_COLOR") or not _draws(stream or sys.stdout):
        return text
    return _style(_STYLES[style]) + text + _style("0")


def _style(code: str) -> str:
    return f"<{_NONCE}-{code}>"


def _shown(text: str) -> str:
    return _OURS.sub("\x1b[\\1m", visible(text))


def confirmed(lines: Iterable[str], question: str) -> bool:
    """Ask on the terminal; anything but y or yes is a no."""
    for line in lines:
        narrate(line)
    narrate(f"{question} [y/N] ", end="")
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        narrate("")
    return answer.strip().lower() in ("y", "yes")


def _one_line(text: str) -> str:
    return " / ".join(line.strip() for line in text.splitlines() if line.strip())


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _draws(stream: TextIO | None) -> bool:
    """Whether it is a terminal that takes more than text."""
    return _is_terminal(stream) and os.environ.get("TERM") != "dumb"


def _silence(stream: IO[Any]) -> None:
    """Send the rest nowhere, so that the interpreter's last flush does not complain either."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
