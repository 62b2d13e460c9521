"""Building a template: the project's own function, or its seeds, on an empty database."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from devdb.errors import DevdbError
from devdb.model import Endpoint
from devdb.pytest_plugin.host import Host
from devdb.pytest_plugin.plan import Plan


def build(plan: Plan, host: Host, endpoint: Endpoint, spell: Callable[[Endpoint], str]) -> None:
    """Build it there. What the function raises is raised here; DevdbError for a seed."""
    if plan.function is not None:
        answer = plan.function(spell(endpoint))
        if inspect.iscoroutine(answer):
            _run(answer)
    if plan.seeds:
        _load(plan, host, endpoint)


def _load(plan: Plan, host: Host, endpoint: Endpoint) -> None:
    from devdb.databases import seeding

    for number, path in enumerate(plan.seeds):
        with seeding.opened(path) as seed:
            loaded = seeding.load(host.spec, seed, host.tools, endpoint=endpoint, empty=number == 0)
        if loaded.event_triggers:
            raise DevdbError(
                f"'{loaded.name}' makes event triggers, which only a superuser may.",
                "Leave them out of it, or use the tests' own instance.",
            )


def _run(work: Coroutine[Any, Any, object]) -> None:
    """Run it to its end; in a thread of its own, as this one may have an event loop."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:  # noqa: BLE001 - it is raised where it belongs, below
            raised.append(error)

    thread = threading.Thread(target=run, name="devdb-template", daemon=True)
    thread.start()
    thread.join()
    for error in raised:
        raise error
