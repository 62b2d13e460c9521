"""Applies two migrations with Alembic, takes the second back and applies it again."""

import os
import tempfile
from pathlib import Path

from alembic import command
from alembic.config import Config

ENV = """
import os
import sqlalchemy
from alembic import context

engine = sqlalchemy.create_engine(os.environ["DATABASE_URL"])
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
"""
FIRST = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "1", None

def upgrade():
    op.create_table("migrated", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("INSERT INTO migrated VALUES (1)")

def downgrade():
    op.drop_table("migrated")
"""
SECOND = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "2", "1"

def upgrade():
    op.add_column("migrated", sa.Column("name", sa.Text, nullable=False, server_default="x"))
    with op.get_context().autocommit_block():
        op.create_index(
            "migrated_name", "migrated", ["name"], postgresql_concurrently=True
        )

def downgrade():
    op.drop_index("migrated_name")
    op.drop_column("migrated", "name")
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        versions = Path(directory) / "versions"
        versions.mkdir()
        (Path(directory) / "env.py").write_text(ENV)
        (versions / "first.py").write_text(FIRST)
        (versions / "second.py").write_text(SECOND)
        config = Config()
        config.set_main_option("script_location", directory)
        config.set_main_option("path_separator", "os")
        command.upgrade(config, "head")
        command.downgrade(config, "1")
        command.upgrade(config, "head")


if __name__ == "__main__":
    assert os.environ["DATABASE_URL"]
    main()
