"""Which variables an instance gets in a project, and what is said of those it does not get."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from devdb.config import Settings
from devdb.errors import UsageError
from devdb.model import Endpoint
from devdb.workspace import environment
from devdb.workspace.environment import wanted, write
from devdb.workspace.unwritten import left_over

DIRECT = Endpoint(host="127.0.0.1", port=15432, user="devdb", password="p", database="main")
POOLED = replace(DIRECT, port=16543)
TEMPORARY = replace(DIRECT, user="t", database="t", password="q")
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
    return environment.variables(direct, pooled, settings, project, more=wanted(sets))


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


@pytest.mark.parametrize("text", ["A", "A=", "A=Pooled", "A B=pooled", "=pooled", "A=http"])
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
        f"{LOCAL}DB": A,
        "DIRECT_URL": B,
    }
    if preset == "auto":
        seen = "schema.prisma, package.json: @vercel/postgres, wrangler.toml: hyperdrive"
        assert found.origin == f"preset prisma: saw {seen}"


def test_a_url_of_localhost_is_this_instances_too(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    vercel = chosen(tmp_path, preset="vercel")
    write(vercel, file, tmp_path)
    assert "@localhost:" in file.read_text()
    assert left_over(chosen(tmp_path), file, DIRECT, POOLED) == []
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
    found = environment.variables(DIRECT, POOLED, Settings(), tmp_path, file=file)
    assert found.values["DATABASE_URL"] == after
    named = environment.variables(DIRECT, POOLED, Settings(client="pgx"), tmp_path, file=file)
    assert named.values["DATABASE_URL"] == A


def test_keywords_stay_keywords(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text('DATABASE_URL="Host=c;Username=a;Password=b"\n')
    found = environment.variables(DIRECT, POOLED, Settings(), tmp_path, file=file)
    assert found.values["DATABASE_URL"].startswith("Host=127.0.0.1;Port=16543;Username=devdb;")
