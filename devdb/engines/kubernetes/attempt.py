"""One attempt to get an instance from what was found of it to ready, and how it is taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial

from devdb import certificates, pgbouncer, sessions, wire
from devdb.certificates import Certificates
from devdb.engines.forward import Forwarder
from devdb.engines.kubernetes import config, create, failure, far, find, labels, stop
from devdb.engines.kubernetes.failure import Lookout
from devdb.engines.kubernetes.find import Found
from devdb.engines.kubernetes.kubectl import Exists, Kubectl, Thing
from devdb.engines.kubernetes.watch import Watch
from devdb.engines.login import Login
from devdb.engines.undoing import Undoable
from devdb.engines.waiting import attend, together
from devdb.errors import DevdbError, StartFailed, UsageError
from devdb.model import Progress, Spec, Step
from devdb.postgres import SetUp

_PAUSE = 0.2
"""Seconds between attempts to find a server at the other end; each costs a process there."""
_LOGIN = Progress(step=Step.LOGIN, detail="a login through both URLs")
_SERVERS = (labels.POSTGRES, labels.PGBOUNCER)


class Attempt(Undoable):
    """Brings one instance up; what it did is undone when it does not get there."""

    def __init__(
        self,
        kubectl: Kubectl,
        spec: Spec,
        found: Found,
        texts: Mapping[str, str] | None,
        images: tuple[str, str],
    ) -> None:
        """`texts`: the files in its Secret; None: there is no Secret yet."""
        super().__init__()
        self._kubectl = kubectl
        self._spec = spec
        self._found = found
        self._texts = texts
        self._images = images
        self._is_new = texts is None and not found
        self._is_mine = False
        """Whether this attempt made it: what somebody else makes at this moment is not undone."""
        self._made_from = ""

    def _to_ready(self) -> Iterator[Progress]:
        beat = Progress(step=Step.PREPARE, detail="files, volume, pod")
        yield beat
        Forwarder(self._spec.name).require_free(self._spec)
        is_changed = yield from attend(self._begin(self._prepare), beat)
        bringing = self._begin(self._bring)  # it waits for the pod by itself
        kept = None if is_changed else self._found.pod
        with Watch(self._kubectl, self._spec.name, kept) as watch:
            lookout = Lookout(self._kubectl, self._spec, watch, self._is_it, kept)
            for step, part, image in zip(
                (Step.POSTGRES, Step.PGBOUNCER), _SERVERS, self._images, strict=True
            ):
                progress = Progress(step=step, detail=image)
                yield progress
                yield from lookout.until(partial(self._has_started, watch, part), progress)
            yield _LOGIN
            work = self._begin(partial(self._log_in, bringing, is_changed=is_changed))
            yield from lookout.until(work.done, _LOGIN)
            done = work.result()
            for part in _SERVERS:  # one that was started again is told of later than it lets in
                yield from lookout.until(partial(self._has_started, watch, part), _LOGIN)
            pod = watch.pod
        looked = self._begin(partial(find.look, self._kubectl, self._spec.name))
        found = yield from attend(looked, _LOGIN)
        self._is_ready = True
        yield Progress(
            step=Step.READY,
            server=find.server(replace(found, pod=pod), self._kubectl.address),
            notes=done.notes if done else (),
        )

    def _prepare(self) -> bool:
        """Have Secret and StatefulSet as they are wanted; whether there has to be another pod."""
        spec, there = self._spec, self._texts
        texts = config.files(spec, self._certificates())
        wanted = config.stateful_set(spec, self._kubectl.address, self._images, texts)
        self._made_from = find.made_from(wanted["spec"]["template"])
        try:
            create.keep_secret(self._kubectl, spec, texts, there)
        except Exists as error:
            raise StartFailed(
                f"Somebody else has made '{spec.name}' at this moment.",
                f"Attach to it: devdb up -n {spec.name}",
            ) from error
        self._is_mine = self._is_new
        self._texts = texts
        pod = self._found.pod
        is_same = pod is not None and self._is_it(pod)
        is_broken = pod is not None and failure.is_broken(pod)
        if is_same and not is_broken and self._found.is_wanted:
            return False
        create.run(self._kubectl, wanted, self._found, anew=is_same and is_broken)
        return True

    def _certificates(self) -> Certificates | None:
        """What the servers show; those of the Secret, where it has any, whoever made them."""
        if not self._spec.has_tls:
            return None
        shown = [(self._texts or {}).get(file, "") for file in config.CERTIFICATES]
        kept = Certificates(*shown) if all(shown) else None
        return certificates.ensure(self._spec.name, shown=kept)

    def _is_it(self, pod: Thing) -> bool:
        """Whether that is the pod that is wanted."""
        return not find.is_going(pod) and find.made_from(pod) == self._made_from

    def _has_started(self, watch: Watch, part: str) -> bool:
        pod = watch.pod
        return pod is not None and self._is_it(pod) and find.has_started(pod, part)

    def _bring(self) -> None:
        far.forward(self._kubectl, self._spec, self._given_up)

    def _log_in(self, bringing: Future[None], *, is_changed: bool) -> SetUp | None:
        """Log in until it is ready; None when it is given up."""
        bringing.result()
        spec = self._spec
        is_new = not self._found.has_data
        login = Login(
            spec, first_password=None, looks_up_everywhere=False, is_initdb_at_work=is_new
        )
        while not self._answers() and not self._given_up.wait(_PAUSE):
            pass
        done = login.until_set_up(self._given_up)
        if done is None:
            return None
        major = int(done.version.partition(".")[0])
        if is_new and spec.major not in (None, major):
            raise UsageError(
                f"Postgres {spec.major} was asked for, but the image is Postgres {major}.",
                "Leave one of `--pg` and `--image` (DEVDB_POSTGRES_IMAGE) out, or make them agree.",
            )
        done = login.until_ready(done, self._given_up, pooler_ran=not is_changed)
        if done is not None:
            self._finish(done.version)
        return done

    def _finish(self, version: str) -> None:
        """Say in the cluster what it is by now, where that is not said yet."""
        with pgbouncer.console(self._spec) as session:
            pooler = ".".join(map(str, pgbouncer.parse_version(session.version)))
        versions = {labels.POSTGRES: version, labels.PGBOUNCER: pooler}
        made = {**(self._texts or {}), config.MADE: "yes"}
        work: list[Callable[[], object]] = []
        if versions != self._found.versions:
            work.append(partial(create.finish, self._kubectl, self._spec, versions))
        work.append(partial(create.keep_secret, self._kubectl, self._spec, made, self._texts))
        together(*work)

    def _answers(self) -> bool:
        """Whether a server, and not the forwarder alone, is at the other end."""
        try:
            sessions.version(self._spec.direct, timeout=2)
        except wire.Refused:
            return True
        except OSError:
            return False
        return True

    def _take_back(self, *, stop_started: bool) -> None:
        with suppress(DevdbError):
            if self._is_mine and not find.look(self._kubectl, self._spec.name).versions:
                stop.destroy(self._kubectl, self._spec.name)
            elif stop_started and not self._is_new and not self._found.is_wanted:
                stop.stop(self._kubectl, self._spec.name)
        with suppress(DevdbError):
            if self._is_new:
                Forwarder(self._spec.name).end()
                certificates.remove(self._spec.name)
