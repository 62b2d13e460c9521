"""The Python API: `with devdb.temp(ttl="1h") as db: connect(db.url)`."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from devdb import config, temporary, urls
from devdb.errors import NotFound, UsageError
from devdb.model import Spec
from devdb.workspace import names, up
from devdb.workspace.temp import make
from devdb.workspace.up import Outcome, Ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Temp:
    """A temporary database and how to reach it."""

    name: str
    """Of the database, and of the role that owns it."""
    url: str = field(repr=False)
    """Straight to Postgres."""
    pooled_url: str = field(repr=False)
    """Through PgBouncer."""
    expires: datetime
    """By the server's clock; from then on it lets nobody in."""
    instance: str
    skipped: Mapping[str, int] = field(default_factory=dict)
    """What of the seed was left out, and how many: `{"owners": 43}`."""


@contextmanager
def temp(
    *,
    ttl: str | timedelta = "24h",
    source: str | None = None,
    seed: str | Path | None = None,
    name: str | None = None,
    instance: str | None = None,
) -> Iterator[Temp]:
    """A temporary database of the project's instance, dropped at the end of the `with` block.

    The project is the one around the current directory, as for the command line; `instance`
    names another one. The instance is started when it does not run, and made where there is none,
    of which the logger `devdb` warns: it stays. `ttl` is what a process that dies in the block
    leaves it, e.g. `"90s"` or a timedelta, 1 s to 30 d. `source` is a database of the instance to
    copy, `seed` what to fill it from: a file with SQL or a dump of pg_dump's in any format, packed
    or not, or a directory (docs/seeds.md); `"-"` is what is piped in. `name` is the database's own
    name. One that was claimed in the block is kept.

    Raises DevdbError.
    """
    lifetime = temporary.parse_ttl(ttl) if isinstance(ttl, str) else temporary.check_ttl(ttl)
    with ExitStack() as stack:
        content = None
        if seed is not None:
            from devdb.temporary.seeding import opened

            content = stack.enter_context(opened(seed))
        project = names.place(Path.cwd()).project
        settings = config.load(project, {"name": instance}, os.environ)
        spec, made = make(
            settings,
            project,
            partial(_bring_up, settings, project),
            ttl=lifetime,
            source=source,
            seed=content,
            name=name,
        )
    assert made.expires is not None
    try:
        yield Temp(
            name=made.name,
            url=urls.url(made.direct),
            pooled_url=urls.url(made.pooled),
            expires=made.expires,
            instance=spec.name,
            skipped=made.loaded.counts() if made.loaded else {},
        )
    finally:
        # NotFound: it expired, or was dropped in the block. UsageError: it was claimed there.
        with suppress(NotFound, UsageError):
            temporary.drop(spec, [made.name])


def _bring_up(settings: config.Settings, project: Path, spec: Spec | None) -> Spec:
    if spec is None:
        run = up.up(settings, project, names.resolve(settings.name, project))
    else:
        run = up.up(*up.as_it_is(spec, project))
    *_, ready = run
    assert isinstance(ready, Ready), "the last item of up is a Ready"
    if ready.outcome == Outcome.CREATED:
        logging.getLogger("devdb").warning(names.made_instance(ready.instance.spec))
    return ready.instance.spec
