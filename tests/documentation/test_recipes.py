"""The projects that pages show, made of what they show, and tested as they say."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import available
import bench_testing
import pytest
from commandline import ended
from documentation import pages
from documentation.pages import ROOT, Recipe
from instances import Instance

RECIPES = {
    f"{page.name}: {recipe.heading}": recipe
    for page in (ROOT / "docs" / "testing.md",)
    for recipe in pages.recipes(page)
}
ELSEWHERE = {
    "pytest -n auto": "tests/pytest_plugin",
    "pytest --devdb-keep": "tests/pytest_plugin",
    "pytest --devdb-for asyncpg": "tests/pytest_plugin",
    "pytest --devdb-disk": "tests/pytest_plugin",
    "pytest --devdb-instance shop": "tests/pytest_plugin",
}
"""What other tests try, with more than one test's worth of it."""

SCHEMA = """
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO customers VALUES (1, 'Ada'), (2, 'Grace');
"""
ALEMBIC = {
    "alembic.ini": "[alembic]\nscript_location = migrations\n",
    "migrations/env.py": """
        from alembic import context
        from sqlalchemy import create_engine

        engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
        with engine.connect() as connection:
            context.configure(connection=connection)
            with context.begin_transaction():
                context.run_migrations()
        engine.dispose()
        """,
    "migrations/versions/0001_orders.py": """
        import sqlalchemy as sa
        from alembic import op

        revision, down_revision = "0001", None

        def upgrade():
            op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True),
                            sa.Column("item", sa.Text, nullable=False))
        """,
}
DJANGO = {
    "manage.py": """
        import os, sys
        from django.core.management import execute_from_command_line

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
        execute_from_command_line(sys.argv)
        """,
    "shop/__init__.py": "",
    "shop/models.py": """
        from django.db import models

        class Customer(models.Model):
            name = models.TextField(unique=True)
        """,
    "shop/migrations/__init__.py": "",
    "shop/migrations/0001_initial.py": """
        from django.db import migrations, models

        class Migration(migrations.Migration):
            initial = True
            operations = [migrations.CreateModel("Customer", [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("name", models.TextField(unique=True)),
            ])]
        """,
    "shop/tests.py": """
        from django.db import connection
        from django.test import TestCase
        from shop.models import Customer

        class CustomerTest(TestCase):
            def test_one(self):
                Customer.objects.create(name="Ada")
                self.assertEqual(Customer.objects.count(), 1)
                print("tested in", connection.settings_dict["NAME"])
        """,
}
REST = {
    "pytest": {"schema.sql": SCHEMA},
    "Alembic and SQLAlchemy": ALEMBIC,
    "With asyncpg": ALEMBIC,
    "Django": DJANGO,
    "Node, and any other runner": {"schema.sql": SCHEMA},
}
"""What else such a project has."""
PASSED = {
    "pytest": r"\b\d+ passed\b",
    "python manage.py test": r"Ran 1 test in .*\n\nOK",
    "node --test": r"\bpass 1\n",
}
"""What each runner says when there was something to test, and all of it went well."""


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_works(
    name: str, tmp_path: Path, home: Path, instances: Callable[[str], Instance]
) -> None:
    if reason := available.why_not("native"):
        if "native" in available.required():
            pytest.fail(f"the native engine is required here, but: {reason}")
        pytest.skip(f"native engine: {reason}")
    recipe = RECIPES[name]
    project = tmp_path / "shop"
    make(recipe, project)
    env = environment(home, tmp_path)
    shared = instances("native")
    borrowed = {"DEVDB_NAME": shared.spec.name, "DEVDB_DATA_DIR": str(shared.home)}
    for line in recipe.lines:
        if line in ELSEWHERE:
            continue
        where = borrowed if line.startswith("devdb ") else {}
        argv = ["bash", "-euo", "pipefail", "-c", line]
        done = ended(argv, cwd=project, env={**env, **where}, alone=True)
        said = f"{line}\n{done.out}\n{done.err}"
        assert done.code == 0, said
        [passed] = [text for runner, text in PASSED.items() if re.search(rf"\b{runner}\b", line)]
        assert re.search(passed, done.out + done.err), said
        if "manage.py test" in line:
            assert f"tested in {'temp_' if '--temp' in line else 'test_main'}" in done.out, said
    bench_testing.until_gone(project)  # the instance of its tests


def make(recipe: Recipe, project: Path) -> None:
    (project / ".git").mkdir(parents=True)
    for file, text in {**REST[recipe.heading], **recipe.files}.items():
        path = project / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    if any(file.endswith(".mjs") for file in recipe.files):
        clients = os.environ.get("DEVDB_TEST_NODE_CLIENTS")
        if not clients or not shutil.which("node"):
            pytest.skip("needs node, and DEVDB_TEST_NODE_CLIENTS, which scripts/clients says")
        (project / "node_modules").symlink_to(Path(clients) / "node_modules")


def environment(home: Path, tmp_path: Path) -> dict[str, str]:
    return {
        **{key: value for key, value in os.environ.items() if not key.startswith("DEVDB_")},
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "DEVDB_DATA_DIR": str(home),
        "DEVDB_CACHE_DIR": os.environ["DEVDB_CACHE_DIR"],
        "DEVDB_ENGINE": "native",
        "_DEVDB_LINGER": "0",
        "PYTHONWARNINGS": "",
        "PYTEST_ADDOPTS": "-p no:hypothesispytest -p no:cacheprovider",
    }


def test_no_recipe_is_without_a_project_around_it() -> None:
    assert {recipe.heading for recipe in RECIPES.values()} == {*REST}
    typed = {line for recipe in RECIPES.values() for line in recipe.lines}
    assert {*ELSEWHERE} - typed == set()
    assert all((ROOT / place).exists() for place in ELSEWHERE.values())
