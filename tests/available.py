"""Which engines can run on this machine, and why the others cannot."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess

from devdb import engines
from devdb.errors import DevdbError
from devdb.model import Level

TEST_IMAGES = {
    "DEVDB_POSTGRES_IMAGE": "devdb-test/postgres:17",
    "DEVDB_PGBOUNCER_IMAGE": "devdb-test/pgbouncer:1.24",
}
"""The images that scripts/test builds; used where the environment names no others."""


def required() -> set[str]:
    """The engines that must not be missing: `DEVDB_TEST_REQUIRE=native,docker`."""
    return {name for name in os.environ.get("DEVDB_TEST_REQUIRE", "").split(",") if name}


@functools.cache
def why_not(name: str) -> str | None:
    """Why the engine cannot run here; None when it can."""
    try:
        findings = engines.get(name).check()
    except ModuleNotFoundError as error:
        return f"not part of this checkout ({error})"
    except DevdbError as error:
        return error.message
    return next((f.message for f in findings if f.level == Level.ERROR), None)


@functools.cache
def findings(name: str) -> tuple[str, ...]:
    """What the engine says of itself, a line each."""
    if reason := why_not(name):
        return (f"unavailable: {reason}",)
    return tuple(f"{f.subject}: {f.message}" for f in engines.get(name).check())


@functools.cache
def local_test_images() -> dict[str, str]:
    """The test images that this machine's Docker has, by environment variable."""
    return {variable: image for variable, image in TEST_IMAGES.items() if has_image(image)}


def has_image(image: str) -> bool:
    """Whether this machine's Docker has it."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "image", "inspect", image], capture_output=True).returncode == 0
