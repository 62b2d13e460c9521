"""A user who may only what the role in kubernetes/rbac.yaml lets somebody do, in one namespace."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import timedelta
from pathlib import Path

import kube
import psycopg
import pytest
from inside import login
from system import cluster
from system.shell import ROOT
from world import NewSpec, Starts

from devdb import databases, engines, psql
from devdb.engines import Engine
from devdb.errors import EngineUnavailable
from devdb.model import Level

ROLE = ROOT / "kubernetes" / "rbac.yaml"


@pytest.fixture
def limited(namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A namespace of the test's own; kubectl is a user there who may nothing yet."""
    config = json.loads(Path(os.environ[kube.CONFIG]).read_text())
    config["current-context"] = cluster.LIMITED
    for each in config["contexts"]:
        each["context"]["namespace"] = namespace
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    return namespace


def give_role(namespace: str) -> None:
    """The role as the file has it, to that user."""
    kube.kubectl("apply", "-f", "-", given=ROLE.read_text().replace("dev-alice", namespace))
    binding = ("create", "rolebinding", "limited", "--role=devdb", f"--user={cluster.LIMITED}")
    kube.kubectl(*binding, "-n", namespace)


def errors(engine: Engine) -> list[str]:
    return [each.message for each in engine.check() if each.level == Level.ERROR]


def test_the_role_of_the_file_is_enough_and_less_is_said(
    limited: str, engine: Engine, start: Starts, new_spec: NewSpec
) -> None:
    spec = new_spec(engine)
    with pytest.raises(EngineUnavailable, match="forbid"):
        start(spec)
    assert any("statefulsets" in message for message in errors(engine))

    give_role(limited)
    assert errors(engine) == []
    assert start(spec).running
    made = databases.create(spec, ttl=timedelta(hours=1))
    assert login(made.pooled) == login(made.direct) == "in"
    assert [line for line in engine.logs(spec.name, tail=5, follow=False) if line]
    done = subprocess.run(
        [*engine.psql_argv(spec.name), "-Atc", "SELECT 1"],
        env=psql.environment(spec.password, os.environ),
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
    engine.stop(spec.name)
    known = engine.recover(spec.name)
    assert known is not None
    assert known.password == spec.password
    assert start(spec).running
    assert [each.name for each in engine.list()] == [spec.name]
    engine.stop(spec.name, destroy=True)
    assert list(kube.objects(spec.name, namespace=limited)) == []

    with pytest.raises(EngineUnavailable, match="forbid"):
        engines.get("kubernetes", host="kubernetes:namespace=default").list()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(host=spec.direct.host, port=spec.port, connect_timeout=2)


def test_each_right_that_is_missing_is_named(limited: str, engine: Engine) -> None:
    give_role(limited)
    role = json.loads(kube.kubectl("get", "role", "devdb", "-n", limited, "-o", "json"))
    del role["metadata"]["resourceVersion"]  # each change makes another
    for rule in list(role["rules"]):
        role["rules"] = [each for each in role["rules"] if each != rule]
        kube.apply(role, namespace=limited)
        wrong = [each for each in engine.check() if each.level != Level.INFO]
        said = " ".join(each.message for each in wrong)
        for resource in rule["resources"]:
            assert resource in said, resource
        role["rules"].append(rule)
