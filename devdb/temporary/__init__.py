"""Databases that throw themselves away: made, listed, claimed, extended, dropped.

The truth is in the instance's Postgres: the registry in its maintenance database, and the roles,
which let nobody in past their `VALID UNTIL`. Each function takes the Spec of a running instance;
all of them raise DevdbError, also when the instance does not answer. What a new one is filled from
is `temporary.seeding`'s, and not imported here: it takes as long as all the rest.
"""

from __future__ import annotations

from devdb.temporary.claiming import claim, extend
from devdb.temporary.creating import create, prepare
from devdb.temporary.database import Stage, TemporaryDatabase
from devdb.temporary.dropping import drop, reap
from devdb.temporary.names import check as check_name
from devdb.temporary.reaper import REAPER
from devdb.temporary.registry import every
from devdb.temporary.renewing import renew
from devdb.temporary.ttl import DEFAULT_TTL, LONGEST_TTL, SHORTEST_TTL, check_ttl, parse_ttl

__all__ = [
    "DEFAULT_TTL",
    "LONGEST_TTL",
    "REAPER",
    "SHORTEST_TTL",
    "Stage",
    "TemporaryDatabase",
    "check_name",
    "check_ttl",
    "claim",
    "create",
    "drop",
    "every",
    "extend",
    "parse_ttl",
    "prepare",
    "reap",
    "renew",
]
