"""What a project's files say about the preset and the client it needs."""

import json
from pathlib import Path

import pytest

from devdb.urls.detection import Detected, detect

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
