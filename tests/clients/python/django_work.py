"""Django: migrates its own applications, then fifty threads work through the ORM.

DJANGO_SETTINGS is what `devdb url --for django-settings` prints, DATABASE_URL the one for django.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import dj_database_url
import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

WORKERS, ROUNDS = int(os.environ["WORK_WORKERS"]), int(os.environ["WORK_ROUNDS"])


def databases() -> dict[str, Any]:
    if snippet := os.environ.get("DJANGO_SETTINGS"):
        found: dict[str, Any] = {}
        exec(snippet, {}, found)
        databases: dict[str, Any] = found["DATABASES"]
        return databases
    pooled = bool(os.environ["WORK_POOLED"])
    return {
        "default": dj_database_url.parse(
            os.environ["DATABASE_URL"], disable_server_side_cursors=pooled
        )
    }


def work(worker: int) -> None:
    from django.contrib.auth.models import Group, User

    try:
        for turn in range(ROUNDS):
            with transaction.atomic():
                user = User.objects.create_user(f"user-{worker}-{turn}")
                group, _ = Group.objects.get_or_create(name=f"group-{worker}")
                user.groups.add(group)
        mine = User.objects.filter(groups__name=f"group-{worker}").order_by("username")
        names = [user.username for user in mine.iterator(chunk_size=2)]
        assert names == sorted(f"user-{worker}-{turn}" for turn in range(ROUNDS))
    finally:
        connection.close()


def main() -> None:
    settings.configure(
        DATABASES=databases(),
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    connection.close()
    with ThreadPoolExecutor(WORKERS) as threads:
        list(threads.map(work, range(WORKERS)))

    from django.contrib.auth.models import User

    assert User.objects.count() == WORKERS * ROUNDS
    call_command("migrate", "auth", "zero", verbosity=0, interactive=False)
    connection.close()


if __name__ == "__main__":
    main()
