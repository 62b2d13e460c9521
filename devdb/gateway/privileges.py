"""Giving up root's privileges for good."""

from __future__ import annotations

import os

from devdb.errors import DevdbError


def drop(uid: int, gid: int) -> None:
    """Go on as that user, in that group alone; from here on only what it may read can be imported.

    Raises DevdbError where that cannot be done, or not for good.
    """
    try:
        os.setgroups([gid])
        os.setgid(gid)
        os.setuid(uid)
    except OSError as error:
        raise DevdbError(
            f"The gateway cannot go on as user {uid}, group {gid}: {error.strerror or error}.",
            "Start it as root, or as the user that it is to run as.",
        ) from error
    if hasattr(os, "getresuid"):
        users, groups = {*os.getresuid()}, {*os.getresgid()}
    else:  # macOS, where root's setuid changes them all
        users, groups = {os.getuid(), os.geteuid()}, {os.getgid(), os.getegid()}
    if users != {uid} or groups | {*os.getgroups()} != {gid}:
        raise DevdbError(
            f"The system let the gateway keep privileges that user {uid} does not have.",
            "Do not start it as root here.",
        )
