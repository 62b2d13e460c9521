"""`python -m devdb`."""

from __future__ import annotations

from devdb.cli import main

main()
