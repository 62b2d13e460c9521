"""Engines on other machines: what a start costs there beside one here, and what the way costs."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import bench_docker
from bench_temporary import temp
from measure import Row, running, up_again, up_new

from devdb import engines
from devdb.engines.kubernetes import config, labels
from devdb.engines.native import binaries
from devdb.model import DATABASE, HOST, USER, Spec

NEW, AGAIN = "devdb up -d, new", "devdb up -d, again"
COUNT = 10_000
CLIENTS = 10


def ssh(box: str, stack: ExitStack) -> list[Row]:
    """The engine of another machine beside this one's."""
    here, far = engines.get("docker"), engines.get("docker", host=box)
    spec = stack.enter_context(running(far))
    return [
        Row(NEW, partial(up_new, here)),
        Row(f"{NEW}, by SSH", partial(up_new, far, DOCKER_HOST=box), NEW, 1.5, grace=1),
        Row(AGAIN, partial(up_again, here)),
        Row(f"{AGAIN}, by SSH", partial(up_again, far), AGAIN, 1.5, grace=1),
        Row("devdb temp -q, by SSH", partial(temp, spec), at_most=1),
    ]


def ssh_title(box: str) -> str:
    return f"Docker at {box}, beside this machine's; {' and '.join(bench_docker.wanted_images())}"


def kubernetes(stack: ExitStack) -> list[Row]:
    """A cluster, and its ports here beside those in the pod."""
    engine = engines.get("kubernetes")
    spec = stack.enter_context(running(engine))
    inside = ["kubectl", "exec", labels.pod_name(spec.name), "-c", labels.POSTGRES, "--"]
    inside += ["env", f"PGPASSFILE={config.PGPASS}", "pgbench"]
    here = [str(binaries.postgres(None, data=None).program("pgbench"))]
    there = config.address_in_pod()
    pgbench(spec, [*inside, *there], "-i", "-q")
    forwarded = ["-h", HOST, "-p", str(spec.port)]
    rows = [
        Row(NEW, partial(up_new, engine), at_most=12),
        Row(AGAIN, partial(up_again, engine), at_most=8),
        Row("devdb temp -q", partial(temp, spec), at_most=1),
    ]
    for clients in (1, CLIENTS):
        direct = f"{COUNT} x pgbench -S -c {clients}, in the pod"
        load = ("-n", "-S", "-c", str(clients), "-t", str(COUNT // clients))
        rows += [
            Row(direct, partial(pgbench, spec, [*inside, *there], *load)),
            Row(
                f"{COUNT} x -c {clients}, forwarded",
                partial(pgbench, spec, [*here, *forwarded], *load),
                direct,
                2,
            ),
        ]
    return rows


def kubernetes_title() -> str:
    return f"Kubernetes, {engines.get('kubernetes').host}"


def pgbench(spec: Spec, command: Sequence[str], *options: str) -> float:
    """Seconds for its transactions, without the time that its connections take."""
    done = subprocess.run(
        [*command, *options, "-U", USER, DATABASE],
        env={**os.environ, "PGPASSWORD": spec.password},
        capture_output=True,
        text=True,
        check=True,
    )
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    return COUNT / float(rate[1]) if rate else 0.0
