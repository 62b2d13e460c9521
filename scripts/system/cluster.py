"""A Kubernetes for the tests: its servers and two nodes, in namespaces of this machine.

The network namespace has a name, by which all of it is found; the first process in the namespace
of processes takes all others with it, containers too. What they write is in memory, and goes with
the namespace of mounts. Outside are logs, the engines' sockets and the configuration of kubectl.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from system import base, debian, kubernetes
from system.shell import CACHE, CommandFailed, run, say, succeeds

NAME = "devdb-test"
"""Of the network namespace, and of the control group that its containers are in."""
NAMESPACE = "devdb-test"
"""What kubectl is in by default."""
LIMITED = "limited"
"""The context, and the user, who may nothing that no test allows."""
DIRECTORY = CACHE / "cluster"
KUBECONFIG = DIRECTORY / "kubeconfig"
LINKS = ("devdbtest0", "devdbtest1")
"""The ends of the cable to this machine, here and there."""
HERE = "10.98.8.1"
SERVER = "https://10.98.8.2:6443"
GROUPS = Path("/sys/fs/cgroup")
PAUSE = "devdb-test/pause:1"
PACKAGES = ("socat", "openssl", "iproute2")
PATIENCE = 90.0
"""Seconds for each of its servers to answer."""
MEMORY = 4 << 30
"""Bytes that have to be there for it: the images on each node, data, and the servers."""


@dataclass(frozen=True)
class Node:
    name: str
    address: str
    pods: str
    """What its Docker engine gives to its bridge."""

    @property
    def socket(self) -> Path:
        """Of its Docker engine."""
        return DIRECTORY / f"{self.name}.sock"

    def docker(self, *argv: str) -> list[str]:
        """The command, asked of its Docker engine."""
        return ["docker", "--host", f"unix://{self.socket}", *argv]


NODES = (
    Node("node1", "10.98.8.2", "10.97.8.1/24"),
    Node("node2", "10.98.8.3", "10.97.9.1/24"),
)

INIT = """
mount -t tmpfs -o mode=0755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount --make-shared /run
mkdir /run/etcd
echo > "$1"
while :; do sleep 3600; done
"""
"""The first process: it buries what is orphaned in there."""

KUBELET = """
mount -t tmpfs tmpfs /var/log
exec kubelet "$@"
"""
"""A kubelet removes logs of pods that it does not know from a place that nobody can name."""

RUNC = """#!/bin/sh
# Root without CAP_SYS_RESOURCE can lower nobody's score, and Kubernetes wants pods to have less.
for word; do
    if [ "$before" = --bundle ]; then
        sed -i -E 's/"oomScoreAdj":-[0-9]+/"oomScoreAdj":0/' "$word/config.json"
    fi
    before=$word
done
exec runc "$@"
"""


def why_not() -> str | None:
    """Why none can run here; None when it can be tried."""
    if not debian.here() or debian.as_root() != []:
        return "it takes Debian and root"
    free = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    if int(free["MemAvailable"].split()[0]) << 10 < MEMORY:
        return f"it takes {MEMORY >> 30} GB of free memory"
    return None


def ensure(images: Sequence[str]) -> None:
    """Have it run, with these images on its nodes. Raises CommandFailed."""
    if answers():
        load(images)
        return
    if reason := why_not():
        raise CommandFailed(f"no Kubernetes runs here: {reason}")
    down()
    say(f"Starting Kubernetes; its logs are in {DIRECTORY}")
    started = time.monotonic()
    try:
        _up(images)
    except BaseException:
        down()
        raise
    say(f"Kubernetes: up in {time.monotonic() - started:.0f} s; it stays when the tests are over")


def answers() -> bool:
    """Whether it runs, made by the program as it is now."""
    if not _pids() or not KUBECONFIG.exists() or _recipe_file().read_text() != _recipe():
        return False
    return succeeds(*kubectl("get", "--raw", "/readyz"), timeout=10) and _ready_nodes() == len(
        NODES
    )


def down() -> None:
    """End it, and leave only its logs; no error where there is none. Raises CommandFailed."""

    def none_left() -> bool:
        for pid in _pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not _pids()

    wait(none_left, "the end of its processes")
    succeeds("ip", "link", "delete", LINKS[0])
    succeeds("ip", "netns", "delete", NAME)
    groups = [each for form in ("{}", "*/{}") for each in GROUPS.glob(form.format(NAME))]
    wait(lambda: all(map(_remove_group, groups)), "the end of its control groups")
    if DIRECTORY.exists():
        for file in set(DIRECTORY.iterdir()) - set(DIRECTORY.glob("*.log")):
            file.unlink()


def kubectl(*argv: str, context: str = "test") -> list[str]:
    """The command, as this cluster's administrator."""
    known = (f"--kubeconfig={KUBECONFIG}", f"--context={context}")
    return [str(kubernetes.BIN / "kubectl"), *known, *argv]


def load(images: Sequence[str]) -> None:
    """Have the images of this machine on each node. Raises CommandFailed."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda node: _load(node, images), NODES))


def start(program: str, *argv: str, umask: int = 0o022, log: str | None = None) -> None:
    """Start a program in there, for as long as it all lives; its log is beside the sockets."""
    with (DIRECTORY / f"{log or program}.log").open("ab") as output:
        subprocess.Popen(
            [*entered(), program, *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            umask=umask,
            env={**os.environ, "PATH": f"{kubernetes.BIN}:{os.environ['PATH']}"},
            start_new_session=True,  # Ctrl-C in the tests is not meant for it
        )


def entered() -> list[str]:
    """What to put before a command that runs in there."""
    (first,) = [pid for pid in _pids() if _number_inside(pid) == 1]
    return ["nsenter", f"--target={first}", "--mount", "--pid", "--net"]


def processes(program: str) -> list[int]:
    """The pids, as seen from here, of its processes of that name."""
    return [pid for pid in _pids() if _comm(pid) == program[:15]]


def start_api_server() -> None:
    """Returns when it answers. Raises CommandFailed."""
    start(
        "kube-apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--advertise-address={NODES[0].address}",
        "--secure-port=6443",
        "--cert-dir=/run/certificates",
        f"--service-account-key-file={DIRECTORY}/accounts.key",
        f"--service-account-signing-key-file={DIRECTORY}/accounts.key",
        "--service-account-issuer=https://devdb-test",
        f"--token-auth-file={DIRECTORY}/tokens.csv",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP",
    )
    wait(lambda: succeeds(*kubectl("get", "--raw", "/readyz"), timeout=10), "its API server")


def wait(condition: Callable[[], Any], what: str) -> None:
    """Wait until it holds. Raises CommandFailed where it does not in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise CommandFailed(
                f"Kubernetes: not within {PATIENCE:.0f} s: {what}; see {DIRECTORY}/*.log"
            )
        time.sleep(0.2)


def _up(images: Sequence[str]) -> None:
    debian.install(*PACKAGES)
    _make_files()
    _make_network()
    _make_namespaces()
    for node in NODES:
        _start_docker(node)
    etcd = "http://127.0.0.1:2379"
    here = (f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}")
    start("etcd", "--data-dir=/run/etcd", *here, "--listen-peer-urls=http://127.0.0.1:2380")
    with ThreadPoolExecutor() as pool:
        loading = pool.submit(load, images)
        start_api_server()
        known = (f"--kubeconfig={KUBECONFIG}", "--leader-elect=false")
        start("kube-scheduler", *known)
        start(
            "kube-controller-manager",
            *known,
            f"--service-account-private-key-file={DIRECTORY}/accounts.key",
            "--enable-hostpath-provisioner",
            umask=0,  # for the directories that it makes
        )
        file = DIRECTORY / "objects.json"
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": _objects()}))
        run(*kubectl("apply", "-f", str(file)))
        loading.result()
    for node in NODES:
        _start_kubelet(node)
    wait(lambda: _ready_nodes() == len(NODES), "its nodes are ready")
    account = kubectl("get", "serviceaccount", "default")
    wait(lambda: succeeds(*account), f"the namespace {NAMESPACE} is ready")


def _make_files() -> None:
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    DIRECTORY.chmod(0o700)
    for log in DIRECTORY.glob("*.log"):
        log.unlink()
    runc = DIRECTORY / "runc"
    runc.write_text(RUNC)
    runc.chmod(0o755)
    run("openssl", "genrsa", "-out", DIRECTORY / "accounts.key", "2048")
    tokens = {name: secrets.token_hex(16) for name in ("admin", LIMITED)}
    groups = {"admin": "system:masters", LIMITED: ""}
    rows = [f'{tokens[name]},{name},{name},"{groups[name]}"\n' for name in tokens]
    (DIRECTORY / "tokens.csv").write_text("".join(rows))
    contexts = {"test": "admin", LIMITED: LIMITED}
    address = {"server": SERVER, "insecure-skip-tls-verify": True}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": address}],
        "users": [{"name": name, "user": {"token": token}} for name, token in tokens.items()],
        "contexts": [
            {"name": name, "context": {"cluster": "test", "user": user, "namespace": NAMESPACE}}
            for name, user in contexts.items()
        ],
    }
    KUBECONFIG.write_text(json.dumps(config))
    for node in NODES:
        settings = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": node.address,
            "healthzPort": 0,
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "cgroupDriver": "cgroupfs",
            # Two kubelets that look after groups end what they find in each other's.
            "cgroupsPerQOS": False,
            "enforceNodeAllocatable": [],
            "nodeStatusUpdateFrequency": "2s",  # only then it looks whether it is ready
            "failSwapOn": False,
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "1Mi"},
        }
        (DIRECTORY / f"{node.name}.json").write_text(json.dumps(settings))
    _recipe_file().write_text(_recipe())


def _make_network() -> None:
    here, there = LINKS
    run("ip", "netns", "add", NAME)
    run("ip", "link", "add", here, "type", "veth", "peer", "name", there, "netns", NAME)
    run("ip", "address", "add", f"{HERE}/29", "dev", here)
    run("ip", "link", "set", here, "up")
    for node in NODES:
        run("ip", "-n", NAME, "address", "add", f"{node.address}/29", "dev", there)
        run("ip", "-n", NAME, "link", "add", node.name, "type", "bridge")
        run("ip", "-n", NAME, "address", "add", node.pods, "dev", node.name)
    for link in ("lo", there):
        run("ip", "-n", NAME, "link", "set", link, "up")


def _make_namespaces() -> None:
    ready = DIRECTORY / "ready"
    ready.unlink(missing_ok=True)
    new = ("unshare", "--mount", "--pid", "--fork", "--mount-proc")
    with (DIRECTORY / "init.log").open("wb") as output:
        subprocess.Popen(
            # `ip netns exec` would hide the control groups.
            ["nsenter", f"--net=/run/netns/{NAME}", *new, "sh", "-ec", INIT, "init", str(ready)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    wait(ready.exists, "its namespaces")


def _start_docker(node: Node) -> None:
    start(
        "dockerd",
        f"--host=unix://{node.socket}",
        *(f"--data-root=/run/{node.name}/data", f"--exec-root=/run/{node.name}/exec"),
        f"--pidfile=/run/{node.name}.pid",
        *(f"--add-runtime=kubernetes={DIRECTORY}/runc", "--default-runtime=kubernetes"),
        *(f"--bridge={node.name}", "--iptables=false", "--ip-forward=false"),
        f"--cgroup-parent=/{NAME}",
        log=f"{node.name}-docker",
    )


def _start_kubelet(node: Node) -> None:
    place = f"/run/{node.name}"
    start(
        # What it mounts for a pod is to be seen by its Docker engine.
        *("unshare", "--mount", "--propagation=unchanged", "sh", "-ec", KUBELET, "kubelet"),
        f"--kubeconfig={KUBECONFIG}",
        f"--config={DIRECTORY}/{node.name}.json",
        f"--root-dir={place}/kubelet",
        f"--cert-dir={place}/certificates",
        f"--volume-plugin-dir={place}/plugins",
        f"--experimental-dockershim-root-directory={place}/dockershim",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
        "--container-runtime=docker",
        f"--docker-endpoint=unix://{node.socket}",
        # One of its own: of two with the same one, each would talk to the engine of the last.
        f"--container-runtime-endpoint=unix://{place}/dockershim.sock",
        f"--pod-infra-container-image={PAUSE}",
        log=f"{node.name}-kubelet",
    )


def _objects() -> list[dict[str, Any]]:
    """What is in it from the start: the namespace, and a storage class that makes directories."""
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "directory", "annotations": default},
            "provisioner": "kubernetes.io/host-path",
            # Else a pod may come before its volume, to be looked at again up to a minute later.
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    ]


def _load(node: Node, images: Sequence[str]) -> None:
    wait(lambda: succeeds(*node.docker("version")), f"the Docker engine of {node.name}")
    if not succeeds(*node.docker("image", "inspect", PAUSE)):
        with base.scratch() as directory:
            archive = directory / "pause.tar"
            run("tar", "-C", kubernetes.BIN, "-cf", archive, "pause")
            entry = ("--change", 'ENTRYPOINT ["/pause"]')
            run(*node.docker("import", *entry, str(archive), PAUSE))
    form = ("image", "inspect", "--format", "{{.Id}}")
    missing = [
        each
        for each in images
        if not succeeds(*node.docker(*form, each))
        or run(*node.docker(*form, each)) != run("docker", *form, each)
    ]
    if missing:
        say(f"{node.name}: loading {' '.join(missing)}")
        with subprocess.Popen(["docker", "save", *missing], stdout=subprocess.PIPE) as saving:
            loading = subprocess.run(
                node.docker("load", "--quiet"), stdin=saving.stdout, capture_output=True, text=True
            )
        if saving.returncode or loading.returncode:
            raise CommandFailed(f"{node.name}: {' '.join(missing)}: {loading.stderr.strip()}")


def _ready_nodes() -> int:
    form = '{range .items[*]}{.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}'
    return run(*kubectl("get", "nodes", "-o", f"jsonpath={form}")).split().count("True")


def _pids() -> list[int]:
    if not Path(f"/run/netns/{NAME}").exists():
        return []
    return [int(pid) for pid in run("ip", "netns", "pids", NAME).split()]


def _number_inside(pid: int) -> int:
    """Its pid in the innermost namespace; 0 when it is gone, or in none but this machine's."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:") and len(numbers := line.split()[1:]) > 1:
                return int(numbers[-1])
    return 0


def _comm(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _remove_group(group: Path) -> bool:
    for each in sorted(group.glob("**/"), reverse=True):
        with contextlib.suppress(OSError):
            each.rmdir()
    return not group.exists()


def _recipe() -> str:
    return base.digest(Path(__file__).read_text(), str(kubernetes.PLACE))


def _recipe_file() -> Path:
    return DIRECTORY / "recipe"
