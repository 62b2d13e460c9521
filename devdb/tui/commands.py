"""The command palette: what the keys do, found by its name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from textual.binding import ActiveBinding
from textual.command import DiscoveryHit, Hit, Hits, Provider


class KeyCommands(Provider):
    """Every key of the screen below that does something now."""

    async def discover(self) -> Hits:
        """All of them."""
        for active in self._known():
            yield DiscoveryHit(
                active.binding.description, self._command(active), help=active.tooltip
            )

    async def search(self, query: str) -> Hits:
        """Those whose words match."""
        matcher = self.matcher(query)
        for active in self._known():
            words = f"{active.binding.description} - {active.tooltip}"
            if (score := matcher.match(words)) > 0:
                yield Hit(score, matcher.highlight(words), self._command(active))

    def _known(self) -> Iterator[ActiveBinding]:
        for active in self.screen.active_bindings.values():
            if active.enabled and active.binding.show and active.binding.description:
                yield active

    def _command(self, active: ActiveBinding) -> Callable[[], Awaitable[bool]]:
        return partial(self.app.run_action, active.binding.action, active.node)
