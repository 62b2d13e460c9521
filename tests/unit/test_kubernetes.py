"""What the kubernetes engine makes of values and of words, without a cluster."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import specs

from devdb.certificates import Certificates
from devdb.engines.kubernetes import address, config, failure, labels
from devdb.engines.kubernetes.address import Address
from devdb.engines.kubernetes.kubectl import Exists, Forbidden, Kubectl, Missing, Thing
from devdb.errors import EngineUnavailable, StartFailed, UsageError

IMAGES = ("postgres:18", "pgbouncer:1")
TLS = Certificates("a CA", "a certificate", "the servers' key")


@pytest.mark.parametrize(
    "text",
    [
        "kubernetes:context=test&namespace=mine&storage-class=fast&size=20Gi",
        "kubernetes:context=arn%3Aaws%3Aeks%3Aeu%3Acluster%2Fx+%26&size=1.5Ti",
        "kubernetes:size=10Gi",
    ],
)
def test_an_address_is_read_as_it_is_written(text: str) -> None:
    assert str(address.parse(text)) == text


@pytest.mark.parametrize("nothing", [None, "", "kubernetes:"])
def test_without_words_it_is_where_kubectl_points(nothing: str | None) -> None:
    assert address.parse(nothing) == Address()


@pytest.mark.parametrize(
    "wrong",
    ["name-space=x", "namespace=My+Own", "size=10+GB", "size=many", "size=-1Gi", "storage-class=A"],
)
def test_what_cannot_be_is_refused_by_its_key(wrong: str) -> None:
    with pytest.raises(UsageError, match=re.escape(wrong.partition("=")[0])):
        address.parse(f"kubernetes:{wrong}")


@pytest.mark.parametrize("name", ["shop", "a", "a_b", "a-", "x" * 40, "x_" * 20, "_".join("abc")])
def test_whatever_an_instance_is_called_its_objects_have_names(name: str) -> None:
    made = labels.object_name(name)
    assert re.fullmatch("[a-z0-9]([-a-z0-9]*[a-z0-9])?", made)
    assert len(made) <= 52


def test_names_that_look_alike_are_not_one() -> None:
    alike = ["a-b", "a_b", "a-b-", "a_b_", "a-b_"]
    assert len({labels.object_name(name) for name in alike}) == len(alike)


def test_no_secret_is_in_what_everybody_may_read() -> None:
    spec = replace(specs.new("kubernetes"), reaper="true", rekeyed=True, has_data=True)
    texts = config.files(spec, TLS)
    public = json.dumps(config.stateful_set(spec, Address(), IMAGES, texts))
    for secret in (spec.password, spec.pooler_password, TLS.key, "SCRAM"):
        assert secret not in public
    assert config.texts_in(config.secret(spec, texts)) == texts


def test_only_what_its_servers_read_makes_another_pod() -> None:
    spec = specs.new("kubernetes")

    def made_from(changed: object) -> str:
        assert isinstance(changed, type(spec))
        wanted = config.stateful_set(changed, Address(), IMAGES, config.files(changed, TLS))
        return str(wanted["spec"]["template"]["metadata"]["annotations"])

    first = made_from(spec)
    for same in ({"port": 1}, {"has_data": True}, {"major": 18}, {"host": "x"}, {"rekeyed": True}):
        assert made_from(replace(spec, **same)) == first, same
    for other in ({"password": "other"}, {"settings": (("work_mem", "7MB"),)}, {"reaper": "true"}):
        assert made_from(replace(spec, **other)) != first, other


@pytest.mark.parametrize(
    ("image", "user"),
    [
        ("postgres:18", 999),
        ("postgis/postgis:17-3.5", 999),
        ("postgres:18-alpine", 70),
        ("ghcr.io/cloudnative-pg/postgresql:18", 26),
    ],
)
def test_the_server_runs_as_the_user_of_its_image(image: str, user: int) -> None:
    spec = specs.new("kubernetes")
    wanted = config.stateful_set(spec, Address(), (image, "p"), config.files(spec, None))
    security = wanted["spec"]["template"]["spec"]["securityContext"]
    assert security["runAsUser"] == security["fsGroup"] == user


FORBIDDEN = (
    'Error from server (Forbidden): statefulsets.apps is forbidden: User "a" cannot list resource '
    '"statefulsets" in API group "apps" in the namespace "b"'
)


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (FORBIDDEN, Forbidden, 'cannot list resource "statefulsets"'),
        ('Error from server (NotFound): pods "x-0" not found', Missing, 'pods "x-0" not found'),
        (
            'Error from server (AlreadyExists): error when creating "STDIN": secrets "x" already '
            "exists",
            Exists,
            'says: secrets "x" already exists.',
        ),
        (
            "Unable to connect to the server: dial tcp: lookup nowhere: no such host",
            EngineUnavailable,
            "no such host",
        ),
        (
            "The connection to the server 10.0.0.1:6443 was refused - did you specify the right "
            "host or port?",
            EngineUnavailable,
            "was refused",
        ),
        (
            "E1127 00:11:41.864699   32225 memcache.go:265] Unhandled\n"
            "error: You must be logged in to the server (Unauthorized)",
            EngineUnavailable,
            r"kubectl says: You must be logged in to the server \(Unauthorized\)\.",
        ),
        (
            "Error from server (ServiceUnavailable): the server is currently unable",
            EngineUnavailable,
            "currently unable",
        ),
        (
            'The StatefulSet "x" is invalid: spec: Forbidden: updates to statefulset spec',
            StartFailed,
            "is invalid",
        ),
        (
            'Error from server (Forbidden): error when creating "STDIN": pods "x" is forbidden: '
            "exceeded quota: small, requested: pods=1",
            StartFailed,
            "exceeded quota: small",
        ),
        ("", EngineUnavailable, "nothing"),
    ],
)
def test_what_kubectl_says_becomes_an_error_of_its_kind(
    said: str, kind: type[Exception], words: str
) -> None:
    error = Kubectl(Address()).error(said)
    assert isinstance(error, kind)
    assert re.search(words, error.message), error.message
    assert error.hint


RUNNING: Thing = {"running": {}}
ENDED: Thing = {"terminated": {"exitCode": 137, "message": "last words"}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting"}}
NO_IMAGE = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}


def pod(state: Thing, restarts: int, last: Thing | None = None) -> Thing:
    """One whose Postgres is in that state, after so many restarts."""
    status = {"name": labels.POSTGRES, "image": "postgres:18", "restartCount": restarts}
    return {"status": {"containerStatuses": [{**status, "state": state, "lastState": last or {}}]}}


@pytest.mark.parametrize(
    ("kept", "seen"),
    [
        (None, [pod(RUNNING, 0)]),
        (pod(RUNNING, 0), [pod(RUNNING, 0), pod(ENDED, 0), pod(RUNNING, 1, ENDED)]),
        (pod(RUNNING, 3), [pod(BACK_OFF, 3, ENDED), pod(RUNNING, 4, ENDED)]),
    ],
)
def test_what_died_before_a_start_looked_is_waited_for(
    kept: Thing | None, seen: list[Thing]
) -> None:
    allowed = failure.restarts(kept)
    for each in seen:
        failure.check(specs.new("kubernetes"), each, allowed)


@pytest.mark.parametrize(
    ("kept", "seen", "words"),
    [
        (None, [pod(ENDED, 0)], "Postgres ended with exit code 137; its last words: last words"),
        (None, [pod(BACK_OFF, 0, ENDED)], "Postgres ended with exit code 137"),
        (None, [pod(RUNNING, 0), pod(RUNNING, 1, ENDED)], "Postgres ended with exit code 137"),
        (pod(RUNNING, 0), [pod(ENDED, 0), pod(ENDED, 1, ENDED)], "Postgres ended with"),
        (pod(RUNNING, 0), [pod(ENDED, 0), pod(BACK_OFF, 1, ENDED)], "Postgres ended with"),
        (pod(RUNNING, 0), [pod(RUNNING, 2, ENDED)], "Postgres ended with exit code 137"),
        (None, [pod(NO_IMAGE, 0)], "cannot start Postgres from postgres:18: no such image"),
    ],
)
def test_what_ends_after_a_start_is_a_start_that_failed(
    kept: Thing | None, seen: list[Thing], words: str
) -> None:
    allowed = failure.restarts(kept)
    for each in seen[:-1]:
        failure.check(specs.new("kubernetes"), each, allowed)
    with pytest.raises(StartFailed, match=words):
        failure.check(specs.new("kubernetes"), seen[-1], allowed)
