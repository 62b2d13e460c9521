"""Open the dashboard of an instance and refresh it as fast as it goes:

    refreshing.py NAME FIRST LAST FILE

Writes into FILE its RSS in MB after the first and after the last of so many refreshes.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import psutil

import devdb.tui.watch
from devdb.cli import main
from devdb.tui.dashboard import Dashboard


def run(name: str, first: int, last: int, target: Path) -> None:
    devdb.tui.watch.INTERVAL = 0.0
    sizes: list[float] = []
    refreshed = 0
    show = Dashboard.show

    def counted(self: Dashboard, *arguments: Any, **options: Any) -> None:
        nonlocal refreshed
        show(self, *arguments, **options)
        refreshed += 1
        if refreshed in (first, last):
            sizes.append(psutil.Process().memory_info().rss / 1e6)
        if refreshed == last:
            target.write_text(" ".join(map(str, sizes)), encoding="utf-8")
            self.action_detach()

    Dashboard.show = counted  # type: ignore[method-assign]
    sys.argv = ["devdb", "up", "--name", name]
    main()


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
