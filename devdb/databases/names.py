"""Names of temporary databases: the ones devdb thinks up, and which others can be."""

from __future__ import annotations

import re

from devdb.databases.database import Kind
from devdb.errors import UsageError
from devdb.model import MAINTENANCE_DATABASE, USER

LONGEST = 63
"""Bytes; Postgres cuts off what is longer."""

# `pgbouncer` is the pooler's own; the others have a meaning of their own to Postgres as role,
# database or word of pg_hba.conf.
_RESERVED = frozenset(
    {"pgbouncer", MAINTENANCE_DATABASE, USER, "template0", "template1", "public", "none"}
    | {"all", "sameuser", "samerole", "samegroup", "replication"}
    | {"current_user", "current_role", "session_user"}
)

_ADJECTIVES = """
    amber ample brave brisk calm clear clever cosy crisp daring deep eager early fair fancy fast
    fine fleet fond fresh gentle glad golden grand green happy hardy humble ivory jolly keen kind
    light lively lucky mellow merry mild mint neat nimble noble olive plain polite proud quick
    quiet rapid rosy royal rustic sharp shiny silent silver sleek smooth snowy solid spry steady
    still sunny swift tidy tiny violet vivid warm wise witty young zesty
""".split()  # words are read better without quotes and commas
_NOUNS = """
    acorn alder aspen badger basil bay beaver birch bison brook canyon cedar cliff clover comet
    coral cove crane creek dune eagle elm ember falcon fern finch fjord forest fox garden geyser
    glade grove gull harbor hare hazel heron hill ibis island ivy jay lagoon lake lark lemon
    lichen lily lotus lynx maple marsh meadow mesa moose moss oak ocean orchid osprey otter owl
    palm panda pebble petal pine plover pond poppy prairie puffin quail rain raven reef ridge
    river robin sage salmon seal shore spruce stone stork summit swan thyme trout tulip valley
    walnut willow wren yarrow
""".split()


def invent(kind: Kind = Kind.TEMPORARY, *, crowded: bool = False) -> str:
    """A name that is easy to read, say and type; `crowded`: one that is surely not taken yet.

    For a clone, of which there are many, one that is short.
    """
    import random  # 4 ms that only `devdb temp` needs

    if kind == Kind.CLONE:
        return f"test_{random.getrandbits(48):012x}"
    name = f"temp_{random.choice(_ADJECTIVES)}_{random.choice(_NOUNS)}"  # noqa: S311 # no secret
    return f"{name}_{random.getrandbits(32):08x}" if crowded else name


def check(name: str) -> str:
    """The name, if a database and its role can have it.

    Raises UsageError otherwise.
    """
    if len(name) > LONGEST or not re.fullmatch(r"[a-z_][a-z0-9_-]*", name):
        raise UsageError(
            f"'{name}' cannot name a database.",
            f"Use lower-case letters, digits, _ and -, a letter first, at most {LONGEST} of them.",
        )
    if name in _RESERVED or name.startswith(("pg_", "devdb_")):
        raise UsageError(f"The name '{name}' is reserved.", "Choose another one.")
    return name
