"""Ends what a killed Postgres left; run by the supervisor: `python -m ... NAME ROOT`."""

from __future__ import annotations

import sys
from pathlib import Path

from devdb.engines.native import stop
from devdb.engines.native.layout import Layout

if __name__ == "__main__":
    stop.end_backends(Layout(sys.argv[1], Path(sys.argv[2])))
