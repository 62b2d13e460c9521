"""The text of a file, in the encoding that its first bytes tell: Windows has others."""

from __future__ import annotations

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decoded(content: bytes, *, errors: str = "strict") -> str:
    """The text without its byte order mark: UTF-8, or UTF-16 where the first bytes are that.

    Raises UnicodeDecodeError, but with `errors="replace"`.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, errors)
    # What these files begin with is ASCII, so a NUL is the other half of one in UTF-16.
    first, second = (content[:2] + b"xx")[:2]
    if first == 0 or second == 0:
        return content.decode("utf-16-le" if second == 0 else "utf-16-be", errors)
    return content.decode("utf-8", errors)
