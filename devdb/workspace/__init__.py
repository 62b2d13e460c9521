"""The use cases: what the command line, the dashboard and the Python API ask for.

Each takes values and returns values (or yields Progress); none prints. A use case's module is
imported when its name is first asked for, so that `devdb url` does not wait for all of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from devdb.workspace.cancelling import standing as standing
    from devdb.workspace.cancelling import take_back as take_back
    from devdb.workspace.diagnosis import Diagnosis as Diagnosis
    from devdb.workspace.diagnosis import diagnose as diagnose
    from devdb.workspace.diagnosis import explain as explain
    from devdb.workspace.environment import keep_client as keep_client
    from devdb.workspace.environment import named_client as named_client
    from devdb.workspace.instances import Health as Health
    from devdb.workspace.instances import Instance as Instance
    from devdb.workspace.instances import State as State
    from devdb.workspace.instances import every as every
    from devdb.workspace.instances import find as find
    from devdb.workspace.instances import health as health
    from devdb.workspace.instances import logs as logs
    from devdb.workspace.instances import matching as matching
    from devdb.workspace.instances import mend as mend
    from devdb.workspace.instances import psql_argv as psql_argv
    from devdb.workspace.instances import tool_argv as tool_argv
    from devdb.workspace.names import Gone as Gone
    from devdb.workspace.names import is_own as is_own
    from devdb.workspace.names import resolve as resolve
    from devdb.workspace.names import resolve_existing as resolve_existing
    from devdb.workspace.ports import reachable as reachable
    from devdb.workspace.pulse import Pulse as Pulse
    from devdb.workspace.shutdown import Removal as Removal
    from devdb.workspace.shutdown import down as down
    from devdb.workspace.shutdown import removal as removal
    from devdb.workspace.shutdown import remove as remove
    from devdb.workspace.staleness import stale as stale
    from devdb.workspace.startup import Outcome as Outcome
    from devdb.workspace.startup import Ready as Ready
    from devdb.workspace.startup import up as up

_HOMES = {
    "cancelling": ("standing", "take_back"),
    "diagnosis": ("Diagnosis", "diagnose", "explain"),
    "environment": ("keep_client", "named_client"),
    "instances": (
        "Health",
        "Instance",
        "State",
        "every",
        "find",
        "health",
        "logs",
        "matching",
        "mend",
        "psql_argv",
        "tool_argv",
    ),
    "names": ("Gone", "is_own", "resolve", "resolve_existing"),
    "ports": ("reachable",),
    "pulse": ("Pulse",),
    "shutdown": ("Removal", "down", "removal", "remove"),
    "staleness": ("stale",),
    "startup": ("Outcome", "Ready", "up"),
}
_MODULES = {name: module for module, names in _HOMES.items() for name in names}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
