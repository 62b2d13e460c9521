"""Making what an instance consists of in the cluster, and saying that it was ready."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from devdb.engines.kubernetes import config, labels
from devdb.engines.kubernetes.find import Found
from devdb.engines.kubernetes.kubectl import Kubectl
from devdb.model import Spec

# Server-side: what a client applies by itself it leaves in an annotation, which of a Secret is all.
_APPLY = ("apply", "--server-side", "--field-manager=devdb", "--force-conflicts", "-f", "-")
_CREATE = ("create", "-f", "-")


def keep_secret(
    kubectl: Kubectl, spec: Spec, texts: Mapping[str, str], there: Mapping[str, str] | None
) -> None:
    """Have the files in the Secret; `there`: those that are in it; None: there is no Secret.

    Raises Exists where there is one by now: of several that make the same instance one makes it.
    """
    if there is None:
        kubectl.ask(*_CREATE, given=config.secret(spec, texts))
    elif not is_same(texts, there):
        kubectl.ask(*_APPLY, given=config.secret(spec, texts))


def is_same(texts: Mapping[str, str], there: Mapping[str, str]) -> bool:
    """Whether they say the same; the verifiers of a password are other ones each time."""
    one, other = ({**each, "passwords.sql": ""} for each in (texts, there))
    return one == other


def run(kubectl: Kubectl, wanted: dict[str, Any], found: Found, *, anew: bool) -> None:
    """Have the StatefulSet as it is wanted, with its pod; `anew`: another pod than there is."""
    if found.stateful_set is not None:
        # These nobody may change; what volume an instance has was decided when it was made.
        claims = found.stateful_set["spec"]["volumeClaimTemplates"]
        wanted["spec"]["volumeClaimTemplates"] = claims
    if anew:
        wanted["spec"]["template"]["metadata"]["annotations"][labels.AGAIN] = str(time.time_ns())
    kubectl.ask(*_APPLY, given=wanted)


def finish(kubectl: Kubectl, spec: Spec, versions: Mapping[str, str]) -> None:
    """Say that it was ready, with these: from now on nothing but `destroy` deletes its data."""
    text = json.dumps(versions, sort_keys=True)
    name = labels.object_name(spec.name)
    kubectl.ask("annotate", "--overwrite", "statefulset", name, f"{labels.VERSIONS}={text}")
