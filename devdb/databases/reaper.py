"""The reaper: a few lines of sh and psql that drop what has expired, with no devdb alive.

A value in the Spec: the engine runs it beside the two servers of the instance.
"""

from __future__ import annotations

from pathlib import Path

REAPER = Path(__file__).with_name("reaper.sh").read_text(encoding="utf-8")
"""A round at the start and then every 20 s; ends at SIGTERM. What it needs is in its head."""
