"""What may be shown of a text that may have a secret in it."""

from __future__ import annotations

import re

HIDDEN = "***"

# Up to the last '@': people paste passwords with a raw '@', '/' or '#' in them, and rather too
# much is hidden than half a password shown.
_IN_URL = re.compile(r"(?P<before>[A-Za-z][\w+.-]*://[^\s:@/?#'\"]*:)[^\s'\"]*(?P<after>@)")
_NAMED = re.compile(
    r"(?P<before>(?:password|passwd|pwd|secret|token|api_?key)['\"]?\s*[=:]\s*)"
    r"(?:'[^']*'|\"[^\"]*\"|[^\s&;'\"]+)",
    re.IGNORECASE,
)
_SHOWABLE = re.compile(r"[A-Za-z][\w+.-]*://|file:|host=|\w+=\S+\s+\w+=")


def masked(text: str) -> str:
    """The text with every password in a URL and every `password=` value replaced by `***`."""
    text = _IN_URL.sub(rf"\g<before>{HIDDEN}\g<after>", text)
    return _NAMED.sub(rf"\g<before>{HIDDEN}", text)


def masked_value(value: str) -> str:
    """What may be shown of a setting that should be a URL: nothing at all where it is none."""
    return masked(value) if not value or _SHOWABLE.match(value) else HIDDEN
