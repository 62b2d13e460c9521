"""What scripts/pressure found, kept in a file, and the table that the README shows of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = Path(__file__).resolve().parents[2] / "docs" / "pressure.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """What became of the clients that came by one URL; waits are in seconds."""

    worked: int
    failed: int
    error: str
    """What the most of those that failed were told."""
    median: float
    worst: float
    connections: int
    """Connections to Postgres that it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One run."""

    clients: int
    max_connections: int
    direct: Crowd
    pooled: Crowd
    measured: str
    """On what."""


def save(figures: Figures) -> None:
    FILE.write_text(json.dumps(asdict(figures), indent=2) + "\n", encoding="utf-8")


def load() -> Figures:
    values = json.loads(FILE.read_text(encoding="utf-8"))
    direct, pooled = Crowd(**values.pop("direct")), Crowd(**values.pop("pooled"))
    return Figures(direct=direct, pooled=pooled, **values)


def table(figures: Figures) -> str:
    """Markdown."""
    title = f"{figures.clients} clients at once, `max_connections = {figures.max_connections}`"
    lines = [
        f"| {title} | work | fail | median wait | worst wait | connections to Postgres |",
        "|---|---|---|---|---|---|",
        _row("direct", figures.direct),
        _row("pooled", figures.pooled),
        "",
        "The wait is for the answer of a query of 20 ms that all who are in ask in one moment. "
        f"Measured by `scripts/pressure`: {figures.measured}.",
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, crowd: Crowd) -> str:
    failed = f"{crowd.failed}: `{crowd.error}`" if crowd.failed else "0"
    waits = [f"{seconds:.2f} s" for seconds in (crowd.median, crowd.worst)]
    cells = (name, str(crowd.worked), failed, *waits, str(crowd.connections))
    return "| " + " | ".join(cells) + " |"
