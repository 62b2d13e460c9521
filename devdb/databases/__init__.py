"""The databases that devdb makes in an instance: made, listed, claimed, extended, dropped.

The truth is in the instance's Postgres: the registry in its maintenance database, and the roles,
which let nobody in past their `VALID UNTIL`. Each function takes the Spec of a running instance;
all of them raise DevdbError, also when the instance does not answer. What a new one is filled from
is `temporary.seeding`'s, and not imported here: it takes as long as all the rest.
"""

from __future__ import annotations

from devdb.databases.claiming import claim, extend
from devdb.databases.creating import create, ensure, prepare
from devdb.databases.database import Kind, Stage, TemporaryDatabase
from devdb.databases.dropping import drop, reap
from devdb.databases.names import check as check_name
from devdb.databases.reaper import REAPER
from devdb.databases.registry import every
from devdb.databases.renewing import renew
from devdb.databases.ttl import DEFAULT_TTL, LONGEST_TTL, SHORTEST_TTL, check_ttl, parse_ttl

__all__ = [
    "DEFAULT_TTL",
    "LONGEST_TTL",
    "REAPER",
    "SHORTEST_TTL",
    "Kind",
    "Stage",
    "TemporaryDatabase",
    "check_name",
    "check_ttl",
    "claim",
    "create",
    "drop",
    "ensure",
    "every",
    "extend",
    "parse_ttl",
    "prepare",
    "reap",
    "renew",
]
