"""Words that cannot be right: two lines in one wording, exit 2, for every command and group."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from commandline import Done
from commandtree import GROUPS, LEAVES, TREE, Typed

Say = Callable[..., tuple[str, str]]

STRICT = [each for each in TREE if each.words != ("psql",)]
"""Those that hand no option on to somebody else."""


def path(typed: Typed) -> str:
    return typed.path


def slips(flag: str) -> str:
    """The option with its last two letters the wrong way round."""
    return flag[:-2] + flag[-1] + flag[-2]


@pytest.fixture
def say(inside: Callable[..., Done]) -> Say:
    """Types words that are exit 2 in two lines, and gives back both."""

    def typed(*words: str) -> tuple[str, str]:
        done = inside(*words)
        assert (done.code, done.out) == (2, ""), words
        first, second = done.err.splitlines()
        assert first.startswith("error: ")
        assert second.startswith("  try: ")
        return first.removeprefix("error: "), second.removeprefix("  try: ")

    return typed


@pytest.mark.parametrize("typed", STRICT, ids=path)
@pytest.mark.parametrize("flag", ["--no-such-thing", "-Z", "--no-such-thing=1"])
def test_an_option_that_is_none(say: Say, typed: Typed, flag: str) -> None:
    name = flag.partition("=")[0]
    assert say(*typed.words, flag) == (
        f"{typed.path} has no option '{name}'.",
        f"{typed.path} --help",
    )


@pytest.mark.parametrize("typed", STRICT, ids=path)
def test_an_option_with_a_slip_is_understood(say: Say, typed: Typed) -> None:
    for option in typed.options:
        flag = option.opts[-1]
        wrong = slips(flag)
        begun = any(name.startswith(wrong) for each in typed.options for name in each.opts)
        if begun:  # it is the same word, or another one's beginning, as `--fro`
            continue
        first, second = say(*typed.words, wrong, "x")
        assert first == f"{typed.path} has no option '{wrong}'."
        assert second.split()[: len(typed.words) + 2] == [*typed.path.split(), flag]


@pytest.mark.parametrize("typed", TREE, ids=path)
def test_an_option_without_its_value(say: Say, typed: Typed) -> None:
    for option in typed.options:
        if option.is_flag or option.metavar.startswith("["):
            continue
        for flag in option.opts:
            assert say(*typed.words, flag) == (
                f"{typed.path} {flag} wants a value.",
                f"{typed.path} {flag} {option.metavar}",
            )


@pytest.mark.parametrize("typed", TREE, ids=path)
def test_a_flag_with_a_value(say: Say, typed: Typed) -> None:
    for option in typed.options:
        if option.is_flag:
            flag = option.opts[-1]
            assert say(*typed.words, f"{flag}=1") == (
                f"{typed.path} {flag} takes no value.",
                f"{typed.path} {flag}",
            )


@pytest.mark.parametrize("typed", GROUPS, ids=path)
def test_a_command_that_is_none(say: Say, typed: Typed) -> None:
    assert say(*typed.words, "xyzzy", "more") == (
        f"{typed.path} has no command 'xyzzy'.",
        f"{typed.path} --help",
    )
    context = None
    for name in typed.command.list_commands(context):
        if len(name) > 3:
            first, second = say(*typed.words, slips(name))
            assert first == f"{typed.path} has no command '{slips(name)}'."
            assert second == f"{typed.path} {name}"


@pytest.mark.parametrize("typed", LEAVES, ids=path)
def test_a_word_too_many_and_a_word_too_few(say: Say, typed: Typed) -> None:
    wanted = [each for each in typed.command.params if each.required]
    if not any(each.nargs == -1 for each in typed.arguments):
        needed = [word for each in wanted for word in given(each)]
        first, second = say(*typed.words, *needed, "shop/1")
        assert first == f"{typed.path} does not take 'shop/1'."
        assert second == f"{typed.path} --help"
    for each in wanted:
        others = [word for other in wanted if other is not each for word in given(other)]
        first, second = say(*typed.words, *others)
        assert first.startswith(f"{typed.path} wants ")
        assert second.startswith(f"{typed.path} ")
        assert (each.metavar if each.param_type_name == "argument" else each.opts[-1]) in first


def given(param: object) -> Iterator[str]:
    """What one would type for a parameter that has to be there."""
    if getattr(param, "param_type_name", None) == "option":
        yield getattr(param, "opts")[-1]  # noqa: B009
    yield "1h"


def test_a_name_too_many_is_shown_its_option(say: Say) -> None:
    assert say("url", "shop")[1] == "devdb url --name shop"
    assert say("ls", "shop")[1] == "devdb ls --help"  # has no --name
    assert say("temp", "claim", "x", "y")[1] == "devdb temp claim --help"


def test_an_option_before_its_command_is_told_where_it_belongs(say: Say) -> None:
    assert say("-n", "shop", "url") == (
        "devdb has no option '-n'.",
        "devdb COMMAND -n NAME",
    )


@pytest.mark.parametrize("typed", TREE, ids=path)
def test_a_value_that_cannot_be_right(say: Say, typed: Typed) -> None:
    for option in typed.options:
        if "|" in (option.metavar or "") and not option.metavar.startswith("["):
            first, second = say(*typed.words, option.opts[-1], "nosuch")
            assert first == f"{option.opts[-1]}: 'nosuch' is unknown."
            assert second == f"Known: {option.metavar.replace('|', ', ')}."


@pytest.mark.parametrize("words", ["up --pg x", "logs --tail x", "logs --tail=-1", "temp --ttl x"])
def test_a_number_that_is_none_is_quoted_after_its_option(say: Say, words: str) -> None:
    flag, value = words.replace("=", " ").split()[-2:]
    first, _ = say(*words.split())
    assert first.startswith(f"{flag}: '{value}' is ")


def test_commands_that_want_to_be_told_what_to_delete(say: Say) -> None:
    assert say("rm") == ("devdb rm wants NAME, the instance to delete.", "devdb rm NAME")
    assert say("temp", "drop")[0] == "devdb temp drop wants NAME, --expired or --all."


def test_no_complaint_offers_the_engine_that_is_for_tests(say: Say) -> None:
    for word in ("fak", "faek", "fakee", "podman"):
        assert not any("fake" in line.replace(word, "") for line in say("up", "--engine", word))
