"""Which engine, and where in it, by what is said: no engine is asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
import specs

from devdb.config import Settings
from devdb.errors import DataMismatch
from devdb.workspace import choice

PLACE = "kubernetes:context=me%40far%3A6443%2Fx&namespace=dev&size=1Gi"
SAYS = (("context", "me@far:6443/x"), ("namespace", "dev"))


def far(*says: tuple[str, str]) -> Settings:
    return Settings(engine="kubernetes", kubernetes=says)


@pytest.mark.parametrize("says", [(), SAYS, SAYS[:1], (*SAYS, ("size", "2Gi"))])
def test_an_instance_stays_where_it_was_made(says: tuple[tuple[str, str], ...]) -> None:
    spec = replace(specs.new("kubernetes"), host=PLACE)
    choice.refuse_elsewhere(spec, far(*says))


@pytest.mark.parametrize("key", ["context", "namespace"])
def test_a_file_that_has_it_elsewhere_is_refused(key: str) -> None:
    spec = replace(specs.new("kubernetes"), host=PLACE)
    with pytest.raises(DataMismatch, match=f"lives in the {key} .* not other"):
        choice.refuse_elsewhere(spec, far(*SAYS, (key, "other")))


def test_where_an_instance_of_another_engine_is_no_such_table_says() -> None:
    choice.refuse_elsewhere(specs.new("docker"), far(("namespace", "other")))
