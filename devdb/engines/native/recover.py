"""An instance whose marker is lost, by what was written for its servers at their last start."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from devdb import paths, pgbouncer, postgres
from devdb.engines.native import binaries, find, owner, template
from devdb.engines.native.commands import CommandFailed, run
from devdb.engines.native.layout import Layout
from devdb.engines.waiting import finished
from devdb.errors import DevdbError, StartFailed
from devdb.model import MAINTENANCE_DATABASE, PoolMode, Spec


def recover(layout: Layout) -> Spec | None:
    """See `Engine.recover`."""
    if not layout.initialised.exists() or not find.has_data(layout):
        return None
    status = layout.root.stat()
    if status.st_uid != os.geteuid():
        who = paths.user(status.st_uid)
        raise DevdbError(
            f"The instance '{layout.name}' in {layout.root} belongs to {who}.",
            f"Run devdb as {who}, or take another name with -n.",
        )
    ini, conf = _text_if_any(layout.ini), _text_if_any(layout.postgres_conf)
    direct = re.search(r"^\* = .*port=(\d+)$", ini, re.MULTILINE)
    pooled = re.search(r"^listen_port = (\d+)$", ini, re.MULTILINE)
    return Spec(
        name=layout.name,
        project=None,
        engine="native",
        port=int(direct[1]) if direct else 0,
        pool_port=int(pooled[1]) if pooled else 0,
        password=pgbouncer.password_in(_text_if_any(layout.userlist)),
        created=datetime.fromtimestamp(int(layout.initialised.stat().st_mtime), UTC),
        pool_mode=_pool_mode(ini),
        major=find.data_major(layout),
        has_data=True,
        settings=postgres.settings_in(conf),
    )


def set_password(spec: Spec) -> None:
    """See `Engine.set_password`: by a single-user server, which asks nobody for one."""
    layout = Layout.of(spec.name)
    runs_as = owner.choose(layout.data)
    found = binaries.postgres(spec.major, data=find.data_major(layout))
    argv = [str(found.program("postgres")), *postgres.SINGLE_USER, "-D", str(layout.data)]
    sql, env = postgres.passwords(spec), template.environment(found)
    try:
        said = finished(run([*argv, MAINTENANCE_DATABASE], owner=runs_as, env=env, text=sql))
    except CommandFailed as error:
        said = f"ERROR: {error}"
    if "ERROR:" in said:  # which does not show in the exit code
        raise StartFailed(
            f"The password of '{spec.name}' cannot be set anew: {said.splitlines()[-1]}",
            f"Its data is in {layout.data}; devdb rm {spec.name} deletes it.",
        )


def _pool_mode(ini: str) -> PoolMode:
    with suppress(ValueError):
        return pgbouncer.mode_in(ini, pgbouncer.parse_version(ini.partition("\n")[0]))
    return PoolMode.TRANSACTION


def _text_if_any(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
