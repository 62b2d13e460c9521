"""Whom root's processes run as, which are none of root's business."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pwd

USERS = ("postgres", "nobody")
"""The first that exists."""


def find() -> pwd.struct_passwd | None:
    """Their entry in the system's list of users; None where it has neither."""
    import pwd  # which Windows has not

    for name in USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return None
