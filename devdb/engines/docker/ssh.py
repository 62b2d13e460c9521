"""The line to a Docker engine on another machine: OpenSSH, and a socket here that reaches its own.

The line is an ssh in the background, one for each address, found by its sockets in a directory that
is this user's alone. A minute after its last use it ends by itself. The ports of an instance come
here by another ssh, its forwarder's, which needs none of this to live on.

What is set up goes by a control socket, and never by ssh's own options: who has forwards of his own
for that machine in ~/.ssh/config means them for his logins, not for these.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from devdb import paths
from devdb.errors import NamedUnavailable
from devdb.model import HOST

SCHEME = "ssh://"
_ADDRESS = re.compile(r"(?:[^@:\s-][^@:\s]*@)?(?:\[[\w:.%]+\]|[^@:\s\[\]-][^@:\s\[\]]*)(?::\d+)?")
"""`user@box:port`; nothing that ssh would take for an option, and no password."""
_SSH = """\
-N -T -a -x -M -o BatchMode=yes -o ClearAllForwardings=yes -o RemoteCommand=none
-o PermitLocalCommand=no -o StreamLocalBindUnlink=yes -o StreamLocalBindMask=0177
-o ConnectTimeout=4 -o ServerAliveInterval=5 -o ServerAliveCountMax=3 -o LogLevel=INFO""".split()
"""Nothing is asked, nothing of a login is done there, and one that is cut off ends in 15 s."""
_LASTS = 60
"""Seconds that a line lasts after its last use."""
_BY_SOCKET = ("-F", "none", "-o", "ProxyCommand=false")
"""For what goes by the control socket: without it ssh is not to try by itself."""
_PATIENCE = 20
"""Seconds for ssh to get through, other machines on the way included."""
_ANSWER = 5
"""Seconds for an answer by a line that is there."""
_SIGN = 2
"""The same for a sign of life, where the engine gave none."""
_SOCKET_PATH = 60
"""Bytes that the directory's path may have, so that ssh's own names fit into it."""
_PROHIBITED = "administratively prohibited"

_FORWARD = f"""\
control=$1 to=$2; shift 2
ulimit -n "$(ulimit -Hn)" 2> /dev/null
rm -f "$control"
ssh {" ".join(_SSH)} -S "$control" -- "$to" &
while kill -0 $! 2> /dev/null; do
    if [ -S "$control" ]; then
        ssh {" ".join(_BY_SOCKET)} -S "$control" -O forward "$@" -- "$to" || kill $!
        break
    fi
    sleep 0.02
done
wait $!
"""
"""What the forwarder runs; each client takes a file of ssh's."""

_WHERE = """\
try() {
    if [ -S "$1" ] && [ -w "$1" ]; then echo "devdb: $1"; exit; fi
    if [ -S "$1" ]; then echo "devdb-denied: $1"; fi
}
"""
_ASK_DOCKER = """\
asked=$(docker context inspect --format '{{.Endpoints.docker.Host}}' 2> /dev/null)
try "${asked#unix://}"
XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """That to one engine; it may be there or not."""

    address: str
    """`ssh://user@box:port/path/of/docker.sock`; all but the box may be left out."""

    @property
    def url(self) -> str:
        """Where the engine is reached here, once `make` was called."""
        return f"unix://{self._file('sock')}"

    @property
    def box(self) -> str:
        """The machine: `user@box:port`."""
        return self._to.removeprefix(SCHEME)

    def make(self, sockets: Sequence[str]) -> None:
        """Have it there. `sockets`: where the engine's may be, as words of the shell there.

        Raises NamedUnavailable, with ssh's own words.
        """
        import filelock

        if self.is_there():
            return
        if shutil.which("ssh") is None:
            raise NamedUnavailable(
                f"There is no ssh here, and the Docker engine is at {self.address}.",
                "Install OpenSSH's client (`apt install openssh-client`), "
                "or use `--engine native`.",
            )
        try:
            with filelock.FileLock(self._file("lock"), timeout=2 * _PATIENCE, mode=0o600):
                if not self.is_there():
                    self._connect(sockets)
        except filelock.Timeout:
            raise self._unavailable("another devdb is busy with it") from None

    def is_dead(self) -> bool:
        """Whether nothing comes by it any more; then it was ended, and can be made anew."""
        if self._by_socket(command="true", timeout=_SIGN)[0]:
            return False
        self._end()
        return True

    def silence(self, answer: str) -> NamedUnavailable:
        """The error for an engine that did not answer by it: `answer`, unless ssh knows better."""
        return self._unavailable(self._said() or answer)

    def forwarding(self, instance: str, far: Mapping[int, int]) -> list[str]:
        """The command that brings ports here as long as it runs: `far`, by the number here."""
        control = self._file("ctl", f"{paths.instance_dir(instance)}")
        each = [f"-L{HOST}:{here}:{HOST}:{there}" for here, there in far.items()]
        return ["/bin/sh", "-c", _FORWARD, "ssh", str(control), self._to, *each]

    @property
    def _to(self) -> str:
        return SCHEME + self._parts()[0]

    @property
    def login(self) -> str:
        """The machine, as ssh and its company take it: ssh-copy-id knows no `ssh://`."""
        plain = re.sub(r"[\[\]]", "", re.sub(r":\d+$", "", self.box))
        port = re.search(r":(\d+)$", self.box)
        return f"-p {port[1]} {plain}" if port else plain

    def _parts(self) -> tuple[str, str]:
        """The machine, and the path of the socket there or nothing."""
        machine, slash, path = self.address.removeprefix(SCHEME).partition("/")
        if not _ADDRESS.fullmatch(machine):
            raise NamedUnavailable(
                f"{self.address} names no machine that ssh can log in to.",
                "Write it as ssh://user@box, ssh://user@box:port or ssh://box/path/of/docker.sock.",
            )
        return machine, slash + path if path else ""

    def _file(self, kind: str, of: str = "") -> Path:
        name = hashlib.sha256(f"{self.address} {of}".encode()).hexdigest()[:12]
        return _directory() / f"{name}.{kind}"

    def is_there(self) -> bool:
        """Whether somebody takes what is sent by it; that it arrives is not said."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            return probe.connect_ex(str(self._file("sock"))) == 0

    def _connect(self, sockets: Sequence[str]) -> None:
        self._end()
        try:
            self._log_in()
            self._reach(self._socket_there(sockets))
        except BaseException:
            self._end()
            raise

    def _log_in(self) -> None:
        log = self._file("log")
        log.unlink(missing_ok=True)
        lasts = f"ControlPersist={_LASTS}"
        argv = [*_SSH, "-f", "-o", lasts, "-E", str(log), "-S", str(self._file("ctl"))]
        is_through, said = _ssh([*argv, "--", self._to], _PATIENCE)
        if not is_through:
            raise self._unavailable(self._said() or _last(said))

    def _socket_there(self, sockets: Sequence[str]) -> str:
        """The path of the engine's socket there; also finds out whether ports may be forwarded."""
        path = self._parts()[1]
        quoted = "'" + path.replace("'", "'\\''") + "'"
        tries = f"try {quoted}\n" if path else "".join(f'try "{each}"\n' for each in sockets)
        script = _WHERE + ("" if path else _ASK_DOCKER) + tries
        is_through, said = self._by_socket(command="sh", script=script)
        found = re.search(r"^devdb: (.+)$", said, re.MULTILINE)
        denied = re.search(r"^devdb-denied: (.+)$", said, re.MULTILINE)
        if found is None:
            why = f"there is no socket {path} there".replace("  ", " of a Docker engine ")
            if denied is not None:
                why = f"who logs in there may not open {denied[1]}"
            elif not is_through:
                why = self._said() or _last(said)
            raise self._unavailable(why)
        # To a port that nobody listens at: refused is well, prohibited is not.
        self._by_socket("-W", f"{HOST}:1")
        if _PROHIBITED in self._said():
            raise self._unavailable(self._said())
        return found[1]

    def _reach(self, there: str) -> None:
        here = self._file("sock")
        is_done, said = self._by_socket("-O", "forward", "-L", f"{here}:{there}")
        if not is_done:
            raise self._unavailable(self._said() or _last(said))

    def _by_socket(
        self, *options: str, command: str = "", script: str = "", timeout: float = _ANSWER
    ) -> tuple[bool, str]:
        """Whether that went well by the control socket, and what was said.

        `script` is what the command there is given to read.
        """
        argv = [*_BY_SOCKET, "-S", str(self._file("ctl")), "-T", *options, "--", self._to]
        return _ssh([*argv, *filter(None, [command])], timeout, script)

    def _end(self) -> None:
        control = self._file("ctl")
        if control.exists():
            self._by_socket("-O", "exit")
        for file in (control, self._file("sock")):
            file.unlink(missing_ok=True)

    def _said(self) -> str:
        """The line's last words."""
        with suppress(OSError):
            return _last(self._file("log").read_text(errors="replace"))
        return ""

    def _unavailable(self, why: str) -> NamedUnavailable:
        return NamedUnavailable(
            f"The Docker engine at {self.address} cannot be reached: {why}.", self._way_out(why)
        )

    def _way_out(self, why: str) -> str:
        box = self.login
        if "ost key" in why:
            return f"Log in once by hand, and look at the key that it shows: ssh {box}"
        if _PROHIBITED in why:
            return (
                "Its sshd has to allow them: AllowTcpForwarding and AllowStreamLocalForwarding, "
                "and no `restrict` before the key."
            )
        if "may not open" in why:
            return f"Join its group: ssh -t {box} 'sudo usermod -aG docker $USER'"
        if "Permission denied" in why:
            return (
                f"`ssh {box}` has to work without a question: ssh-copy-id {box}, "
                "or ssh-add for a key with a passphrase."
            )
        if "socket" in why or "open failed" in why:
            return (
                f"Start Docker there (does `ssh {box} docker version` work?), or say where its "
                f"socket is: DOCKER_HOST={self._to}/path/of/docker.sock; its sshd has to allow "
                "AllowStreamLocalForwarding."
            )
        return f"See whether `ssh {box}` gets through; a new instance can be `--engine native`."


def is_far(host: str | None) -> bool:
    """Whether that address is one of an engine on another machine."""
    return host is not None and host.startswith(SCHEME)


def _directory() -> Path:
    """This user's own directory for sockets; made where it is not there. Raises NamedUnavailable.

    Short, and in memory where the system has such a place.
    """
    refused = ""
    for parent in filter(None, (os.environ.get("XDG_RUNTIME_DIR"), "/tmp")):  # noqa: S108
        place = Path(parent) / f"devdb-{os.getuid()}"
        if len(os.fsencode(place)) > _SOCKET_PATH:
            continue
        try:
            place.mkdir(mode=0o700, exist_ok=True)
            status = place.lstat()
        except OSError as error:
            refused = f"{place}: {error.strerror}"
            continue
        # In /tmp another may have been there first.
        is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        if is_ours and stat.S_IMODE(status.st_mode) == 0o700:
            return place
        refused = f"{place} is not a directory of yours alone (mode 0700)"
    raise NamedUnavailable(
        f"There is no place for the sockets that ssh needs: {refused}.",
        "Remove that, or set XDG_RUNTIME_DIR to a directory of yours with a short path.",
    )


def _ssh(arguments: Sequence[str], timeout: float, script: str = "") -> tuple[bool, str]:
    """Whether ssh ended well, and what it and its helpers said.

    To a file: one that stays in the background would keep a pipe open.
    """
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                ["ssh", *arguments],
                input=script.encode(),
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            )
            is_well, more = done.returncode == 0, ""
        except subprocess.TimeoutExpired:
            is_well, more = False, f"\nno answer within {timeout:g} s"
        except OSError as error:
            is_well, more = False, f"\n{error.strerror}"
        output.seek(0)
        return is_well, output.read().decode(errors="replace") + more


def _last(text: str) -> str:
    lines = dict.fromkeys(line.strip().rstrip(".") for line in text.splitlines() if line.strip())
    return "; ".join([*lines][-2:])
