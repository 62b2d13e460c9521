"""What was meant by a word that is none: one slip away, or nothing."""

from __future__ import annotations

import pytest

from devdb.cli import aliases
from devdb.cli.app import command
from devdb.wording import did_you_mean, meaning, nearest

COMMANDS = command().meanings(None)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("statsu", "status"),
        ("stat", "status"),
        ("stats", "status"),
        ("strat", "up"),
        ("star", "up"),
        ("stpo", "down"),
        ("lsit", "ls"),
        ("lst", "ls"),  # a slip from `ls` and from `list`, which is the same
        ("sl", "ls"),
        ("pu", "up"),
        ("Up", "up"),
        ("destory", "rm"),
        ("conect", "psql"),
        ("tmp", "temp"),
        ("docter", "doctor"),
    ],
)
def test_one_slip_of_the_finger_is_understood(typed: str, meant: str) -> None:
    assert meaning(typed, COMMANDS) == meant


@pytest.mark.parametrize(
    "typed",
    "restart create top sta de u reset test dump config rename state init xyzzy push restore "
    "new use".split(),
)
def test_of_what_may_be_another_word_nothing_is_thought(typed: str) -> None:
    assert meaning(typed, COMMANDS) is None


def test_no_word_of_other_tools_is_taken_for_another_command() -> None:
    for alias, name in COMMANDS.items():
        assert meaning(alias, COMMANDS) == name
        others = {word: meant for word, meant in COMMANDS.items() if meant != name}
        assert meaning(alias, others) is None, alias


def test_in_a_long_word_two_slips_are_understood() -> None:
    known = ["node-postgres", "sqlalchemy-asyncpg"]
    assert nearest("nodepostgers", known) == "node-postgres"
    assert nearest("nod-pstgrs", known) is None


def test_several_that_are_as_near_are_none() -> None:
    assert nearest("shop-3", ["shop-1", "shop-2"]) is None
    assert nearest("sho", ["shop-1", "shop-2"]) is None
    assert nearest("sho", ["shop-1", "blog"]) == "shop-1"
    assert did_you_mean("shpo", ["shop", "blog"]) == "Did you mean 'shop'? "
    assert did_you_mean("xyz", ["shop"]) == ""


def test_a_command_of_a_group_is_meant_there_by_its_own_name_first() -> None:
    assert aliases.meanings(["ls", "drop"])["rm"] == "drop"
    assert aliases.meanings(["rm", "drop"])["rm"] == "rm"
