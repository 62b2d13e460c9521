"""The options that messages name are there; those of settings are where they belong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from commandtree import TREE

from devdb.config.table import SETTINGS, Setting

ROOT = Path(__file__).parents[2]


COMMANDS = {" ".join(each.words): each.command for each in TREE if each.words}
OPTIONS = {
    name: {"-h", "--help", *(flag for each in one.params for flag in each.opts)}
    for name, one in COMMANDS.items()
}


def test_each_option_that_the_program_tells_of_is_one_of_its_command() -> None:
    """What pages and examples show is read by the command line itself in tests/documentation."""
    wrong, seen = [], 0
    for text in (path.read_text() for path in (ROOT / "devdb").rglob("*.py")):
        for name, rest in re.findall(r"\bdevdb ([a-z]+)((?: [^\s`;|&$()#,\"']+)*)", text):
            words = rest.partition(" -- ")[0].split()
            called = f"{name} {words[0]}" if words and f"{name} {words[0]}" in COMMANDS else name
            if called not in COMMANDS or called == "psql":  # which hands on what it does not know
                continue
            for flag in (word for word in words if re.fullmatch("--?[a-z][a-z-]*", word)):
                seen += 1
                if flag not in OPTIONS[called]:
                    wrong.append(f"devdb {called} {flag}")
    assert seen > 100
    assert wrong == []


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=list(SETTINGS))
def test_a_setting_is_an_option_of_the_commands_that_its_table_says(setting: Setting) -> None:
    having = {
        name
        for name, command in COMMANDS.items()
        for each in command.params
        # A plain flag of the same name, as `devdb url --http`, is another matter.
        if setting.option in each.opts and (each.secondary_opts or not setting.is_flag)
    }
    if setting.commands:
        assert having == set(setting.commands)
    else:
        assert {"up", "url", "temp claim"} <= having
    for name in having:
        [found] = [each for each in COMMANDS[name].params if setting.option in each.opts]
        assert found.name == setting.name
        assert found.help.startswith(setting.help)
        assert (found.metavar or "") == setting.metavar
