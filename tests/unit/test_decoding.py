"""Text in the encodings that editors write it in."""

import pytest

from devdb.decoding import decoded


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["", "{", "{}", '{"name": "Zoë"}\r\n'])
def test_text_is_what_it_was(encoding: str, text: str) -> None:
    assert decoded(text.encode(encoding)) == text


def test_what_is_no_text_is_refused_or_replaced() -> None:
    with pytest.raises(UnicodeDecodeError):
        decoded(b"a\xff")
    assert decoded(b"a\xff", errors="replace") == "a\ufffd"
