"""What an instance has in the world, asked without devdb's own code: for before and after."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import kube
import psutil
import pytest

from devdb.engines import Engine
from devdb.model import PartState, Server, Spec

T = TypeVar("T")
NewSpec = Callable[..., Spec]
"""The fixture `new_spec`: makes a Spec for an engine, with changes to it by keyword."""
Starts = Callable[[Spec], Server]
"""The fixture `start`: starts a Spec to the end."""
Elsewhere = Callable[[Path], AbstractContextManager[Spec]]
"""The fixture `elsewhere`: an instance in that data directory while a block lasts."""


LATE = 0.9
"""Seconds between two signs of life that are promised each 0.3: a loaded machine takes longer."""
NEEDED = 4 << 30
"""Bytes that the instances of all workers together may take."""


@functools.cache
def memory() -> Path | None:
    """A file system in memory for data that no test takes from a power cut, where there is one.

    Most of what a native instance costs on a disk is deleting its thousand files.
    """
    place = Path("/dev/shm")
    if not place.is_dir():
        return None
    facts = os.statvfs(place)
    enough = facts.f_bavail * facts.f_frsize >= NEEDED
    return place if enough and not facts.f_flag & os.ST_NOEXEC else None


def new_directory(purpose: str) -> Path:
    """A new directory: short, and passable for the user that root's servers get."""
    directory = Path(tempfile.mkdtemp(prefix=f"devdb-{purpose}-", dir=memory()))
    directory.chmod(0o755)
    return directory


def gaps(stream: Iterable[object]) -> list[float]:
    """The seconds before each of what comes."""
    times = [time.monotonic(), *(time.monotonic() for _ in stream)]
    return [after - before for before, after in pairwise(times)]


def eventually(condition: Callable[[], Any], what: str, *, timeout: float = 20) -> Any:
    """The first true value of `condition`; fails past `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        time.sleep(0.02)
    return value


@contextmanager
def inheriting(number: int, handler: signal.Handlers) -> Iterator[None]:
    """Processes that are started meanwhile begin with that disposition of the signal.

    nohup, and a shell that runs the suite in the background, leave others.
    """
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def traces(name: str, home: Path, *, engine: str | None = None) -> list[str]:
    """Everything that exists of the instance: processes, files, objects in Docker or Kubernetes.

    Where it is said which engine was ever asked, that saves the half second of another.
    """
    found = list(docker_objects(name)) if engine in ("docker", None) else []
    if engine in ("kubernetes", None):
        found += [(kind, {"Name": item["metadata"]["name"]}) for kind, item in kube.objects(name)]
    return [
        *(f"process {p.pid} {p.name()}" for p in processes(name, home)),
        *(f"{kind} {item['Name']}" for kind, item in found),
        *(str(path) for path in (home / "instances").glob(f"{name}/**/*")),
    ]


def processes(name: str, home: Path) -> list[psutil.Process]:
    """The processes that run in, or were started with, a path of the instance's directory; a
    gateway too, detached or in the foreground.

    Children that rewrite their title and environment (Postgres backends) are known by their
    working directory. This process and its ancestors are never meant.
    """
    directory = str(home / "instances" / name)
    mine = {os.getpid(), *(p.pid for p in psutil.Process().parents())}
    others = [process for process in psutil.process_iter() if process.pid not in mine]
    return [each for each in others if _belongs(each, directory) or _serves(each, home)]


def _belongs(process: psutil.Process, directory: str) -> bool:
    try:
        words = process.cmdline()
        # Root in a container sees of other users' processes no more than that.
        with suppress(psutil.AccessDenied):
            words += [process.cwd(), *process.environ().values()]
    except psutil.Error:
        return False
    return any(directory in word for word in words)


def _serves(process: psutil.Process, home: Path) -> bool:
    """Whether it is a `devdb http` in that data directory: its words may name no instance."""
    try:
        words = [Path(word).name for word in process.cmdline()]
        is_it = "devdb" in words and "http" in words
        return is_it and process.environ().get("DEVDB_DATA_DIR") == str(home)
    except psutil.Error:
        return False


def has_ended(process: psutil.Process) -> bool:
    """Whether it runs no more; where nobody reaps orphans (PID 1 of some containers) a zombie."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def disk(options: str) -> Iterator[Path]:
    """A file system of its own, of memory; where none can be mounted the test is skipped."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = Path(tempfile.mkdtemp(prefix="devdb-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"mode=0755,{options}", "devdb-test", str(place)]
    result = subprocess.run(mount, capture_output=True, text=True)
    try:
        if result.returncode != 0:
            pytest.skip(f"no tmpfs can be mounted here: {result.stderr.splitlines()[0]}")
        yield place
        subprocess.run(["umount", place], check=True)
    finally:
        place.rmdir()


def fill(directory: Path) -> Path:
    """Leave no byte free on that file system; returns the file to delete."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096) == 4096:
                pass
        except OSError:
            return filler
    return filler


def mentioning(path: Path) -> list[psutil.Process]:
    """The processes that were started with something below that path as an argument."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if any(str(path) in word for word in process.cmdline()):
                found.append(process)
    return found


@functools.cache
def docker_command() -> str | None:
    """The docker command if an engine answers it: where none does, nobody made anything in it."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "version"], capture_output=True).returncode:
        return None
    return docker


def docker_objects(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and `docker inspect` of every Docker object whose name or labels have the name."""
    if (docker := docker_command()) is None:
        return
    for kind in ("container", "volume", "network"):
        listing = [docker, kind, "ls", "--format", "{{json .}}"]
        listing += ["-a"] if kind == "container" else []
        listed_as_text = subprocess.run(listing, stdout=subprocess.PIPE, text=True, check=True)
        lines = listed_as_text.stdout.splitlines()
        listed = [json.loads(line) for line in lines if name in line]
        ids = [item.get("ID") or item["Name"] for item in listed]
        for item in _inspect(docker, kind, ids):
            yield kind, item


def _inspect(docker: str, kind: str, ids: list[str]) -> list[dict[str, Any]]:
    # Another test's object may vanish between the listing and this; the rest is still printed.
    if not ids:
        return []
    command = [docker, kind, "inspect", *ids]
    text = subprocess.run(command, capture_output=True, text=True).stdout or "[]"
    items: list[dict[str, Any]] = json.loads(text)
    return items


def container(name: str, part: str) -> str:
    """The id of the instance's container for that part."""
    found = [
        item["Id"]
        for kind, item in docker_objects(name)
        if kind == "container"
        and (part in item["Config"]["Labels"].values() or item["Name"].endswith(part))
    ]
    assert len(found) == 1, f"{len(found)} containers are the {part} of {name}"
    return str(found[0])


def objects(engine: Engine, name: str) -> list[dict[str, Any]]:
    """What its engine shows to who may look at its objects; a Secret is what it says."""
    if engine.name == "kubernetes":
        return [item for kind, item in kube.objects(name) if kind != "secret"]
    return [item for _, item in docker_objects(name)] if engine.name == "docker" else []


def inside(engine: Engine, name: str, part: str) -> list[str]:
    """What to put before a command that runs where that part does."""
    if engine.name == "kubernetes":
        return kube.exec_argv(name, part)
    return ["docker", "exec", container(name, part)] if engine.name == "docker" else []


def crash(name: str, home: Path) -> None:
    """Kill every process of the instance at once, as a power cut does."""

    def kill_all() -> bool:
        left = processes(name, home)
        for process in left:  # the supervisor may start one again before its own turn comes
            with suppress(psutil.NoSuchProcess):
                process.kill()
        return not left

    eventually(kill_all, "all of them dead")


def kill(engine: Engine, spec: Spec, part: str) -> None:
    """SIGKILL one server of the instance, from outside."""
    if engine.name == "kubernetes":
        kube.kill(spec.name, part)
        return
    if engine.name == "docker":
        command = ["docker", "kill", container(spec.name, part)]
        subprocess.run(command, check=True, capture_output=True)
        return
    server = engine.find(spec.name)
    assert server is not None
    detail = server.part(part).detail
    assert detail.startswith("pid "), detail
    process = psutil.Process(int(detail.split()[1]))
    process.send_signal(signal.SIGKILL)


def kill_for_good(engine: Engine, spec: Spec, part: str) -> Server:
    """The same, and nobody but a kubelet starts it again; the instance as it is found then.

    A kubelet does so some seconds later: what else is to be seen meanwhile, `kill_until` waits for.
    """

    def found_dead() -> Server | None:
        server = engine.find(spec.name)
        return server if server and server.part(part).state == PartState.DEAD else None

    return kill_until(engine, spec, part, found_dead, f"{part} found dead")


def kill_until(engine: Engine, spec: Spec, part: str, seen: Callable[[], T | None], what: str) -> T:
    """Kill it, and again as often as a kubelet starts it again, till what is looked for is seen."""
    if engine.name == "native":
        kill(engine, spec, "supervisor")
    if engine.name != "kubernetes":
        kill(engine, spec, part)

    def dead_and_seen() -> T | None:
        if engine.name == "kubernetes" and not kube.is_given_up(spec.name, part):
            return None
        return seen()

    value: T = eventually(dead_and_seen, what, timeout=60)
    return value


def listening(port: int) -> bool:
    """Whether somebody accepts connections on that port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def lose_data(engine: Engine, spec: Spec, home: Path) -> None:
    """Remove the data of a stopped instance as somebody does who tidies up: all beside its marker,
    or its containers and volumes."""
    if engine.name == "kubernetes":
        kube.lose(spec.name)
        return
    if engine.name != "docker":
        for path in (home / "instances" / spec.name).iterdir():
            if path.name != "marker.json":
                remove(path)
        return
    lose_containers(spec.name)
    volumes = [item["Name"] for kind, item in docker_objects(spec.name) if kind == "volume"]
    subprocess.run(["docker", "volume", "rm", *volumes], check=True, capture_output=True)


def remove(path: Path) -> None:
    """Remove a file, or a directory with all that is in it."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def silent_socket(place: Path) -> Iterator[Path]:
    """A Unix socket where somebody listens and never says a word."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()
        yield place


def lose_containers(name: str) -> None:
    """Remove the instance's containers, running or not."""
    found = [item["Id"] for kind, item in docker_objects(name) if kind == "container"]
    subprocess.run(["docker", "rm", "-f", *found], check=True, capture_output=True)


def templates(word: str) -> list[tuple[str, dict[str, Any]]]:
    """The volumes with prepared data, and the containers that make some, that are labelled with
    that word: the id of an image, or a path in the cache."""
    if (docker := docker_command()) is None:
        return []
    found = []
    for kind in ("container", "volume"):
        listing = [docker, kind, "ls", "-q", "--filter", "label=devdb.template"]
        listing += ["-a"] if kind == "container" else []
        run = subprocess.run(listing, stdout=subprocess.PIPE, text=True, check=True)
        for item in _inspect(docker, kind, run.stdout.split()):
            labels = item.get("Labels") or item["Config"]["Labels"]
            if any(word in value for value in labels.values()):
                found.append((kind, item))
    return found


def lose_templates(word: str) -> None:
    """Remove them, though they may be in the making; once no instance has them any more."""

    def lost() -> bool:
        # Again and again: of a container that is just going by itself the engine says so at once,
        # and keeps its volume until it is gone.
        for kind, item in templates(word):
            name = item.get("Id") or item["Name"]
            subprocess.run(["docker", kind, "rm", "-f", name], capture_output=True)
        return not templates(word)

    eventually(lost, f"no template of {word}")
