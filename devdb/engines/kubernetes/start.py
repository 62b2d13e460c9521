"""Starting an instance: what is missing is made, what is stopped is started, until logins work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from devdb.config import allowed
from devdb.engines.images import wanted_images
from devdb.engines.kubernetes import config, labels, recover, stop
from devdb.engines.kubernetes.attempt import Attempt
from devdb.engines.kubernetes.find import Found, is_going
from devdb.engines.kubernetes.kubectl import Kubectl
from devdb.engines.refusal import data_gone, other_password
from devdb.engines.waiting import attend, begin
from devdb.errors import DataMismatch
from devdb.marker import parse
from devdb.model import Progress, Spec, Step

_LOOKING = Progress(step=Step.PREPARE, detail="looking at what is there")


def start(kubectl: Kubectl, spec: Spec) -> Iterator[Progress]:
    """The whole start; see `Engine.start`."""
    allowed.check(spec.settings, contained=True)
    yield _LOOKING
    found, texts = yield from attend(begin(partial(recover.look, kubectl, spec.name)), _LOOKING)
    if found.claim is not None and is_going(found.claim):
        removal = begin(partial(_outlast_removal, kubectl, spec.name))
        yield from attend(removal, Progress(step=Step.PREPARE, detail="clearing what is removed"))
        found, texts = Found(spec.name), None
    _refuse_other_data(spec, found, texts)
    images = wanted_images(spec.postgres_image, spec.pooler_image, spec.major or found.major)
    yield from Attempt(kubectl, spec, found, texts, images).run()


def _outlast_removal(kubectl: Kubectl, name: str) -> None:
    stop.destroy(kubectl, name)
    stop.outlast_removal(kubectl, name)


def _refuse_other_data(spec: Spec, found: Found, texts: Mapping[str, str] | None) -> None:
    """Before anything is changed: data that this instance cannot use, or that is not there."""
    if texts is not None and config.MARKER in texts:
        kept = parse(texts[config.MARKER], name=spec.name, place="its Secret")
        if kept.password != spec.password:
            raise other_password(spec)
    elif found.has_data and not spec.rekeyed and texts is None:
        raise DataMismatch(
            f"There is data of an earlier instance '{spec.name}', whose password is lost.",
            f"Take it over: devdb up -n {spec.name} --adopt   or delete it: devdb rm {spec.name}",
        )
    if spec.has_data and found.claim is None:
        raise data_gone(spec, f"the claim {labels.claim_name(spec.name)}")
    made_by = found.major
    if made_by and spec.major not in (None, made_by):
        raise DataMismatch(
            f"The data of '{spec.name}' was made by Postgres {made_by}, not {spec.major}.",
            f"Start it with `--pg {made_by}`, or make a new instance with `-n`.",
        )
