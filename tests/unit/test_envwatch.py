"""Looking at `.env` again and again: read when something changed, and only then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from devdb import marker, sessions, urls
from devdb.config import Settings
from devdb.model import Spec
from devdb.workspace import envwatch
from devdb.workspace.envwatch import EnvWatch
from devdb.workspace.staleness import held


@pytest.fixture
def shop(tmp_path: Path, home: Path) -> Spec:
    project = tmp_path / "shop"
    project.mkdir()
    spec = Spec(
        name="shop",
        project=project,
        engine="fake",
        port=15432,
        pool_port=16543,
        password="secret-1",
        created=datetime.now(UTC),
    )
    marker.save(spec)
    return spec


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """Where each reading was done; a login fails the test."""
    done: list[Path | None] = []

    def noted(spec: Spec, directory: Path | None = None, **rest: Any) -> Any:
        done.append(directory)
        return held(spec, directory, **rest)

    def refused(*_args: object, **_rest: object) -> None:
        raise AssertionError("a login")

    monkeypatch.setattr(envwatch, "held", noted)
    monkeypatch.setattr(sessions, "direct", refused)
    return done


def test_it_reads_again_only_what_has_changed(shop: Spec, readings: list[Path | None]) -> None:
    project = shop.project
    assert project is not None
    env = project / ".env"
    watch = EnvWatch(shop, project, Settings())
    assert watch.look(running=True).sentence == "no .env here has its URLs"
    for _ in range(5):
        watch.look(running=True)
    assert len(readings) == 1
    env.write_text(f"A={urls.url(shop.direct)}\n")
    assert watch.look(running=True).sentence == ".env holds this instance's URLs"
    watch.look(running=True)
    assert len(readings) == 2
    env.write_text(f"A={urls.url(replace(shop.direct, port=7))}\n")
    assert watch.look(running=True).sentence.startswith(".env: A leads to port 7")
    env.unlink()
    assert watch.look(running=True).sentence == "no .env here has its URLs"


def test_a_package_that_comes_is_looked_at(shop: Spec, readings: list[Path | None]) -> None:
    project = shop.project
    assert project is not None
    watch = EnvWatch(shop, project, Settings())
    watch.look(running=True)
    web = project / "web"
    web.mkdir()
    (web / "package.json").write_text("{}")
    (web / ".env").write_text(f"A={urls.url(shop.direct)}\n")
    assert watch.look(running=True).sentence == "web/.env holds this instance's URLs"


def test_an_http_port_that_comes_is_known(shop: Spec, readings: list[Path | None]) -> None:
    assert shop.project is not None
    (shop.project / ".env").write_text("DEVDB_HTTP_URL=http://127.0.0.1:17654\n")
    watch = EnvWatch(shop, shop.project, Settings())
    assert "where the gateway of 'shop' is not" in watch.look(running=True).sentence
    marker.save(replace(shop, http_port=17654))
    assert watch.look(running=True).sentence == ".env holds this instance's URLs"


def test_it_reads_again_after_a_while(
    shop: Spec, readings: list[Path | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shop.project is not None
    monkeypatch.setattr(envwatch, "READ_EVERY", 0.0)
    watch = EnvWatch(shop, shop.project, Settings())
    for _ in range(3):
        watch.look(running=True)
    assert len(readings) == 3


def test_one_without_a_project_has_nothing_to_look_at(
    shop: Spec, readings: list[Path | None]
) -> None:
    watch = EnvWatch(replace(shop, project=None), Path("/"), Settings())
    assert watch.look(running=True).sentence == "no .env: it has no project"
    watch.look(running=True)
    assert len(readings) == 1
