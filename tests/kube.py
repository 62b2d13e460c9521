"""The Kubernetes of the tests, asked and steered without devdb's own code."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from system import cluster, kubernetes
from system.cluster import NODES, Node

KINDS = "statefulsets,pods,secrets,persistentvolumeclaims"
"""What an instance is made of there."""
HOW = "scripts/test --kubernetes"
CONFIG = "DEVDB_TEST_KUBECONFIG"


def is_there() -> bool:
    """Whether this run is to test it: scripts/get-kubernetes said where."""
    return CONFIG in os.environ


def use() -> None:
    """Have devdb and kubectl find it, as a user's environment does; no-op where there is none."""
    if not is_there():
        return
    os.environ["KUBECONFIG"] = os.environ[CONFIG]
    if shutil.which("kubectl") is None:
        os.environ["PATH"] += f":{kubernetes.BIN}"


@contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """While it lasts nobody changes the cluster itself, in any worker; `alone`: one may.

    Who wants it alone goes before those who come later.
    """
    places = (cluster.DIRECTORY / "queue", cluster.DIRECTORY / "turn")
    with places[0].open("w") as queue, places[1].open("w") as mine:
        fcntl.flock(queue, fcntl.LOCK_EX)
        fcntl.flock(mine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(queue, fcntl.LOCK_UN)
        yield


def kubectl(*argv: str, given: str | None = None, check: bool = True) -> str:
    """What the command says on stdout, as the cluster's administrator."""
    done = subprocess.run(cluster.kubectl(*argv), input=given, capture_output=True, text=True)
    assert not check or done.returncode == 0, f"kubectl {' '.join(argv)}: {done.stderr}"
    return done.stdout


def apply(*items: dict[str, Any], namespace: str = cluster.NAMESPACE) -> None:
    """Make these objects, or make them so."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    kubectl("apply", "-n", namespace, "-f", "-", given=text)


def objects(
    name: str, *, namespace: str = cluster.NAMESPACE
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and content of every object in which that name stands as (the end of) a name or label.

    What is on its way out is not among them.
    """
    if not is_there():
        return
    listed = json.loads(kubectl("get", KINDS, "-n", namespace, "-o", "json"))
    for item in listed["items"]:
        meta = item["metadata"]
        words = [meta["name"], *meta.get("labels", {}).values()]
        if any(name in word for word in words) and "deletionTimestamp" not in meta:
            yield item["kind"].lower(), item


def pod(name: str) -> dict[str, Any]:
    """The instance's pod."""
    found = [item for kind, item in objects(name) if kind == "pod"]
    assert len(found) == 1, f"{len(found)} pods are {name}"
    return found[0]


def exec_argv(name: str, part: str) -> list[str]:
    """What to put before a command that runs in the container of that part."""
    its = pod(name)["metadata"]["name"]
    return cluster.kubectl("exec", "-i", its, "-c", part, "--")


@contextmanager
def log(name: str, part: str) -> Iterator[list[str]]:
    """The lines that the container of that part writes till its end, which the block brings."""
    words = ("logs", "--follow", "--timestamps", "-c", part)
    command = cluster.kubectl(*words, pod(name)["metadata"]["name"])
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reading:
        try:
            yield lines
            read = reading.communicate(timeout=30)[0].splitlines()
            # What has no time stamp is a word of the kubelet's own.
            lines += [line.partition(" ")[2] for line in read if line[:1].isdigit()]
        finally:
            reading.kill()


def kill(name: str, part: str) -> None:
    """SIGKILL the container of that part, beside the kubelet."""
    its = pod(name)
    status = {each["name"]: each for each in its["status"]["containerStatuses"]}[part]
    container = status.get("containerID", "").removeprefix("docker://")
    subprocess.run(node_of(its).docker("kill", container), capture_output=True)


def is_given_up(name: str, part: str) -> bool:
    """Whether the kubelet has seen it die so often that it waits before it starts it again."""
    statuses = pod(name)["status"]["containerStatuses"]
    state = next(each["state"] for each in statuses if each["name"] == part)
    if state.get("waiting", {}).get("reason") == "CrashLoopBackOff":
        return True
    if "running" in state:
        kill(name, part)
    return False


def node_of(its: dict[str, Any]) -> Node:
    """The node that a pod is on."""
    return next(node for node in NODES if node.name == its["spec"]["nodeName"])


def lose(name: str) -> None:
    """Delete what holds the instance's data, and what would make it anew."""
    for kind, item in objects(name):
        if kind in ("statefulset", "persistentvolumeclaim"):
            kubectl("delete", kind, item["metadata"]["name"], "--ignore-not-found")
