"""An instance without a marker here: one whose marker is lost, or that a team-mate has made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from devdb import marker
from devdb.engines.images import DEFAULT_POOLER, named
from devdb.engines.kubernetes import config, create, find, labels
from devdb.engines.kubernetes.find import Found
from devdb.engines.kubernetes.kubectl import Kubectl, Missing
from devdb.engines.waiting import begin
from devdb.model import Spec


def look(kubectl: Kubectl, name: str) -> tuple[Found, dict[str, str] | None]:
    """What there is of it, and the files in its Secret; None: there is no Secret."""
    asked = begin(partial(find.look, kubectl, name))
    try:
        [secret] = kubectl.get("secret", labels.object_name(name))
        texts = config.texts_in(secret)
    except Missing:
        return asked.result(), None
    return asked.result(), texts


def recover(kubectl: Kubectl, name: str) -> Spec | None:
    """See `Engine.recover`; also one that somebody is making at this moment."""
    found, texts = look(kubectl, name)
    if texts is not None and config.MARKER in texts:
        place = f"the Secret {labels.object_name(name)}"
        spec = marker.parse(texts[config.MARKER], name=name, place=place)
    elif found.has_data:
        spec = Spec(
            name=name,
            project=None,
            engine="kubernetes",
            port=0,
            pool_port=0,
            password="",
            created=datetime.now(UTC).replace(microsecond=0),
        )
    else:
        return None
    major = found.versions.get(labels.POSTGRES, "").partition(".")[0]
    used = _images(found)
    return replace(
        spec,
        has_data=found.has_data,
        major=int(major) if major else None,
        postgres_image=named(used.get(labels.POSTGRES, spec.postgres_image), f"postgres:{major}"),
        pooler_image=named(used.get(labels.PGBOUNCER, spec.pooler_image), DEFAULT_POOLER),
        host=str(kubectl.address),
    )


def _images(found: Found) -> dict[str, str]:
    if found.stateful_set is None:
        return {}
    containers = found.stateful_set["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["image"] for each in containers}


def set_password(kubectl: Kubectl, spec: Spec) -> None:
    """See `Engine.set_password`: Postgres is given it when its pod starts, by the Secret."""
    _, there = look(kubectl, spec.name)
    texts = dict(there or {}) | config.files(replace(spec, rekeyed=True, has_data=True), None)
    create.keep_secret(kubectl, spec, texts, there)
