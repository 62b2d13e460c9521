"""How the ports of an instance in a cluster come here: its forwarder runs `forwarding`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Event

from devdb.engines.forward import PATIENCE, Forwarder
from devdb.engines.kubernetes import forwarding, labels
from devdb.engines.kubernetes.kubectl import Kubectl
from devdb.model import Spec


def forward(kubectl: Kubectl, spec: Spec, given_up: Event, patience: float = PATIENCE) -> None:
    """Have the forwarder bring its ports here; raises as `Forwarder.bring`."""
    # It runs elsewhere: what names files has to name them from anywhere.
    files = [file for file in os.environ.get("KUBECONFIG", "").split(os.pathsep) if file]
    there = os.pathsep.join(str(Path(file).absolute()) for file in files)
    before = ["env", f"KUBECONFIG={there}"] if files else []
    program = [sys.executable, "-I", forwarding.__file__, labels.object_name(spec.name)]
    command = [*before, *program, str(spec.port), str(spec.pool_port), *kubectl.argv()]
    forwarder, over = Forwarder(spec.name), forwarding.OVER
    forwarder.bring(spec, command, over=over, given_up=given_up, patience=patience)
