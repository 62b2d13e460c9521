"""Versions of Debian packages, in dpkg's order."""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess

import pytest

from devdb.engines.native.packages import order

ASCENDING = (
    "1.9.0",
    "1.18.0-1+deb12u1",
    "1.24.1~rc1-1",
    "1.24.1",
    "1.24.1-0ubuntu1",
    "1.24.1-1~bpo12+1",
    "1.24.1-1",
    "1.24.1-1build4",
    "1.24.1-1+b1",
    "1.24.1-1+deb13u2~bpo12+1",
    "1.24.1-1+deb13u2",
    "1.24.1-1+deb13u2+b1",
    "1.24.1-1+deb13u10",
    "1.24.1-1.pgdg120+1",
    "1.24.1-2",
    "1.24.1-10",
    "1.24.1a-1",
    "1.24.1+dfsg-1",
    "1.24.1-1-1",
    "1.24.1.1-1",
    "1.25.2",
    "1.26.1-1",
    "1:1.0-1",
)


def test_versions_are_sorted_as_debian_sorts_them() -> None:
    shuffled = random.Random(7).sample(ASCENDING, len(ASCENDING))
    assert sorted(shuffled, key=order) == list(ASCENDING)


@pytest.mark.parametrize(("one", "other"), [("1.0", "1.0-0"), ("1.01", "1.1"), ("0:1.0", "1.0")])
def test_some_spellings_are_the_same_version(one: str, other: str) -> None:
    assert order(one) == order(other)


def test_dpkg_says_the_same() -> None:
    dpkg = shutil.which("dpkg")
    if dpkg is None:
        pytest.skip("there is no dpkg here")
    for one, other in itertools.pairwise(ASCENDING):
        command = [dpkg, "--compare-versions", one, "lt", other]
        assert subprocess.run(command).returncode == 0, (one, other)


@pytest.mark.parametrize("name", ["", ".new-x1", "-", "1:", "ä", "²", "a:1-"])
def test_what_is_no_version_is_sorted_as_well(name: str) -> None:
    assert sorted(["1.24.1", name], key=order)
