"""What is wrong in a running instance, in words that have room in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from devdb.masking import visible
from devdb.monitor.backends import PREPARED, Backend
from devdb.monitor.look import Look
from devdb.monitor.pools import IMPATIENT, Pool
from devdb.wording import span

_LONG_IDLE = 5.0
"""Seconds that a transaction does nothing while it keeps others waiting; it was forgotten."""
_NAME = 20
"""So much is shown of the name of a database."""


def troubles(look: Look) -> tuple[str, ...]:
    """What keeps clients out or waiting, the worst first; empty when all is well.

    What is over within a second is none.
    """
    found = (
        _all_taken(look),
        _pooler_full(look),
        _waiting(look.pools or ()),
        *_blocked(look.backends or ()),
    )
    return tuple(words for words in found if words)


def _all_taken(look: Look) -> str:
    if look.holders is None:
        return ""
    number = f"{look.max_connections} " if look.max_connections else ""
    most = f": {look.holders[0]}" if look.holders else ""
    return f"all {number}connections are taken{most}"


def _pooler_full(look: Look) -> str:
    return f"PgBouncer takes no more than {look.max_clients} clients" if look.is_pooler_full else ""


def _waiting(pools: Sequence[Pool]) -> str:
    waiting = sorted(
        (pool for pool in pools if pool.waiting and pool.oldest_wait >= IMPATIENT),
        key=lambda pool: -pool.oldest_wait,
    )
    if not waiting:
        return ""
    if len(waiting) > 1:
        which = f"{len(waiting)} pools"
    else:
        which = "the pool" + (f" of {_quoted(waiting[0].database)}" if len(pools) > 1 else "")
    return _many(sum(pool.waiting for pool in waiting), "wait", "waits") + (
        f" for {which}, the oldest {span(waiting[0].oldest_wait)}"
    )


def _blocked(backends: Sequence[Backend]) -> tuple[str, ...]:
    """Who keeps others waiting for a lock, and what it does instead of giving it back."""
    waiting = [backend for backend in backends if backend.blocked_by]
    if not any(backend.age >= IMPATIENT for backend in waiting):
        return ()
    blockers = {backend.pid: backend.blocked_by for backend in waiting}
    roots = {backend.pid: _roots(backend.pid, blockers) for backend in waiting}
    behind = Counter(root for found in roots.values() for root in found)
    if not behind:
        return (f"{len(waiting)} block each other",)
    (worst, most), *others = behind.most_common()
    if others:
        words = f"{len(waiting)} blocked, {most} of them by {_named(worst)}"
    else:
        words = f"{len(waiting)} blocked by {_named(worst)}"
    found = next((backend for backend in backends if backend.pid == worst), None)
    if found is None or not found.is_in_transaction or found.age < _LONG_IDLE:
        return (words,)
    return words, f"{_named(worst)} idle in transaction for {span(found.age)}"


def _roots(pid: int, blockers: Mapping[int, Sequence[int]]) -> frozenset[int]:
    """Those at the end of each chain that it waits in, who themselves wait for no lock.

    None where the chain is a ring.
    """
    seen: set[int] = set()
    ahead = [pid]
    while ahead:
        one = ahead.pop()
        if one not in seen:
            seen.add(one)
            ahead += blockers.get(one, ())
    return frozenset(one for one in seen if one not in blockers)


def _named(pid: int) -> str:
    return "a prepared transaction" if pid == PREPARED else f"pid {pid}"


def _quoted(database: str) -> str:
    name = visible(database)
    return f"'{name}'" if len(name) <= _NAME else f"'{name[: _NAME - 1]}…'"


def _many(number: int, plural: str, singular: str) -> str:
    return f"{number} {singular if number == 1 else plural}"
