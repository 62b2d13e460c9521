"""Which variables an instance gets in a project, and what is said of those it does not get."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import specs

from devdb.config import Settings
from devdb.errors import UsageError
from devdb.model import Endpoint, Spec
from devdb.urls.serverless import DRIVERS
from devdb.workspace import environment
from devdb.workspace.environment import wanted, write
from devdb.workspace.unwritten import left_over

DIRECT = Endpoint(host="127.0.0.1", port=15432, user="devdb", password="p", database="main")
POOLED = replace(DIRECT, port=16543)
TEMPORARY = replace(DIRECT, user="t", database="t", password="q")
GATED = specs.new("fake", http_port=17654)
HTTP = "http://127.0.0.1:17654"
A, B = "postgresql://devdb:p@127.0.0.1:16543/main", "postgresql://devdb:p@127.0.0.1:15432/main"
PRISMA = 'datasource db {\n  provider = "postgresql"\n  url = env("APP")\n}\n'


def chosen(
    project: Path,
    *sets: str,
    preset: str | None = None,
    env: tuple[tuple[str, str], ...] = (),
    direct: Endpoint = DIRECT,
) -> environment.Variables:
    pooled = replace(direct, port=POOLED.port)
    settings = Settings(preset=preset, env=env)
    return environment.variables(
        direct, pooled, settings, project, gated=lambda: GATED, more=wanted(sets)
    )


def test_names_of_ones_own_stand_instead_of_the_usual_ones(tmp_path: Path) -> None:
    assert chosen(tmp_path).values == {"DATABASE_URL": A, "DIRECT_URL": B}
    own = chosen(tmp_path, "Y=port", env=(("X", "pooled"), ("Y", "pool-port")))
    assert own.values == {"X": A, "Y": "15432"}
    assert own.origin is None


def test_names_of_ones_own_stand_above_a_presets_that_is_asked_for(tmp_path: Path) -> None:
    found = chosen(tmp_path, "DB_CONNECTION=database", "Z=shadow", preset="laravel")
    assert found.values["DB_CONNECTION"] == "main"
    assert found.values["DB_PORT"] == "15432"
    assert found.values["Z"].endswith("/shadow")
    both = chosen(tmp_path, preset="plain", env=(("DATABASE_URL", "direct"), ("X", "user")))
    assert both.values == {"DATABASE_URL": B, "DIRECT_URL": B, "X": "devdb"}


@pytest.mark.parametrize("text", ["A", "A=", "A=Pooled", "A B=pooled", "=pooled", "A=https"])
def test_what_set_cannot_mean_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        chosen(tmp_path, text)


def test_the_role_of_a_temporary_database_reaches_no_other(tmp_path: Path) -> None:
    found = chosen(tmp_path, "Z=test", preset="redwood", direct=TEMPORARY)
    assert set(found.values) == {"DATABASE_URL", "DIRECT_URL"}


@pytest.mark.parametrize("preset", ["prisma", "auto"])
def test_prismas_names_are_those_that_its_schema_reads(tmp_path: Path, preset: str) -> None:
    (tmp_path / "schema.prisma").write_text(PRISMA)
    assert chosen(tmp_path, preset=preset).values == {"APP": A, "DIRECT_URL": B}
    assert "add directUrl" in chosen(tmp_path, preset=preset).notes[0]


def test_redwood_keeps_its_test_database_whatever_the_schema_reads(tmp_path: Path) -> None:
    (tmp_path / "cedar.toml").touch()
    (tmp_path / "api" / "db").mkdir(parents=True)
    (tmp_path / "api" / "db" / "schema.prisma").write_text(PRISMA)
    names = ["APP", "DIRECT_URL", "TEST_DATABASE_URL", "TEST_DIRECT_URL"]
    assert list(chosen(tmp_path, preset="auto").values) == names


def test_a_schema_of_another_database_is_refused_where_it_is_meant(tmp_path: Path) -> None:
    (tmp_path / "schema.prisma").write_text(PRISMA.replace("postgresql", "mysql"))
    for preset in ("auto", "prisma-7"):
        with pytest.raises(UsageError, match="mysql"):
            chosen(tmp_path, preset=preset)
    assert "mysql" in chosen(tmp_path).notes[0]


WRANGLER = '[[hyperdrive]]\nbinding = "DB"\n'
LOCAL = "CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_"


@pytest.mark.parametrize("preset", ["hyperdrive", "auto"])
def test_hyperdrives_example_is_written_only_where_no_file_names_a_binding(
    tmp_path: Path, preset: str
) -> None:
    example = chosen(tmp_path, preset="hyperdrive").values
    assert example == {f"{LOCAL}HYPERDRIVE": A, "DIRECT_URL": B}
    (tmp_path / "wrangler.toml").write_text(WRANGLER)
    found = chosen(tmp_path, preset=preset)
    assert found.values == {f"{LOCAL}DB": A, "DIRECT_URL": B}
    assert any(".dev.vars" in note for note in found.notes)


@pytest.mark.parametrize("preset", ["prisma", "auto"])
def test_what_a_platform_and_a_driver_read_stands_beside_prismas(
    tmp_path: Path, preset: str
) -> None:
    (tmp_path / "wrangler.toml").write_text(WRANGLER)
    (tmp_path / "schema.prisma").write_text(PRISMA.replace("APP", "POSTGRES_URL"))
    (tmp_path / "package.json").write_text('{"dependencies": {"@vercel/postgres": "0.10"}}')
    found = chosen(tmp_path, preset=preset)
    a, b = A.replace("127.0.0.1", "localhost"), B.replace("127.0.0.1", "localhost")
    assert found.values == {
        "POSTGRES_URL": a,
        "POSTGRES_URL_NON_POOLING": b,
        "DEVDB_HTTP_URL": HTTP,
        f"{LOCAL}DB": A,
        "DIRECT_URL": B,
    }
    if preset == "auto":
        seen = "schema.prisma, package.json: @vercel/postgres, wrangler.toml: hyperdrive"
        assert found.origin == f"preset prisma: saw {seen}"


def needs(project: Path, **packages: str) -> None:
    (project / "package.json").write_text(json.dumps({"dependencies": packages}))


def no_gateway() -> Spec:
    raise AssertionError("nobody asked for the gateway")


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_that_speaks_http_gets_the_gateways_url_beside_whatever_fits(
    tmp_path: Path, driver: str
) -> None:
    needs(tmp_path, **{driver: "1"})
    assert chosen(tmp_path, preset="auto").values["DEVDB_HTTP_URL"] == HTTP
    needs(tmp_path, **{driver: "1", "prisma": "7"})
    for preset in ("auto", "prisma-7"):
        found = chosen(tmp_path, preset=preset)
        assert found.preset.name == "prisma-7"
        assert found.values["DEVDB_HTTP_URL"] == HTTP
        assert found.values["DIRECT_URL"] == B
    assert f"package.json: {driver}" in (chosen(tmp_path, preset="auto").origin or "")


@pytest.mark.parametrize("preset", ["neon", "vercel"])
def test_a_preset_of_such_drivers_has_it_where_it_is_asked_for(tmp_path: Path, preset: str) -> None:
    assert chosen(tmp_path, preset=preset).values["DEVDB_HTTP_URL"] == HTTP


@pytest.mark.parametrize(
    ("file", "text", "preset"),
    [
        ("vercel.json", "{}", "vercel"),
        (".env", "DATABASE_URL_UNPOOLED=\n", "neon"),
        (".env.example", "POSTGRES_PRISMA_URL=\n", "vercel"),
        ("package.json", '{"dependencies": {"pg": "8"}}', "plain"),
    ],
)
def test_where_no_driver_speaks_http_nobody_asks_for_a_gateway(
    tmp_path: Path, file: str, text: str, preset: str
) -> None:
    (tmp_path / file).write_text(text)
    found = environment.variables(
        DIRECT, POOLED, Settings(preset="auto"), tmp_path, gated=no_gateway
    )
    assert found.preset.name == preset
    assert "DEVDB_HTTP_URL" not in found.values


def test_a_gateways_url_that_the_file_has_is_kept_right(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL_UNPOOLED=\nDEVDB_HTTP_URL=\n")
    assert chosen(tmp_path, preset="auto").values["DEVDB_HTTP_URL"] == HTTP


def test_the_gateways_url_under_a_name_of_ones_own(tmp_path: Path) -> None:
    assert chosen(tmp_path, env=(("MINE", "http"),)).values == {"MINE": HTTP}
    assert chosen(tmp_path, "MINE=http", direct=TEMPORARY).values == {"MINE": HTTP}


def test_what_the_packages_need_and_nobody_asked_for_is_named(tmp_path: Path) -> None:
    needs(tmp_path, **{"@neondatabase/serverless": "1"})
    said = "package.json: @neondatabase/serverless: to write what it reads too: devdb env "
    assert chosen(tmp_path).notes == (f"{said}--set DEVDB_HTTP_URL=http",)
    assert chosen(tmp_path, "MINE=http").notes == ()
    (tmp_path / "wrangler.toml").write_text(WRANGLER)
    assert chosen(tmp_path, "X=http").notes[0].endswith(f"devdb env --set {LOCAL}DB=pooled")
    assert [note for note in chosen(tmp_path, preset="auto").notes if "--set" in note] == []


def test_a_gateways_url_that_nobody_wrote_is_named_unless_it_is_right(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("DEVDB_HTTP_URL=http://127.0.0.1:1\n")
    (said,) = left_over(chosen(tmp_path), file, DIRECT, POOLED, http=17654)
    assert said.endswith("devdb env --set DEVDB_HTTP_URL=http")
    file.write_text(f"DEVDB_HTTP_URL={HTTP}\n")
    assert left_over(chosen(tmp_path), file, DIRECT, POOLED, http=17654) == []


def test_a_gateway_that_does_not_run_is_told_of(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    spec = replace(GATED, http_port=free_port())
    found = environment.variables(
        DIRECT, POOLED, Settings(env=(("X", "http"),)), tmp_path, gated=lambda: spec
    )
    (said,) = environment.gateway_news(spec, found)
    assert f"devdb up --http -n {spec.name}" in said
    with socket.create_server(("127.0.0.1", spec.http_port or 0)):
        assert environment.gateway_news(spec, found) == []
    assert environment.gateway_news(spec, chosen(tmp_path)) == []


def test_a_url_of_localhost_is_this_instances_too(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    vercel = chosen(tmp_path, preset="vercel")
    write(vercel, file, tmp_path)
    assert "@localhost:" in file.read_text()
    assert left_over(chosen(tmp_path), file, DIRECT, POOLED, http=GATED.http_port) == []
    assert write(vercel, file, tmp_path, dry_run=True).changed is False


SHAPES = {
    "laravel": "DB_CONNECTION=pgsql\nDB_HOST=127.0.0.1\nDB_PORT=5432\nDB_DATABASE=app\n"
    "DB_USERNAME=app\nDB_PASSWORD=\n",
    "libpq": 'PGHOST="db"\nPGUSER="app"\nPGPASSWORD="app"\nPGDATABASE="app"\n',
    "postgres-parts": "POSTGRES_HOST=db\nPOSTGRES_DB=app\nPOSTGRES_USER=app\nPOSTGRES_PASSWORD=x\n",
    "vercel": "POSTGRES_PRISMA_URL='postgres://a:b@c/d'\nPOSTGRES_URL_NON_POOLING=\n",
}


@pytest.mark.parametrize("preset", SHAPES)
def test_keys_that_nobody_wrote_are_named_with_the_preset_that_has_them(
    tmp_path: Path, preset: str
) -> None:
    file = tmp_path / ".env"
    file.write_text(SHAPES[preset])
    plain = chosen(tmp_path)
    write(plain, file, tmp_path)
    (said,) = left_over(plain, file, DIRECT, POOLED)
    missing = [line.partition("=")[0] for line in SHAPES[preset].splitlines()]
    assert ", ".join(key for key in missing if key != "DB_CONNECTION") in said
    assert said.endswith(f"devdb env --preset {preset}")
    auto = chosen(tmp_path, preset="auto")
    assert auto.preset.name == preset
    write(auto, file, tmp_path)
    assert left_over(auto, file, DIRECT, POOLED) == []


def test_keys_of_no_preset_are_named_with_what_they_should_be(tmp_path: Path) -> None:
    file = tmp_path / ".env.local"
    url = '"postgres://app:secret@127.0.0.1:54320/app"'
    file.write_text(f"APP=x\nMY_DATABASE_URL={url}\nMY_DIRECT_DATABASE_URL={url}\nDB_USER=me\n")
    (said,) = left_over(chosen(tmp_path), file, DIRECT, POOLED, name="pg16")
    assert "secret" not in said
    how = said.partition("too: devdb env ")[2]
    assert how == (
        "-n pg16 --set MY_DATABASE_URL=pooled --set MY_DIRECT_DATABASE_URL=direct"
        " --set DB_USER=user --file .env.local"
    )
    sets = [word for word in how.split() if "=" in word]
    write(chosen(tmp_path, *sets), file, tmp_path)
    assert left_over(chosen(tmp_path), file, DIRECT, POOLED) == []


@pytest.mark.parametrize(
    "text",
    [
        f"MORE={B}\nDIRECT_URL={B}\n",
        "DB_CONNECTION=mysql\nDB_HOST=x\nDB_USERNAME=y\n",
        "PGHOST=localhost\nPGPORT=15432\nPGUSER=devdb\nPGPASSWORD=p\n"
        "URL=postgres://$PGUSER:$PGPASSWORD@$PGHOST:$PGPORT/main\n",
        "SENTRY_URL=https://x\nREDIS_URL=redis://y\n# OLD_DATABASE_URL=postgres://a:b@c/d\n",
    ],
)
def test_what_is_right_or_no_postgres_is_not_named(tmp_path: Path, text: str) -> None:
    (tmp_path / ".env").write_text(text)
    assert left_over(chosen(tmp_path, "X=pooled"), tmp_path / ".env", DIRECT, POOLED) == []


def test_beside_a_temporary_database_the_instances_own_urls_are_right(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"SHADOW_DATABASE_URL={B}\nMY_DB_URL=\n")
    temporary = chosen(tmp_path, direct=TEMPORARY)
    pooled = replace(TEMPORARY, port=POOLED.port)
    (said,) = left_over(temporary, tmp_path / ".env", TEMPORARY, pooled)
    assert said.endswith("MY_DB_URL is not devdb's; to write it too: devdb.toml, [env]")


def test_a_file_that_is_read_above_the_written_one_is_named(tmp_path: Path) -> None:
    plain = chosen(tmp_path)
    for name in (".env", ".env.local"):
        (tmp_path / name).write_text(f"DATABASE_URL=postgres://prod/x\nDIRECT_URL={B}\n")
    write(plain, tmp_path / ".env", tmp_path)
    (said,) = left_over(plain, tmp_path / ".env", DIRECT, POOLED)
    assert said.startswith(".env.local assigns DATABASE_URL too")
    assert left_over(plain, tmp_path / ".env.development.local", DIRECT, POOLED) == []


PARTS = "PGHOST=db\nPGPORT=5\nPGUSER=a\nPGPASSWORD=b\nPGDATABASE=c\n"
TOGETHER = "DATABASE_URL=postgresql://${PGUSER}:${PGPASSWORD}@${PGHOST}:${PGPORT}/${PGDATABASE}\n"


def test_a_url_that_its_parts_make_a_right_one_stays(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text(PARTS + TOGETHER)
    auto = chosen(tmp_path, preset="auto")
    write(auto, file, tmp_path)
    assert file.read_text().endswith(TOGETHER)
    assert left_over(auto, file, DIRECT, POOLED) == []
    write(chosen(tmp_path, "DATABASE_URL=direct"), file, tmp_path)
    assert file.read_text().endswith(TOGETHER)
    write(chosen(tmp_path, "DATABASE_URL=pooled"), file, tmp_path)
    assert file.read_text().endswith(f"DATABASE_URL={A}\n")


def test_a_url_that_its_parts_make_a_wrong_one_is_written_or_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    without_port = TOGETHER.replace(":${PGPORT}", "")
    file.write_text(PARTS + without_port)
    parts = chosen(tmp_path, preset="libpq")
    write(parts, file, tmp_path)
    assert file.read_text().endswith(without_port)
    (said,) = left_over(parts, file, DIRECT, POOLED)
    assert said.endswith("devdb env --set DATABASE_URL=pooled")
    write(chosen(tmp_path, preset="auto"), file, tmp_path)
    assert file.read_text().endswith(f"DATABASE_URL={A}\n")


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("postgresql+asyncpg://a:b@c/d", A.replace("postgresql", "postgresql+asyncpg")),
        ("postgresql+psycopg://a:b@c/d", A.replace("postgresql", "postgresql+psycopg")),
        (
            "jdbc:postgresql://c/d",
            "jdbc:postgresql://127.0.0.1:16543/main?user=devdb&password=p",
        ),
        ("postgresql+other://a:b@c/d", A),
        ("postgres://a:b@c/d", A),
        ("mysql://a:b@c/d", A),
        ("", A),
    ],
)
def test_a_url_keeps_the_form_that_its_client_alone_has(
    tmp_path: Path, text: str, after: str
) -> None:
    file = tmp_path / ".env"
    file.write_text(f"DATABASE_URL={text}\n")
    found = environment.variables(
        DIRECT, POOLED, Settings(), tmp_path, gated=lambda: GATED, file=file
    )
    assert found.values["DATABASE_URL"] == after
    named = environment.variables(
        DIRECT, POOLED, Settings(client="pgx"), tmp_path, gated=lambda: GATED, file=file
    )
    assert named.values["DATABASE_URL"] == A


def test_keywords_stay_keywords(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text('DATABASE_URL="Host=c;Username=a;Password=b"\n')
    found = environment.variables(
        DIRECT, POOLED, Settings(), tmp_path, gated=lambda: GATED, file=file
    )
    assert found.values["DATABASE_URL"].startswith("Host=127.0.0.1;Port=16543;Username=devdb;")
