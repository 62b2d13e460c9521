"""A value that holds a secret does not show it: reprs end up in tracebacks and bug reports."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from devdb import urls
from devdb.api import Temp
from devdb.certificates import Certificates
from devdb.engines.docker.config import File
from devdb.engines.native.template import Template
from devdb.model import Spec

SECRET = "open-sesame"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = Spec(
    name="shop",
    project=None,
    engine="fake",
    port=1,
    pool_port=2,
    password=SECRET,
    created=NOW,
)
URL = urls.url(SPEC.direct)


@pytest.mark.parametrize(
    "value",
    [
        SPEC,
        SPEC.pooled,
        Certificates("", "", key=SECRET),
        File(name="pgpass", text=SECRET, mode=0o600, owner=0),
        Template(Path(), password=SECRET, is_new=True),
        Temp(name="x", url=URL, pooled_url=URL, expires=NOW, instance="shop"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_secret_in_its_repr(value: object) -> None:
    assert SECRET not in repr(value)
