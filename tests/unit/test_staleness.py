"""`.env` files that lead where the instance is not any more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devdb import marker, urls
from devdb.config import Settings
from devdb.model import Finding, Spec
from devdb.urls.spelling import spell
from devdb.workspace.staleness import Held, held


@pytest.fixture
def shop(tmp_path: Path, home: Path) -> Spec:
    project = tmp_path / "shop"
    (project / "apps" / "web").mkdir(parents=True)
    return Spec(
        name="shop",
        project=project,
        engine="fake",
        port=15432,
        pool_port=16543,
        password="secret-1",
        created=datetime.now(UTC),
    )


def seen(shop: Spec, text: str, *, file: str = ".env", within: str = ".") -> list[Finding]:
    assert shop.project is not None
    (shop.project / file).write_text(text)
    return list(held(shop, shop.project / within, running=False).stale)


GONE = "postgresql://devdb:secret-0@127.0.0.1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"DATABASE_URL={GONE}:16543/main", "DATABASE_URL leads to 'shop' with a password"),
        (f"export X='{GONE}:7/main' # y", "X leads to port 7, where 'shop' is not"),
        (f"X={GONE}/main".replace("127.0.0.1", "localhost"), "X leads to port 5432"),
        (
            "X=jdbc:postgresql://localhost:15432/main?user=devdb&password=old",
            "X leads to 'shop' with a password",
        ),
        (
            "PGUSER=devdb\nPGPASSWORD=secret-1\nPGPORT=7",
            "PGUSER, PGPASSWORD, PGPORT lead to port 7",
        ),
        (
            f"A={GONE}:7/main\nB={GONE}:16543/main\nC={GONE}:7/x",
            "A, C lead to port 7, where 'shop' is not, and B leads to 'shop' with a password",
        ),
    ],
)
def test_what_leads_elsewhere_is_told(shop: Spec, text: str, message: str) -> None:
    (finding,) = seen(shop, text)
    assert finding.message.startswith(message)
    assert finding.subject == f"{shop.project}/.env"
    assert "secret" not in finding.message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "DATABASE_URL=",
        "# X=postgres://devdb:x@localhost/main",
        "X=postgres://devdb:old@db.example.com:15432/main",
        "X=postgres://app:app@localhost:5432/app",
        "X=mysql://devdb:old@localhost:15432/main",
        "X=postgres://devdb:$NOBODY@db/main",
        "PGUSER=me\nPGPORT=5432",
        "PGPORT=15432",
    ],
)
def test_what_is_nothing_of_devdbs_is_left_alone(shop: Spec, text: str) -> None:
    assert seen(shop, text) == []


def test_its_own_urls_are_right(shop: Spec) -> None:
    assert seen(shop, f"A={urls.url(shop.direct)}\nB={urls.url(shop.pooled)}?x=y") == []
    assert seen(shop, f"POSTGRES_URL={spell('vercel', shop.pooled)}") == []
    assert look(shop).sentence == ".env holds this instance's URLs"


def test_another_instance_is_named_unless_it_is_the_same_projects(
    shop: Spec, tmp_path: Path
) -> None:
    blog = replace(shop, name="blog", port=1, pool_port=2, password="b", project=tmp_path)
    marker.save(blog)
    (finding,) = seen(shop, f"X={urls.url(blog.pooled)}")
    assert finding.message == "X leads to another instance, 'blog'"
    marker.save(replace(blog, project=shop.project))
    assert seen(shop, f"X={urls.url(blog.pooled)}") == []


@pytest.mark.parametrize(
    ("file", "key", "within", "command"),
    [
        (".env", "DATABASE_URL", ".", "devdb env"),
        (".env.local", "DIRECT_URL", ".", "devdb env --file .env.local"),
        (".env", "POSTGRES_URL", ".", "devdb env --preset vercel"),
        (".env", "MY_DIRECT_URL", ".", "devdb env --set MY_DIRECT_URL=direct"),
        (".env", "OURS", ".", "devdb env --set OURS=pooled"),
        (".env", "DATABASE_URL", "apps/web", "cd {} && devdb env"),
        ("apps/web/.env", "DATABASE_URL", "apps/web", "devdb env"),
    ],
)
def test_the_command_writes_what_is_stale(
    shop: Spec, file: str, key: str, within: str, command: str
) -> None:
    (finding,) = seen(shop, f"{key}={GONE}:7/main", file=file, within=within)
    assert finding.fix == command.format(shop.project)


def test_the_command_knows_the_projects_own_names_and_the_instances(shop: Spec) -> None:
    assert shop.project is not None
    (shop.project / "devdb.toml").write_text('[env]\nOURS = "direct"\n')
    other = replace(shop, name="pg16")
    (finding,) = seen(other, f"OURS={GONE}:7/main")
    assert finding.fix == "devdb env -n pg16"


def test_the_workspaces_of_a_monorepo_are_looked_at(shop: Spec) -> None:
    assert shop.project is not None
    (shop.project / "package.json").write_text('{"workspaces": ["apps/*"]}')
    (finding,) = seen(shop, f"DATABASE_URL={GONE}:7/main", file="apps/web/.env.local")
    assert finding.subject.endswith("apps/web/.env.local")
    other = replace(shop, name="web", project=shop.project / "apps" / "web")
    marker.save(other)
    assert held(shop, running=False).stale == ()
    assert len(held(other, running=False).stale) == 1


GATE = "http://127.0.0.1:17654"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"DEVDB_HTTP_URL={GATE}", None),
        (f"DEVDB_HTTP_URL={GATE}/", None),
        ("DEVDB_HTTP_URL=http://localhost:17654", None),
        ("P=17654\nDEVDB_HTTP_URL=http://127.0.0.1:${P}", None),
        ("DEVDB_HTTP_URL=", None),
        ("DEVDB_HTTP_URL=http://devbox:17655", None),
        ("APP_URL=http://localhost:3000", None),
        (
            "DEVDB_HTTP_URL=http://127.0.0.1:17655",
            "DEVDB_HTTP_URL leads to port 17655, where the gateway of 'shop' is not",
        ),
        (
            "DEVDB_HTTP_URL=http://[::1]",
            "DEVDB_HTTP_URL leads to port 80, where the gateway of 'shop' is not",
        ),
    ],
)
def test_an_http_url_that_is_not_the_gateways_is_stale(
    shop: Spec, text: str, message: str | None
) -> None:
    found = seen(replace(shop, http_port=17654), text)
    assert [each.message for each in found] == ([message] if message else [])
    assert [each.fix for each in found] == ["devdb env --set DEVDB_HTTP_URL=http"] * len(found)


def test_an_http_url_of_an_instance_that_has_none_or_of_another_is_stale(
    shop: Spec, tmp_path: Path
) -> None:
    (finding,) = seen(shop, f"DEVDB_HTTP_URL={GATE}")
    assert finding.message.endswith("where the gateway of 'shop' is not")
    other = replace(shop, name="blog", port=1, pool_port=2, http_port=17654, project=tmp_path)
    marker.save(other)
    (finding,) = seen(shop, f"DEVDB_HTTP_URL={GATE}")
    assert finding.message == "DEVDB_HTTP_URL leads to another instance, 'blog'"
    marker.save(replace(other, project=shop.project))
    assert seen(shop, f"DEVDB_HTTP_URL={GATE}") == []
    assert look(shop).sentence == ".env holds the URLs of another instance of this project"


def test_an_http_url_under_a_name_of_ones_own_is_judged_too(shop: Spec) -> None:
    assert shop.project is not None
    gated = replace(shop, http_port=17654)
    assert seen(gated, "MINE=http://127.0.0.1:1") == []
    (shop.project / "devdb.toml").write_text('[env]\nMINE = "http"\n')
    (finding,) = seen(gated, "MINE=http://127.0.0.1:1")
    assert finding.fix == "devdb env"
    assert seen(gated, f"MINE={GATE}") == []
    assert look(gated).sentence == ".env holds this instance's URLs"


def test_a_project_that_is_gone_has_no_files(shop: Spec) -> None:
    for project, sentence in (
        (None, "no .env: it has no project"),
        (Path("/nowhere/at/all"), "no .env: it lost its project"),
    ):
        found = held(replace(shop, project=project), running=True)
        assert (found.stale, found.sentence) == ((), sentence)


def look(shop: Spec, within: str | None = ".") -> Held:
    assert shop.project is not None
    return held(shop, None if within is None else shop.project / within, running=False)


def test_the_sentence_says_whether_the_files_hold_its_urls(shop: Spec) -> None:
    project = shop.project
    assert project is not None
    assert look(shop).sentence == "no .env here has its URLs"
    assert look(shop, None).sentence == f"no .env of {project} has its URLs"
    (project / ".env").write_text("A=1\n")
    assert look(shop).sentence == "no .env here has its URLs"
    (project / ".env").write_text(f"A={urls.url(shop.direct)}\n")
    assert look(shop).sentence == ".env holds this instance's URLs"
    assert look(shop, "apps/web").sentence == "../../.env holds this instance's URLs"
    assert look(shop, None).sentence == f"{project}/.env holds this instance's URLs"
    (project / ".env.local").write_text(f"B={urls.url(shop.pooled)}\n")
    assert look(shop).sentence == ".env and .env.local hold this instance's URLs"


def test_the_sentence_names_what_is_wrong_in_each_file(shop: Spec) -> None:
    project = shop.project
    assert project is not None
    (project / ".env").write_text(f"DATABASE_URL={GONE}:15440/main\n")
    (project / ".env.local").write_text(f"A={urls.url(shop.direct)}\n")
    wrong = ".env: DATABASE_URL leads to port 15440, where 'shop' is not"
    assert look(shop).sentence == wrong
    (project / ".env.local").write_text(f"A={GONE}:7/main\n")
    other = ".env.local: A leads to port 7, where 'shop' is not"
    assert look(shop).sentences == (wrong, other)
    assert look(shop).sentence == f"{wrong}; {other}"


def test_another_instance_of_the_project_is_told_and_not_wrong(shop: Spec) -> None:
    other = replace(shop, name="pg16", port=1, pool_port=2, password="b")
    marker.save(other)
    assert shop.project is not None
    (shop.project / ".env").write_text(f"A={urls.url(other.direct)}\n")
    found = look(shop)
    assert found.sentence == ".env holds the URLs of another instance of this project"
    assert found.stale == ()


@pytest.mark.parametrize(
    ("name", "file", "key", "preset", "is_written"),
    [
        ("shop", ".env", "DATABASE_URL", None, True),
        ("pg16", ".env", "DATABASE_URL", None, True),
        ("shop", ".env.local", "DATABASE_URL", None, False),
        ("shop", ".env", "POSTGRES_URL", None, False),
        ("shop", ".env", "POSTGRES_URL", "vercel", True),
        ("shop", ".env", "MINE", None, False),
    ],
)
def test_it_is_known_whether_a_plain_env_mends_it(
    shop: Spec, name: str, file: str, key: str, preset: str | None, is_written: bool
) -> None:
    assert shop.project is not None
    (shop.project / file).write_text(f"{key}={GONE}:7/main\n")
    settings = Settings(preset=preset)
    named = replace(shop, name=name)
    found = held(named, shop.project, running=False, settings=settings)
    assert len(found.stale) == 1
    assert found.written == (found.stale if is_written else ())
    assert held(named, running=False, settings=settings).written == ()
