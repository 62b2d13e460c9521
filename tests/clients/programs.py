"""The clients at work, each as a program of its own: told by its environment."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping

from clients.workload import ROUNDS, WORKERS

Run = Callable[..., None]
"""Called with the client's name and URL; by keyword with `together` (all connect before one
begins), `tracked` (by the pooler; where it is false, Python's clients are told in code), and
`more` for its environment."""


def program(argv: list[str], env: dict[str, str]) -> Run:
    """A program that does the workload."""

    def run(
        client: str,
        url: str,
        *,
        together: bool,
        tracked: bool = True,
        workers: int = WORKERS,
        more: Mapping[str, str] = {},
    ) -> None:
        told = {
            "WORK_URL": url,
            "WORK_CLIENT": client,
            "WORK_WORKERS": str(workers),
            "WORK_ROUNDS": str(ROUNDS),
            "WORK_TOGETHER": "1" if together else "",
            "WORK_TRACKED": "1" if tracked else "",
        }
        succeed(argv, {**env, **told, **more})

    return run


def pgbench(mode: str, url: str) -> None:
    """pgbench's own workload, with as many threads as clients: in one thread they wait for each
    other's place in the pool."""
    numbers = ["-c", str(WORKERS), "-j", str(WORKERS), "-t", str(ROUNDS)]
    printed = succeed(["pgbench", "-n", "-S", "-M", mode, *numbers, url])
    total = WORKERS * ROUNDS
    assert f"number of transactions actually processed: {total}/{total}" in printed


def psql(url: str, query: str) -> str:
    """The answer of psql."""
    return succeed(["psql", "-X", "-At", "-c", query, url]).strip()


def succeed(argv: list[str], env: dict[str, str] | None = None) -> str:
    """What the program prints; fails with that when the program does."""
    whole = {**(env or os.environ), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(argv, env=whole, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
