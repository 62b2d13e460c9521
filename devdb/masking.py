"""What may be shown of a text: no secret, and nothing that a terminal would act on."""

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
# C0 without tab and newline, DEL, C1; what turns the direction of writing, ends a line or cannot be
# seen; half a surrogate pair. Not the two joiners that Persian and emoji are written with.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SHOWABLE = re.compile(r"[A-Za-z][\w+.-]*://|file:|host=|\w+=\S+\s+\w+=")


def masked(text: str) -> str:
    """The text with every password in a URL and every `password=` value replaced by `***`."""
    text = _IN_URL.sub(rf"\g<before>{HIDDEN}\g<after>", text)
    return _NAMED.sub(rf"\g<before>{HIDDEN}", text)


def masked_value(value: str) -> str:
    """What may be shown of a setting that should be a URL: nothing at all where it is none."""
    return masked(value) if not value or _SHOWABLE.match(value) else HIDDEN


def visible(text: str) -> str:
    """The text with its control characters spelled as Python does (`\\x1b`); tab and newline stay.

    What servers, files and other people say is shown through this: a terminal obeys an escape
    sequence (OSC 52 sets the clipboard), whoever it came from.
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
