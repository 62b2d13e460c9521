"""The use cases: what the command line, the dashboard and the Python API ask for.

Each takes values and returns values (or yields Progress); none prints.
"""

from __future__ import annotations

from devdb.workspace.diagnosis import Diagnosis, diagnose
from devdb.workspace.instances import (
    Health,
    Instance,
    State,
    every,
    find,
    health,
    matching,
    reachable,
)
from devdb.workspace.names import Gone, resolve, resolve_existing
from devdb.workspace.shutdown import Removal, down, removal, remove
from devdb.workspace.startup import Outcome, Ready, up

__all__ = [
    "Diagnosis",
    "Gone",
    "Health",
    "Instance",
    "Outcome",
    "Ready",
    "Removal",
    "State",
    "diagnose",
    "down",
    "every",
    "find",
    "health",
    "matching",
    "reachable",
    "removal",
    "remove",
    "resolve",
    "resolve_existing",
    "up",
]
