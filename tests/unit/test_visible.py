"""Control characters in what others say: shown, never sent."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devdb.errors import DevdbError
from devdb.masking import visible
from devdb.output import envelope, streams
from devdb.output.table import table

SENT = "\t\n"
DIRECTIONS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
HOSTILE = "\x1b]52;c;aGk=\x07\x9b2J\x7f\u202e\u2028end"


def obeyed(char: str) -> bool:
    """Whether it does something to a terminal or to the text around it."""
    kind = unicodedata.category(char)
    return (
        kind in ("Cc", "Zl", "Zp", "Cs") or unicodedata.bidirectional(char) in DIRECTIONS
    ) and char not in SENT


def test_every_character_that_a_terminal_obeys_is_spelled() -> None:
    for char in map(chr, range(sys.maxunicode + 1)):
        shown = visible(char)
        assert shown.isascii() or not obeyed(char), hex(ord(char))
        assert shown.startswith("\\") or not obeyed(char), hex(ord(char))


@pytest.mark.parametrize("text", ["plain\tand\n", "Köln 東京 👩‍👩‍👧 می‌خواهم \\x1b", ""])
def test_text_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_it_is_spelled_as_python_does() -> None:
    assert visible(HOSTILE) == r"\x1b]52;c;aGk=\x07\x9b2J\x7f\u202e\u2028end"


@given(st.text())
def test_shown_once_is_shown_for_good(text: str) -> None:
    assert not any(map(obeyed, visible(text)))
    assert visible(visible(text)) == visible(text)


def test_nothing_leaves_by_either_stream(capsys: pytest.CaptureFixture[str]) -> None:
    streams.data(HOSTILE)
    streams.narrate(f"{HOSTILE}\nerror: forged")
    streams.complain(HOSTILE, f"{HOSTILE}\r\n")
    for line in table(["NAME"], [[f"{HOSTILE}\nforged"]], width=80):
        streams.data(line)
    said = capsys.readouterr()
    assert not any(obeyed(char) for char in said.out + said.err)
    assert not [line for line in (said.out + said.err).split("\n") if line.startswith(("forged",))]
    assert "\nerror: forged" not in said.err


def test_a_style_is_ours_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(streams, "_draws", lambda stream: True)
    streams.narrate(f"{streams.paint('red', 'red')} \x1b[31mnot\x1b[0m")
    assert capsys.readouterr().err == "\x1b[31mred\x1b[0m \\x1b[31mnot\\x1b[0m\n"


def test_json_says_what_was_written() -> None:
    text = envelope.failed(DevdbError(HOSTILE, "hint"))
    assert not any(map(obeyed, text))
    assert json.loads(visible(text))["error"]["message"] == HOSTILE
