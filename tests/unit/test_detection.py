"""What a project's files say about the preset and the client it needs."""

import json
from pathlib import Path

import pytest

from devdb.urls.detection import Beside, Detected, beside, by_names, detect, detect_around
from devdb.urls.presets import PRESETS, Goes

SCHEMA = 'datasource db {\n  provider = "postgresql"\n}\n'


def lay(project: Path, files: dict[str, object]) -> None:
    for name, content in files.items():
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))


def needs(**packages: str) -> dict[str, dict[str, str]]:
    return {"dependencies": packages}


@pytest.mark.parametrize(
    ("files", "preset", "client", "saw"),
    [
        ({}, "plain", None, ()),
        (
            {"prisma/schema.prisma": SCHEMA, "package.json": needs(prisma="^6.5.0")},
            "prisma",
            None,
            ("prisma/schema.prisma", "package.json: prisma ^6.5.0"),
        ),
        (
            {"prisma.config.ts": "", "prisma/schema.prisma": SCHEMA},
            "prisma-7",
            None,
            ("prisma.config.ts", "prisma/schema.prisma"),
        ),
        (
            {"prisma.config.ts": "", "package.json": {"devDependencies": {"prisma": "6.19.0"}}},
            "prisma",
            None,
            ("prisma.config.ts", "package.json: prisma 6.19.0"),
        ),
        (
            {
                "package.json": needs(prisma="latest"),
                "node_modules/prisma/package.json": {"version": "7.1.0"},
            },
            "prisma-7",
            None,
            ("package.json: prisma 7.1.0",),
        ),
        ({"schema.prisma": SCHEMA}, "prisma", None, ("schema.prisma",)),
        (
            {"redwood.toml": "", "api/db/schema.prisma": SCHEMA},
            "redwood",
            None,
            ("redwood.toml",),
        ),
        (
            {"package.json": {"devDependencies": {"@redwoodjs/core": "8.0.0"}}},
            "redwood",
            None,
            ("package.json: @redwoodjs/core",),
        ),
        ({"cedar.toml": ""}, "redwood", None, ("cedar.toml",)),
        (
            {"package.json": needs(**{"@cedarjs/core": "1"})},
            "redwood",
            None,
            ("package.json: @cedarjs/core",),
        ),
        ({"prisma7.config.ts": ""}, "prisma-7", None, ("prisma7.config.ts",)),
        ({"artisan": "", "composer.json": "{"}, "laravel", None, ("artisan",)),
        (
            {"composer.json": {"require": {"laravel/framework": "^12"}}},
            "laravel",
            None,
            ("composer.json: laravel/framework",),
        ),
        (
            {"vercel.json": "{}", "package.json": needs(**{"@vercel/postgres": "1"})},
            "vercel",
            None,
            ("package.json: @vercel/postgres",),
        ),
        (
            {"vercel.json": "{}", "package.json": needs(pg="8")},
            "vercel",
            "node-postgres",
            ("vercel.json", "package.json: pg"),
        ),
        ({"wrangler.toml": 'name = "x"'}, "plain", None, ()),
        (
            {"wrangler.jsonc": '{ // mine\n "hyperdrive": [{ "binding": "DB", "id": "1" }], }'},
            "hyperdrive",
            None,
            ("wrangler.jsonc: hyperdrive",),
        ),
        ({"manage.py": ""}, "django", None, ("manage.py",)),
        (
            {"pyproject.toml": '[project]\ndependencies = ["Django>=5", "psycopg"]\n'},
            "django",
            None,
            ("pyproject.toml: Django",),
        ),
        (
            {"Gemfile": 'source "x"\ngem "rails", "~> 8.0"\n'},
            "rails",
            None,
            ("Gemfile: rails",),
        ),
        ({"Gemfile": '# gem "rails"\ngem "sinatra"\n'}, "plain", None, ()),
        (
            {"supabase/config.toml": "", "package.json": needs(prisma="6.0.0", postgres="3")},
            "supabase",
            "prisma-6",
            ("supabase/config.toml", "package.json: prisma 6.0.0"),
        ),
        (
            {"supabase/config.toml": "", "package.json": needs(postgres="3")},
            "supabase",
            "postgres.js",
            ("supabase/config.toml", "package.json: postgres"),
        ),
        ({"package.json": needs(pg="8")}, "plain", "node-postgres", ("package.json: pg",)),
        (
            {"package.json": {"dependencies": {"@neondatabase/serverless": "1"}}},
            "neon",
            None,
            ("package.json: @neondatabase/serverless",),
        ),
        (
            {"pyproject.toml": "[dependency-groups]\ndb = ['SQLAlchemy[asyncio]', 'asyncpg']\n"},
            "plain",
            "sqlalchemy-asyncpg",
            ("pyproject.toml: asyncpg",),
        ),
        (
            {"pyproject.toml": "[tool.poetry.dependencies]\nsqlmodel = '*'\npsycopg = '*'\n"},
            "plain",
            "sqlalchemy",
            ("pyproject.toml: psycopg",),
        ),
        (
            {"requirements.txt": "sqlalchemy\npsycopg2-binary==2.9\n"},
            "plain",
            None,
            (),
        ),
        (
            {"requirements.txt": "sqlalchemy\npsycopg[binary]\nasyncpg\n"},
            "plain",
            None,
            (),
        ),
        (
            {"requirements.txt": "asyncpg==0.30\n"},
            "plain",
            "asyncpg",
            ("requirements.txt: asyncpg",),
        ),
    ],
)
def test_detects(
    tmp_path: Path,
    files: dict[str, object],
    preset: str,
    client: str | None,
    saw: tuple[str, ...],
) -> None:
    lay(tmp_path, files)
    assert detect(tmp_path) == Detected(preset, client, saw)


@pytest.mark.parametrize(
    "files",
    [
        {"package.json": "{", "pyproject.toml": "[", "Gemfile": "\0"},
        {"package.json": "[]", "pyproject.toml": "project = 1\ndependency-groups = 2\ntool = 3\n"},
        {"package.json": '{"dependencies": [1]}', "pyproject.toml": "[tool.poetry]\ngroup = 1\n"},
        {
            "package.json/x": "",
            "pyproject.toml": "[tool.poetry.group]\nx = 1\n[project]\ndependencies=3\n",
        },
    ],
)
def test_files_that_make_no_sense_are_passed_over(tmp_path: Path, files: dict[str, object]) -> None:
    lay(tmp_path, files)
    assert detect(tmp_path) == Detected("plain", None, ())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_files_as_windows_writes_them_are_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "package.json").write_bytes(json.dumps(needs(pg="8")).encode(encoding))
    (tmp_path / "pyproject.toml").write_bytes('[project]\ndependencies = ["x"]'.encode(encoding))
    assert detect(tmp_path).client == "node-postgres"


def around(project: Path, below: str = "", **files: dict[str, str]) -> Detected:
    return detect_around(
        project / below, project, {f".{name}": keys for name, keys in files.items()}
    )


def test_a_directory_of_the_project_goes_before_what_is_around_it(tmp_path: Path) -> None:
    lay(tmp_path, {"web/package.json": needs(pg="8"), "artisan": "", "api/manage.py": ""})
    assert around(tmp_path, "api").preset == "django"
    assert around(tmp_path, "web").preset == "laravel"
    assert around(tmp_path).saw == ("artisan",)


@pytest.mark.parametrize(
    "manifest",
    [
        {"package.json": {"workspaces": ["apps/*", "packages/*"]}},
        {"package.json": {"workspaces": {"packages": ["!apps/x", "../..", "packages/db"]}}},
        {"pnpm-workspace.yaml": "packages:\n  # all\n  - 'apps/*'\n\n  - packages/* # more\n"},
        {"pnpm-workspace.yaml": "a: 1\r\npackages: ['apps/*',\r\n  packages/*]\r\n"},
        {"pyproject.toml": '[tool.uv.workspace]\nmembers = ["packages/*"]\n'},
    ],
)
def test_from_the_root_of_a_monorepo_its_packages_are_looked_at(
    tmp_path: Path, manifest: dict[str, object]
) -> None:
    lay(tmp_path, {"packages/db/prisma/schema.prisma": SCHEMA, "apps/web/package.json": "{"})
    assert around(tmp_path).preset == "plain"
    lay(tmp_path, manifest)
    assert around(tmp_path) == Detected("prisma", None, ("packages/db/prisma/schema.prisma",))


def test_a_package_beside_speaks_for_one_that_names_no_client(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            "package.json": {"workspaces": ["apps/*", "packages/*"]},
            "packages/db/prisma/schema.prisma": SCHEMA,
            "apps/web/package.json": "{}",
            "apps/jobs/package.json": needs(pg="8"),
        },
    )
    seen = ("../../packages/db/prisma/schema.prisma",)
    assert around(tmp_path, "apps/web") == Detected("prisma", None, seen)
    assert around(tmp_path, "apps/jobs").client == "node-postgres"


def test_what_is_right_below_the_root_is_looked_at(tmp_path: Path) -> None:
    lay(tmp_path, {"backend/manage.py": "", ".cache/package.json": needs(prisma="6")})
    assert around(tmp_path) == Detected("django", None, ("backend/manage.py",))


def test_the_keys_of_an_env_file_speak_where_nothing_else_does(tmp_path: Path) -> None:
    keys = {"AUTH_SECRET": "", "POSTGRES_URL": ""}
    found = around(tmp_path, env={"A": "1"}, envlocal=keys)
    assert found == Detected("vercel", None, (".envlocal: POSTGRES_URL",), ".envlocal")
    lay(tmp_path, {"manage.py": ""})
    assert around(tmp_path, env=keys).preset == "django"


LARAVEL = ("DB_CONNECTION", *dict(PRESETS["laravel"].variables))


@pytest.mark.parametrize(
    ("keys", "preset"),
    [
        (("A", "DATABASE_URL", "DIRECT_URL"), None),
        (("PGHOST", "PGUSER"), "libpq"),
        (("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"), "postgres-parts"),
        (("POSTGRES_PRISMA_URL", "POSTGRES_URL_NON_POOLING"), "vercel"),
        (("DATABASE_URL_UNPOOLED",), "neon"),
        (LARAVEL, "laravel"),
        (LARAVEL[1:], None),
        (("TEST_DATABASE_URL", "SHADOW_DATABASE_URL"), None),
    ],
)
def test_a_preset_by_the_keys_that_are_its_own(keys: tuple[str, ...], preset: str | None) -> None:
    found = by_names(keys)
    assert (found and found[0].name) == preset


HYPERDRIVE = "CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_"
JSONC = """\
{
  // the "hyperdrive" of [1], whose "binding": "NOT" counts
  "name": "a // no comment, /* nor this */, ]",
  "hyperdrive": [
    { "id": "1", "binding": "DB", "localConnectionString": "postgres://x/y" /* [ } */, },
    { "binding": "my_db" },
    /* { "binding": "OUT" }, */
    { "binding": "not-a-name" }, { "binding": 3 }, "x",
  ],
  "env": { "next": { "hyperdrive": [{ "binding": "MORE" }, { "binding": "DB" }], }, "x": 1 },
}
"""
TOML = """\
[[hyperdrive]]
binding = "DB"
[[hyperdrive]]
binding = "my_db"
[[hyperdrive]]
binding = "not-a-name"
[[env.next.hyperdrive]]
binding = "MORE"
"""


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("wrangler.toml", TOML),
        (
            "wrangler.toml",
            'hyperdrive = [{binding="DB"}, {binding="my_db"}]\n'
            '[env.next]\nhyperdrive = [{binding="MORE"}]\n',
        ),
        (
            "wrangler.toml",
            '[[hyperdrive]]\nbinding="DB"\n[[hyperdrive]]\nbinding="my_db"\n'
            '[env.next.hyperdrive]\nbinding="MORE"\n[env.old]\nhyperdrive="no"\n',
        ),
        ("wrangler.jsonc", JSONC),
        ("wrangler.json", JSONC),
        ("wrangler.json", JSONC.replace("\n", "\r\n")),
    ],
)
def test_every_hyperdrive_binding_is_the_projects_own(tmp_path: Path, file: str, text: str) -> None:
    assert beside(tmp_path, tmp_path) == Beside()
    (tmp_path / file).write_bytes(text.encode())
    found = beside(tmp_path, tmp_path)
    names = [f"{HYPERDRIVE}{each}" for each in ("DB", "my_db", "MORE")]
    assert found.variables == tuple((name, Goes.POOLED) for name in names)
    assert (found.saw, found.notes) == ((f"{file}: hyperdrive",), ())


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"hyperdrive": 1, "env": [2]}', "/* {", '"', '{"env": {"x": [1]}}']
)
def test_a_wrangler_file_that_makes_no_sense_is_passed_over(tmp_path: Path, text: str) -> None:
    (tmp_path / "wrangler.jsonc").write_text(text)
    assert beside(tmp_path, tmp_path) == Beside()


def test_a_worker_below_reads_the_env_file_that_is_beside_its_own(tmp_path: Path) -> None:
    lay(tmp_path, {"my worker/wrangler.jsonc": JSONC, "web/package.json": needs(pg="8")})
    assert around(tmp_path).preset == "hyperdrive"
    (note,) = beside(tmp_path, tmp_path).notes
    assert note.endswith("--file 'my worker/.env'")
    worker = tmp_path / "my worker"
    assert beside(tmp_path, tmp_path, worker / ".env").notes == ()
    assert beside(worker, tmp_path).notes == ()
    assert beside(tmp_path / "web", tmp_path) == Beside()


def test_vercels_driver_reads_its_own_variables_whatever_else_the_project_is(
    tmp_path: Path,
) -> None:
    lay(tmp_path, {"package.json": needs(**{"@vercel/postgres": "1", "prisma": "6"})})
    assert around(tmp_path).preset == "prisma"
    found = beside(tmp_path, tmp_path)
    assert dict(found.variables) == {
        "POSTGRES_URL": Goes.POOLED,
        "POSTGRES_URL_NON_POOLING": Goes.DIRECT,
        "DEVDB_HTTP_URL": Goes.HTTP,
    }
    assert set(dict(found.readers).values()) == {"vercel"}
