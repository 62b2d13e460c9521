"""Another machine: sshd and a Docker engine in namespaces of their own, behind a network cable."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import world

PROGRAMS = ("/usr/sbin/sshd", "dockerd", "ip", "nsenter", "unshare", "ssh", "ssh-keygen", "docker")
_CGROUPS = Path("/sys/fs/cgroup")
_CPUSET = _CGROUPS / "cpuset"

_BOOT = """\
set -e
mount -t tmpfs tmpfs /run; mount -t tmpfs -o mode=700 tmpfs /root
mkdir -p /run/sshd /run/user/0 /run/etc /run/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/etc,workdir=/run/work /etc
hostname {name}
setsid dockerd --data-root {data} --exec-root /run/docker --pidfile /run/docker.pid \
    -H unix:///run/docker.sock -H unix:///run/user/0/elsewhere.sock --bip 10.97.{octet}.1/24 \
    --cgroup-parent /{name} > {place}/dockerd.log 2>&1 < /dev/null &
echo $! > {place}/dockerd.pid
setsid /usr/sbin/sshd -D -f {place}/sshd_config -E {place}/sshd.log > /dev/null 2>&1 < /dev/null &
"""
"""Its own /run, so that its sockets are not ours, its own /root, users and name."""

_SSHD = """\
ListenAddress {address}
HostKey {place}/host
AuthorizedKeysFile {place}/authorized_keys
PidFile {place}/sshd.pid
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
Include {place}/sshd_more
"""


def why_not() -> str | None:
    """Why there cannot be one here; None when there can."""
    if missing := [each for each in PROGRAMS if shutil.which(each) is None]:
        return f"there is no {', '.join(missing)} here"
    if os.geteuid() != 0:
        return "network namespaces take root"
    made = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True)
    if made.returncode != 0:
        return f"no network namespace can be made: {made.stderr.strip()}"
    return None


class Box:
    """That machine, on; `address` is where its sshd is."""

    def __init__(self, images: Sequence[str]) -> None:
        octet = _free_octet()
        self.name = _name(octet)
        self.address, self._here = f"10.99.{octet}.2", f"10.99.{octet}.1"
        self.place = Path(tempfile.mkdtemp(prefix="devdb-box-", dir="/tmp"))  # sockets are in it
        self._data = world.new_directory("box")
        """In memory where there is room: the images are there in a quarter of the time."""
        self._link = f"dfar{octet}"
        try:
            self._write_files()
            self._cable()
            self._boot(octet)
            self._load(images)
        except BaseException:
            self.off()
            raise

    def _write_files(self) -> None:
        place = self.place
        place.chmod(0o755)  # whoever logs in has to read who may
        self.runtime = place / "run"
        self.runtime.mkdir()
        for key in ("host", "key", "other"):
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / key)
        (place / "authorized_keys").write_text((place / "key.pub").read_text())
        (place / "sshd_more").write_text("")
        (place / "sshd_config").write_text(_SSHD.format(address=self.address, place=place))
        host = (place / "host.pub").read_text()
        (place / "known_hosts").write_text(f"{self.address} {host}")
        self.configure()
        # OpenSSH looks for its configuration where the passwd file says, and that home is not ours.
        self.bin = place / "bin"
        self.bin.mkdir()
        program = self.bin / "ssh"
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {place}/config "$@"\n')
        program.chmod(0o755)

    def configure(self, *more: str, key: str = "key") -> None:
        """Write the user's ~/.ssh/config: the box is called `box`; `more` are lines about it."""
        known = f"UserKnownHostsFile {self.place}/known_hosts"
        lines = [f"HostName {self.address}", f"IdentityFile {self.place}/{key}", known, "User root"]
        lines += ["IdentitiesOnly yes", "GlobalKnownHostsFile none", *more]
        (self.place / "config").write_text("Host box\n" + "".join(f"    {x}\n" for x in lines))

    def _cable(self) -> None:
        peer = f"{self._link}b"
        _run("ip", "link", "add", self._link, "type", "veth", "peer", "name", peer)
        _run("ip", "link", "set", peer, "netns", self.name)
        _run("ip", "addr", "add", f"{self._here}/30", "dev", self._link)
        _run("ip", "link", "set", self._link, "up")
        for words in (f"addr add {self.address}/30 dev {peer}", f"link set {peer} up"):
            _run("ip", "-n", self.name, *words.split())
        _run("ip", "-n", self.name, "link", "set", "lo", "up")

    def _boot(self, octet: int) -> None:
        self._limit_cgroup()
        script = _BOOT.format(name=self.name, data=self._data, octet=octet, place=self.place)
        apart = ["unshare", "--mount", "--uts", "--propagation", "private"]
        _run("nsenter", f"--net=/run/netns/{self.name}", *apart, "sh", "-c", script)
        self.engine_pid = int((self.place / "dockerd.pid").read_text())
        world.eventually(
            lambda: self.run("docker", "version").returncode == 0, "dockerd answers", timeout=60
        )

    def _limit_cgroup(self) -> None:
        """A new cgroup of version 1 has no processors and no memory until it is given some."""
        if not (_CPUSET / "cpuset.cpus").exists():
            return
        (_CPUSET / self.name).mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):
            (_CPUSET / self.name / file).write_text((_CPUSET / file).read_text())

    def _load(self, images: Sequence[str]) -> None:
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saving:
            loading = self.run("docker", "load", "-q", stdin=saving.stdout)
        assert saving.returncode == 0, loading
        assert loading.returncode == 0, loading

    def run(self, *words: str, stdin: IO[bytes] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command there, as root, without SSH."""
        inside = ["nsenter", f"--target={self.engine_pid}", "--net", "--mount", "--uts"]
        cleared = {name: text for name, text in os.environ.items() if name != "DOCKER_HOST"}
        return subprocess.run(
            [*inside, *words],
            capture_output=True,
            text=True,
            env={**cleared, "HOME": "/root"},
            stdin=stdin,
        )

    def out(self, *words: str) -> str:
        """What a command there prints, which must not fail."""
        result = self.run(*words)
        assert result.returncode == 0, result
        return result.stdout

    @contextlib.contextmanager
    def unplugged(self) -> Iterator[None]:
        """No packet comes through while a block lasts."""
        _run("ip", "link", "set", self._link, "down")
        try:
            yield
        finally:
            _run("ip", "link", "set", self._link, "up")

    @contextlib.contextmanager
    def sshd_told(self, *lines: str) -> Iterator[None]:
        """Those lines are in sshd's configuration while a block lasts."""
        more = self.place / "sshd_more"
        try:
            more.write_text("".join(f"{line}\n" for line in lines))
            self._reload()
            yield
        finally:
            more.write_text("")
            self._reload()

    def _reload(self) -> None:
        log = self.place / "sshd.log"
        before = log.read_text().count("Server listening")
        os.kill(int((self.place / "sshd.pid").read_text()), signal.SIGHUP)
        world.eventually(lambda: log.read_text().count("Server listening") > before, "its reload")

    def hang_up(self) -> None:
        """End all that devdb has to this box but forwarders."""
        for control in self.runtime.glob("devdb-*/*.ctl"):
            subprocess.run(["ssh", "-S", control, "-O", "exit", "box"], capture_output=True)

    def left(self) -> list[str]:
        """What of instances is there: containers, networks, and volumes that are no templates."""
        one = "docker {0} ls {1} --filter label=devdb.instance --format '{0} {{{{.{2}}}}}'"
        kinds = (("container", "-a", "Names"), ("network", "", "Name"), ("volume", "", "Name"))
        return self.out("sh", "-c", "; ".join(one.format(*kind) for kind in kinds)).splitlines()

    def clear(self) -> None:
        """Remove it."""
        for each in sorted(self.left()):
            kind, name = each.split()
            self.run("docker", kind, "rm", "-f", name)

    def _processes(self) -> list[int]:
        """What runs there; containers are in network namespaces of their own."""
        found = _run("ip", "netns", "pids", self.name).split()
        for group in self._cgroups():
            for file in group.rglob("cgroup.procs"):
                with contextlib.suppress(OSError):  # it has just ended
                    found += file.read_text().split()
        return sorted({int(pid) for pid in found})

    def _cgroups(self) -> list[Path]:
        return [*_CGROUPS.glob(f"*/{self.name}"), *_CGROUPS.glob(self.name)]

    def off(self) -> None:
        """End all of it, containers too, and delete its disk."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self._processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            with contextlib.suppress(AssertionError):
                world.eventually(lambda: not self._processes(), "their end", timeout=10)
        for top in self._cgroups():
            for directory, _, _ in os.walk(top, topdown=False):
                Path(directory).rmdir()
        subprocess.run(["ip", "netns", "del", self.name], check=True)
        subprocess.run(["ip", "link", "del", self._link], capture_output=True)
        shutil.rmtree(self._data)
        shutil.rmtree(self.place)


def _name(octet: int) -> str:
    return f"devdb-far-{octet}"


def _free_octet() -> int:
    """The number of a box that is nobody else's: its network namespace is made."""
    for octet in range(1, 251):
        made = subprocess.run(["ip", "netns", "add", _name(octet)], capture_output=True, text=True)
        if made.returncode == 0:
            return octet
        assert "File exists" in made.stderr, made
    raise AssertionError("there are 250 boxes")


def _run(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done
    return done.stdout
