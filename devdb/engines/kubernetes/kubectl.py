"""kubectl, the one client of a cluster: every call of it, and its failures as devdb's errors."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from typing import Any

from devdb.engines.kubernetes.address import Address
from devdb.errors import DevdbError, NamedUnavailable, StartFailed

Thing = dict[str, Any]
"""An object of the cluster, as its JSON."""
_PATIENCE = 20
"""Seconds for a call that the server answers in a tenth of one."""
_REQUEST_TIMEOUT = "--request-timeout=7s"
"""Of one request; a call that asks for what there is first makes another."""
_NOISE = re.compile(r"Warning: |[IWEF]\d{4} \d\d:\d\d:")
_PREFIX = re.compile(r'(error: |Error from server \(\w+\): |error when \w+ing "STDIN": )*')
_OUT_OF_ORDER = re.compile(r"\((ServiceUnavailable|InternalError|Timeout|ServerTimeout)\)")
ROLE = "kubernetes/rbac.yaml"
DOCTOR = "What it lacks: DEVDB_ENGINE=kubernetes devdb doctor"


class Forbidden(NamedUnavailable):
    """The user may not do that in this namespace."""


class Missing(DevdbError):
    """There is no such object."""


class Exists(DevdbError):
    """There is one of that name already."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Calls it for one address."""

    address: Address

    def argv(self, *words: str) -> list[str]:
        """The command; raises NamedUnavailable where there is no kubectl."""
        program = shutil.which("kubectl")
        if program is None:
            raise NamedUnavailable(
                "There is no kubectl here, which is how devdb talks to Kubernetes.",
                "Install it: https://kubernetes.io/docs/tasks/tools/",
            )
        where = self.address
        options = [f"--context={where.context}"] if where.context else []
        options += [f"--namespace={where.namespace}"] if where.namespace else []
        return [program, *options, *words]

    def ask(self, *words: str, given: object = None, patience: float = _PATIENCE) -> str:
        """What it prints; `given`, as JSON, is its stdin. `patience` is in seconds.

        Raises NamedUnavailable, Forbidden, Missing, Exists, and StartFailed for any other no.
        """
        timeout = () if words[0] == "wait" else (_REQUEST_TIMEOUT,)
        command = self.argv(*timeout, *words)
        stdin = json.dumps(given) if given is not None else ""
        try:
            done = subprocess.run(
                command, input=stdin, capture_output=True, text=True, timeout=patience
            )
        except subprocess.TimeoutExpired:
            raise self.unreachable(f"no answer within {patience:g} s") from None
        except OSError as error:
            raise self.unreachable(error.strerror or str(error)) from error
        if done.returncode:
            raise self.error(done.stderr)
        return done.stdout

    def get(self, *words: str) -> list[Thing]:
        """The objects that are meant."""
        answer = json.loads(self.ask("get", *words, "-o", "json") or "{}")
        return list(answer.get("items", [answer] if answer else []))

    def resolved(self) -> Kubectl:
        """The same with context and namespace named, by its configuration; asks no server."""
        if self.address.context and self.address.namespace:
            return self
        try:
            text = self.ask("config", "view", "--minify", "-o", "json")
            [context] = json.loads(text)["contexts"]
        except (DevdbError, ValueError, KeyError, TypeError) as error:
            said = error.message if isinstance(error, DevdbError) else "no context"
            raise NamedUnavailable(
                f"kubectl knows no cluster: {said.removeprefix(_SAYS)}",
                "Name one of `kubectl config get-contexts`: kubectl config use-context NAME, "
                "or context in devdb.toml, [kubernetes].",
            ) from error
        where = self.address
        namespace = where.namespace or context["context"].get("namespace") or "default"
        return Kubectl(replace(where, context=context["name"], namespace=namespace))

    def error(self, stderr: str) -> DevdbError:
        """What it said before it failed, as an error."""
        said = said_in(stderr)
        if "(Forbidden)" in stderr and "exceeded quota" not in said:
            hint = f"Ask for a role like the one in devdb's {ROLE}."
            return Forbidden(f"Kubernetes forbids it: {said}.", hint)
        if "(NotFound)" in stderr:
            hint = DOCTOR
            if found := re.search(r'namespaces "(.*?)" not found', said):
                hint = f"Make it: kubectl create namespace {found[1]}; or name another: devdb.toml."
            return Missing(f"Kubernetes says: {said}.", hint)
        if "(AlreadyExists)" in stderr:
            return Exists(f"Kubernetes says: {said}.", "Try again.")
        is_answer = "Error from server (" in stderr or " is invalid: " in stderr
        if is_answer and not _OUT_OF_ORDER.search(stderr):
            return StartFailed(f"Kubernetes refused: {said}.", DOCTOR)
        return self.unreachable(said)

    def unreachable(self, said: str) -> NamedUnavailable:
        """The error for a server that does not answer."""
        option = f" --context {self.address.context}" if self.address.context else ""
        return NamedUnavailable(
            f"{_SAYS}{said}.",
            f"Does `kubectl{option} version` work? {DOCTOR}",
        )


_SAYS = "Kubernetes does not answer; kubectl says: "


def said_in(stderr: str) -> str:
    """What kubectl said on its stderr, on one line and without what it says of itself."""
    lines = [line.strip() for line in stderr.splitlines()]
    told = [_PREFIX.sub("", line, count=1) for line in lines if line and not _NOISE.match(line)]
    return " ".join(dict.fromkeys(told)).rstrip(".") or "nothing"
