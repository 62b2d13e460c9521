"""A Docker engine for the tests: the one that answers, else one that is started by hand."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from system import debian
from system.shell import CommandFailed, run, say, succeeds

PACKAGES = ("docker.io", "docker-cli", "iptables", "debootstrap")
PATIENCE = 60.0
"""Seconds for an engine that was started to answer."""


def answers() -> bool:
    return succeeds("docker", "version", "--format", "{{.Server.Version}}")


def ensure(*, log: Path) -> None:
    """Make a Docker engine answer. Raises CommandFailed with the reason why none does."""
    if answers():
        return
    if not debian.here() or debian.as_root() != []:
        raise CommandFailed("no Docker engine answers, and starting one takes Debian and root.")
    debian.install(*filter(debian.offers, PACKAGES))
    if answers():
        return
    if Path("/run/systemd/system").is_dir():
        run("systemctl", "start", "docker")
        wait(None, log)
    else:
        wait(start(log), log)


def start(log: Path) -> subprocess.Popen[bytes]:
    say(f"Starting dockerd; its log is {log}. It stays when the tests are over.")
    for file in ("/var/run/docker.pid", "/var/run/docker/containerd/containerd.pid"):
        clear_stale(Path(file))
    with log.open("wb") as output:
        return subprocess.Popen(
            ["dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the tests is not meant for it
        )


def clear_stale(file: Path) -> None:
    """dockerd takes any process of that number for itself, and will not start."""
    try:
        name = Path(f"/proc/{int(file.read_text())}/comm").read_text().strip()
    except (OSError, ValueError):
        name = ""
    if name not in ("dockerd", "containerd"):
        file.unlink(missing_ok=True)


def wait(process: subprocess.Popen[bytes] | None, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not answers():
        if process is not None and process.poll() is not None:
            raise CommandFailed(f"dockerd does not run on this machine: {last_words(log)}")
        if time.monotonic() > deadline:
            raise CommandFailed(f"dockerd did not answer within {PATIENCE:.0f} s; see {log}.")
        time.sleep(0.2)


def last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() or ["it said nothing."]
    reasons = [line for line in lines if line.startswith("failed to start")]
    return (reasons or lines)[-1]
