"""Which variables a project's Prisma files read, and what each is to be."""

from pathlib import Path

import pytest

from devdb.urls.prisma import Prisma, look

POOLED, DIRECT, SHADOW = "pooled", "direct", "shadow"


def datasource(*lines: str, provider: str = "postgresql") -> str:
    body = "\n".join(f"  {line}" for line in (f'provider = "{provider}"', *lines))
    return f"// datasource db {{ }}\ngenerator client {{\n}}\n\ndatasource db {{\n{body}\n}}\n"


def looked(project: Path, files: dict[str, str]) -> Prisma:
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    found = look(project, None)
    assert found is not None
    return found


URL, DIRECT_URL = 'url = env("APP")', 'directUrl = env("MIGRATE")'
CONFIG = "export default defineConfig({{ datasource: {{ {} }} }})"


@pytest.mark.parametrize(
    ("files", "variables"),
    [
        ({"prisma/schema.prisma": datasource()}, {}),
        ({"prisma/schema.prisma": datasource('url = "postgres://a"')}, {}),
        ({"prisma/schema.prisma": datasource(URL)}, {"APP": POOLED, "DIRECT_URL": DIRECT}),
        (
            {"prisma/schema.prisma": datasource(URL, f"// {DIRECT_URL}")},
            {"APP": POOLED, "DIRECT_URL": DIRECT},
        ),
        (
            {"prisma/schema.prisma": datasource(f"{URL} // mine", DIRECT_URL)},
            {"APP": POOLED, "MIGRATE": DIRECT},
        ),
        (
            {"api/db/schema.prisma": datasource(URL, 'shadowDatabaseUrl = env("EMPTY")')},
            {"APP": POOLED, "DIRECT_URL": DIRECT, "EMPTY": SHADOW},
        ),
        (
            {"prisma/schema.prisma": datasource(URL, 'directUrl = env( "APP" )')},
            {"APP": DIRECT},
        ),
        (
            {
                "prisma/schema/a.prisma": "model A {\n}\n",
                "prisma/schema/x/b.prisma": datasource(URL),
            },
            {"APP": POOLED, "DIRECT_URL": DIRECT},
        ),
        (
            {"prisma/a.prisma": "model A {\n}\n", "prisma/main.prisma": datasource(URL)},
            {"APP": POOLED, "DIRECT_URL": DIRECT},
        ),
        (
            {
                "package.json": '\ufeff{"prisma": {"schema": "src/db.prisma"}}',
                "src/db.prisma": datasource(URL),
                "prisma/schema.prisma": datasource('url = env("NO")'),
            },
            {"APP": POOLED, "DIRECT_URL": DIRECT},
        ),
        (
            {
                "package.json": '{"prisma": {"schema": "/"}}',
                "prisma.config.ts": "schema: '/etc'",
                "schema.prisma": datasource(URL),
            },
            {"APP": POOLED, "DIRECT_URL": DIRECT},
        ),
        (
            {
                "prisma.config.ts": "schema: path.join('db', 'schema'),\n// url: env('NO')\n"
                + CONFIG.format('url: env("MIGRATE"), shadowDatabaseUrl: process.env.EMPTY'),
                "db/schema/main.prisma": datasource(),
            },
            {"DATABASE_URL": POOLED, "MIGRATE": DIRECT, "EMPTY": SHADOW},
        ),
        (
            {"prisma7.config.ts": CONFIG.format("url: process.env['MIGRATE']!")},
            {"DATABASE_URL": POOLED, "MIGRATE": DIRECT},
        ),
        (
            {"prisma.config.ts": CONFIG.format("url: env<Env>('DATABASE_URL')")},
            {"DATABASE_URL": DIRECT},
        ),
        (
            {
                "package.json": "{}",
                "node_modules/prisma/package.json": '{"version": "6.19.0"}',
                "prisma.config.ts": CONFIG.format('url: env("MIGRATE")'),
                "prisma/schema.prisma": datasource(URL),
            },
            {"APP": POOLED, "MIGRATE": DIRECT},
        ),
    ],
)
def test_what_it_reads(tmp_path: Path, files: dict[str, str], variables: dict[str, str]) -> None:
    found = looked(tmp_path, files)
    assert dict(found.variables) == variables
    assert found.foreign is None


def test_nothing_of_prisma_is_none(tmp_path: Path) -> None:
    (tmp_path / "prisma").mkdir()
    assert look(tmp_path, None) is None


@pytest.mark.parametrize("provider", ["mysql", "sqlite", "sqlserver", "mongodb", "cockroachdb"])
def test_another_database_is_refused_with_a_word(tmp_path: Path, provider: str) -> None:
    found = looked(tmp_path, {"prisma/schema.prisma": datasource(URL, provider=provider)})
    assert found.foreign is not None
    assert provider in found.foreign.message
    assert found.foreign.message.startswith("prisma/schema.prisma ")


def test_what_its_files_should_say_is_said(tmp_path: Path) -> None:
    six = looked(tmp_path / "six", {"prisma/schema.prisma": datasource(URL)})
    assert six.notes == (
        'prisma/schema.prisma: add directUrl = env("DIRECT_URL") for the migrations.',
    )
    both = looked(tmp_path / "both", {"prisma/schema.prisma": datasource(URL, DIRECT_URL)})
    assert both.notes == ()
    seven = looked(
        tmp_path / "seven", {"prisma.config.ts": CONFIG.format('url: env("DATABASE_URL")')}
    )
    assert "prisma.config.ts migrates with DATABASE_URL" in seven.notes[0]
