"""A PgBouncer below 1.19, from the packages of the Debian release the tests run on."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PACKAGES = ("pgbouncer", "libevent-2.1-7", "libc-ares2")


def get() -> Path | str:
    """The path of the program, `lib` beside its `bin`; else why there is none.

    `DEVDB_TEST_OLD_PGBOUNCER` names one; else it is unpacked into devdb's cache, once.
    """
    if named := os.environ.get("DEVDB_TEST_OLD_PGBOUNCER"):
        return Path(named)
    final = Path(os.environ["DEVDB_CACHE_DIR"]) / "test" / "old-pgbouncer"
    program = final / "bin" / "pgbouncer"
    if program.exists():
        return program
    if shutil.which("apt-get") is None:
        return "there is no apt-get to get it with"
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent) as scratch:
        if reason := _unpack(Path(scratch)):
            return reason
        try:
            (Path(scratch) / "made").rename(final)
        except OSError:
            if not program.exists():  # else another process of the suite was faster
                raise
    return program


def _unpack(scratch: Path) -> str | None:
    result = subprocess.run(
        ["apt-get", "download", *PACKAGES], cwd=scratch, capture_output=True, text=True
    )
    if result.returncode != 0:
        return result.stderr.strip().splitlines()[-1]
    for package in scratch.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, scratch / "all"], check=True)
    made = scratch / "made"
    (made / "bin").mkdir(parents=True)
    shutil.copy2(scratch / "all/usr/sbin/pgbouncer", made / "bin/pgbouncer")
    (libraries,) = scratch.glob("all/usr/lib/*-linux-gnu")
    shutil.copytree(libraries, made / "lib", symlinks=True)
    for path in [made, *made.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    version = subprocess.run(
        [made / "bin/pgbouncer", "--version"],
        env={"LD_LIBRARY_PATH": str(made / "lib")},
        capture_output=True,
        text=True,
    ).stdout.split("\n")[0]
    return None if version.startswith("PgBouncer 1.18") else f"this release has {version or 'none'}"
