"""Which Docker engine is spoken to: where one may listen, which answers, which are refused."""

from __future__ import annotations

import functools
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devdb.engines.docker import ssh
from devdb.engines.docker.inside import JOINED, own_container
from devdb.errors import EngineUnavailable, NamedUnavailable, StartFailed

if TYPE_CHECKING:
    from docker import APIClient

_ANSWER_TIMEOUT = 3
"""Seconds an engine gets to say its version; a hung one must not hang devdb."""
_WORK_TIMEOUT = 60
_LISTEN_TIMEOUT = 5
_NO_SOCKET = "no such socket"

_ELSEWHERE = (
    "Use it by SSH (DOCKER_HOST=ssh://user@box), or an engine on this machine: unset DOCKER_HOST "
    "or run `docker context use default`, or use `--engine native`."
)
_FAR_SOCKETS = (
    "/var/run/docker.sock",
    "$XDG_RUNTIME_DIR/docker.sock",
    "$HOME/.docker/run/docker.sock",
    "$HOME/.orbstack/run/docker.sock",
    "$HOME/.colima/default/docker.sock",
    "$XDG_RUNTIME_DIR/podman/podman.sock",
    "/run/podman/podman.sock",
)
"""Where an engine may listen on another machine, by the variables of the shell there."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address an engine may listen at, and who says so."""

    source: str
    host: str


@dataclass(frozen=True)
class Connection:
    """An engine that answered."""

    client: APIClient = field(repr=False)
    host: str
    """Its address, as `Spec.host` has it."""
    url: str
    """Where it is reached from here: the same, or the near end of the line to it."""

    @property
    def line(self) -> ssh.Line | None:
        """What leads to it, where it is on another machine."""
        return ssh.Line(self.host) if self.is_far else None

    @property
    def is_cut_off(self) -> bool:
        """Whether the line to it has ended since."""
        return self.line is not None and not self.line.is_there()

    def listener(self) -> APIClient:
        """A client of its own for answers that may not begin for hours; it gives up after 5 s."""
        from docker import APIClient

        return APIClient(base_url=self.url, timeout=_LISTEN_TIMEOUT)

    @functools.cached_property
    def version(self) -> dict[str, Any]:
        """What the engine says of itself (`docker version`)."""
        version: dict[str, Any] = self.client.version()
        return version

    @property
    def is_podman(self) -> bool:
        """Whether it is Podman behind Docker's API."""
        components = self.version.get("Components") or []
        return any("podman" in str(component.get("Name", "")).lower() for component in components)

    @property
    def is_far(self) -> bool:
        """Whether it is an engine of another machine."""
        return ssh.is_far(self.host)

    def there(self, command: str) -> str:
        """That command of the engine's machine, as it is typed on this one."""
        return f"ssh -t {self.line.login} '{command}'" if self.line else command

    @functools.cached_property
    def container(self) -> dict[str, Any] | None:
        """The container of that engine that this process is in, inspected; None: in none."""
        return None if self.is_far else own_container(self.client)

    @property
    def joins(self) -> str | None:
        """The network mode of what is to be on our 127.0.0.1; None: there it can be published."""
        here = self.container
        if here is None or here["HostConfig"]["NetworkMode"] == "host":
            return None
        return f"{JOINED}{here['Id']}"

    @property
    def paths_are_ours(self) -> bool:
        """Whether what is there and labelled with a path of ours can only be of this machine.

        Many have the same path on other machines, or in other containers.
        """
        return not self.is_far and self.container is None

    @property
    def may_have_old_labels(self) -> bool:
        """Whether a devdb that had no id yet could have made what is labelled with our path."""
        return not self.is_far and self.joins is None

    @property
    def title(self) -> str:
        """Name and version, e.g. `Docker 28.2.2`."""
        return f"{'Podman' if self.is_podman else 'Docker'} {self.version.get('Version', '?')}"


def connect(pinned: str | None) -> Connection:
    """The engine at `pinned`, else the first one that answers; raises EngineUnavailable."""
    failures = []
    for candidate, answer in looks(pinned):
        if isinstance(answer, Connection):
            return answer
        failures.append(f"{_socket_path(candidate.host)} ({answer})")
    if pinned or len(failures) == 1:
        says, way_out = "", _how_to_start(failures[0])
        if candidate.source == "DOCKER_HOST":
            says, way_out = " that DOCKER_HOST names", way_out.replace("set DOCKER", "unset DOCKER")
        raise EngineUnavailable(f"The Docker engine{says} does not answer: {failures[0]}.", way_out)
    telling = [failure for failure in failures if _NO_SOCKET not in failure]
    what = f": {', '.join(telling)}" if telling else ""
    where = f"looked in {len(failures)} places, `devdb doctor` lists them"
    raise EngineUnavailable(f"No Docker engine answers{what}; {where}.", _how_to_start(what))


def looks(pinned: str | None) -> Iterator[tuple[Candidate, Connection | str]]:
    """Each candidate in order, with the engine there or the reason why there is none.

    Raises EngineUnavailable at one on another machine that is not reached by SSH: its 127.0.0.1 is
    not ours. None is looked for in place of one on another machine that does not answer.
    """
    for candidate in candidates(pinned):
        if ssh.is_far(candidate.host):
            yield candidate, _by_line(candidate.host)
            return
        _refuse_elsewhere(candidate)
        yield candidate, _connection_or_reason(candidate.host)


def candidates(pinned: str | None = None) -> list[Candidate]:
    """Where to look, best first. Who names an engine (`pinned`, DOCKER_HOST) means that one."""
    if pinned:
        return [Candidate("the instance", pinned)]
    if host := os.environ.get("DOCKER_HOST", "").strip():
        return [Candidate("DOCKER_HOST", _with_scheme(host))]
    found = [*_of_context(), *(Candidate(source, host) for source, host in _well_known())]
    return list({candidate.host: candidate for candidate in reversed(found)}.values())[::-1]


def _with_scheme(host: str) -> str:
    """The address as the SDK wants it, of a socket that was named by its path alone, say."""
    if host.startswith(("/", "~")):
        return f"unix://{os.path.expanduser(host)}"  # noqa: PTH111 - Path raises without a home
    return re.sub(r"^unix:/*", "unix:///", host)


def _of_context() -> list[Candidate]:
    from docker.context import ContextAPI
    from docker.errors import DockerException

    try:
        host = ContextAPI.kwargs_from_context().get("base_url")
    except (DockerException, OSError, ValueError, KeyError):
        return []  # a broken context file is the docker command's to complain about
    return [Candidate("the Docker context", host)] if host else []


def _well_known() -> Iterator[tuple[str, str]]:
    if sys.platform == "win32":
        yield "the default pipe", "npipe:////./pipe/docker_engine"
        return
    yield "the default socket", "unix:///var/run/docker.sock"
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    yield "rootless Docker", f"unix://{runtime}/docker.sock"
    home = Path("~").expanduser() if os.environ.get("HOME") else None
    if home is not None:
        yield "Docker Desktop", f"unix://{home}/.docker/run/docker.sock"
        yield "Docker Desktop", f"unix://{home}/.docker/desktop/docker.sock"
        yield "OrbStack", f"unix://{home}/.orbstack/run/docker.sock"
        yield "Colima", f"unix://{home}/.colima/default/docker.sock"
        yield "Rancher Desktop", f"unix://{home}/.rd/docker.sock"
    yield "rootless Podman", f"unix://{runtime}/podman/podman.sock"
    if home is not None and sys.platform == "darwin":
        machine = f"{home}/.local/share/containers/podman/machine/podman.sock"
        yield "the Podman machine", f"unix://{machine}"
    yield "Podman", "unix:///run/podman/podman.sock"


def _refuse_elsewhere(candidate: Candidate) -> None:
    if "://" not in candidate.host:
        raise EngineUnavailable(
            f"{candidate.source} is {candidate.host!r}, which is no address of a socket.",
            "Write it with its scheme, e.g. DOCKER_HOST=unix:///var/run/docker.sock, or unset it; "
            "or use `--engine native`.",
        )
    if not candidate.host.startswith(("unix://", "npipe://")):
        raise NamedUnavailable(
            f"The Docker engine at {candidate.host} (from {candidate.source}) "
            "is not on this machine's socket: its 127.0.0.1 may not be ours.",
            _ELSEWHERE,
        )


def _by_line(host: str) -> Connection:
    """The engine on that other machine; raises NamedUnavailable, with what ssh says."""
    line = ssh.Line(host)
    for is_last in (False, True):
        line.make(_FAR_SOCKETS)
        answer = _connection_or_reason(line.url)
        if isinstance(answer, Connection):
            return replace(answer, host=host)
        # One that was there may be dead by now, and not know it: the laptop slept.
        if is_last or not line.is_dead():
            break
    raise line.silence(str(answer))


def _connection_or_reason(url: str) -> Connection | str:
    if reason := _unreachable(url):
        return reason
    from docker import APIClient
    from docker.errors import DockerException

    try:
        # No API version: old engines have no new one, and Engine 29 refuses old ones.
        client = APIClient(base_url=url, timeout=_ANSWER_TIMEOUT)
    except DockerException:
        return f"does not answer within {_ANSWER_TIMEOUT} s, or not as Docker does"
    client.timeout = _WORK_TIMEOUT
    return Connection(client, host=url, url=url)


def _unreachable(host: str) -> str | None:
    """Why nobody can connect there, in the system's words; the SDK buries them."""
    if not host.startswith("unix://"):
        return None
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(_socket_path(host))
        except FileNotFoundError:
            return _NO_SOCKET
        except OSError as error:
            return error.strerror or str(error)
    return None


def _socket_path(host: str) -> str:
    return host.removeprefix("unix://")


def _how_to_start(reasons: str) -> str:
    if "Permission denied" in reasons:
        return (
            "Join its group with `sudo usermod -aG docker $USER` and log in again, "
            "or use `--engine native`."
        )
    start = {
        "darwin": "open -a Docker",
        "win32": "start Docker Desktop",
    }.get(sys.platform, "sudo systemctl start docker")
    return f"Start it (`{start}`), set DOCKER_HOST, or use `--engine native`."


@contextmanager
def speaking(host: str) -> Iterator[None]:
    """Turn what the SDK raises meanwhile into devdb's errors."""
    import requests
    from docker.errors import APIError, DockerException

    try:
        yield
    except APIError as error:
        said = explanation(error)
        hint = "`devdb doctor` looks at the engine; `devdb logs` shows what the servers said."
        if "container-init" in said:  # Podman's own, which some systems only recommend
            hint = "Install the package `catatonit` on the engine's machine, and try again."
        raise StartFailed(f"The Docker engine refused: {said}.", hint) from error
    except (requests.RequestException, DockerException) as error:
        if ssh.is_far(host):
            raise ssh.Line(host).silence("it stopped answering") from error
        raise EngineUnavailable(
            f"The Docker engine at {host} stopped answering.", _how_to_start("")
        ) from error


def explanation(error: Exception) -> str:
    """What the engine itself said of an APIError, on one line."""
    text = getattr(error, "explanation", None) or str(error)
    return " ".join(str(text).split()).rstrip(".")
