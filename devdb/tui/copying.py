"""Copying from the dashboard: the clipboard, else the terminal, and what is said of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from textual.app import App
from textual.content import Content

from devdb import clipboard
from devdb.clipboard import Copied, Way

STYLES = {True: "$text-success", False: "$text-warning"}
"""By whether somebody confirmed it: what only may have arrived is not green."""


async def copy(app: App[Any], text: str) -> Copied:
    """Copy it; returns what became of it. For a worker: a tool may take its time."""
    copied = await asyncio.to_thread(clipboard.copy, text)
    if copied.way is Way.TERMINAL:
        app.copy_to_clipboard(text)
        if app.is_web:
            return replace(copied, words="sent to the browser: select it here if nothing arrives")
    return copied


def told(copied: Copied) -> Content:
    """In words, with a sign that tells a confirmed copy from another without colours too."""
    sign = "✓" if copied.is_confirmed else "→"
    return Content.styled(f"{sign} {copied.words}", f"b {STYLES[copied.is_confirmed]}")
