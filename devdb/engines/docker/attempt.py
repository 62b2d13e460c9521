"""One attempt to get an instance from what was found of it to ready, and how it is taken back."""

from __future__ import annotations

import time
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Event, Lock
from typing import Any

from devdb import certificates
from devdb.engines import ports
from devdb.engines.docker import (
    config,
    create,
    data,
    far,
    find,
    image_contents,
    labels,
    limits,
    stop,
    template,
)
from devdb.engines.docker.client import Connection
from devdb.engines.docker.config import NOBODY, Blueprint, Seed, ServerTls
from devdb.engines.docker.failure import watch
from devdb.engines.docker.find import Found
from devdb.engines.docker.image import Image
from devdb.engines.forward import Forwarder
from devdb.engines.login import Login
from devdb.engines.undoing import Undoable
from devdb.engines.waiting import HEARTBEAT, attend, begin, together
from devdb.errors import DevdbError, PortInUse, UsageError
from devdb.model import Progress, Spec, Step
from devdb.pgbouncer import AUTH_DBNAME, has_tls, parse_version
from devdb.postgres import SetUp

_HEAD_START = 0.08
"""Seconds from the start of one container to that of the next."""
_PORT_TRIES = 5
"""Ports on another machine, where those that seem free are not."""
_LOGIN = Progress(step=Step.LOGIN, detail="a login through both URLs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plans:
    """All that is decided before anything is changed."""

    blueprints: tuple[Blueprint, ...]
    login: Login
    seed: Seed
    copies: bool
    """Whether data that this image makes may be copied."""
    owner: int
    """The user that the Postgres image starts as."""


class Attempt(Undoable):
    """Brings one instance up; what it did is undone when it does not get there."""

    def __init__(
        self,
        connection: Connection,
        spec: Spec,
        found: Found,
        postgres: Image,
        pooler: Image,
        major: int,
    ) -> None:
        super().__init__()
        self._connection = connection
        self._client = connection.client
        self._line = connection.line
        self._spec = spec
        self._found = found
        self._identity = found.identity
        self._postgres = postgres
        self._pooler = pooler
        new = found.identity.of_data(
            spec,
            major=major,
            layout=config.layout(postgres),
            is_here=connection.paths_are_ours,
        )
        self._data: dict[str, str] = found.data["Labels"] if found.data else new
        self._is_new = found.data is None
        self._is_unsettled = self._is_new or found.unfinished
        self._network = ""
        self._there: dict[str, int] = {}
        """The ports on the other machine, where it is one."""
        self._had_forwarder = Forwarder(spec.name).is_running()
        self._has_passwords = Event()
        """Set when the data has the instance's, so that others than the login may try them."""
        if not self._is_unsettled:
            self._has_passwords.set()
        self._changing = Lock()
        self._moving = Lock()

    def _to_ready(self) -> Iterator[Progress]:
        beat = Progress(step=Step.PREPARE, detail="network, volume, configuration")
        yield beat
        certifying = self._begin(self._certify)
        preparing = self._begin(self._prepare)
        planning = self._begin(partial(self._plan, certifying))
        reading = {
            part: begin(partial(create.files_in, self._client, self._found.containers[part]["Id"]))
            for part in self._found.containers
            if not self._has_read_its_files(part)
        }
        self._network = yield from attend(preparing, beat)
        plans = yield from attend(planning, beat)
        every = plans.blueprints
        remake = yield from attend(begin(partial(self._outdated, every, reading)), beat)
        todo = [plan for plan in every if plan in remake or not self._found.is_running(plan.part)]
        yield from attend(self._begin(partial(self._check_ports, todo)), beat)
        yield from attend(
            self._begin(partial(self._clear, remake, every)),
            replace(beat, detail="stopping what has changed"),
        )
        self._forwarding = self._begin(self._forward)
        work = self._bring_up(todo, remake, copies=plans.seed.template is not None)
        logging_in = begin(partial(self._log_in, plans.login, work))
        yield from self._attend_parts(work)
        syncing = self._begin(self._sync if remake else lambda: None)
        # READY does not wait for the reaper, which of new data starts when that has its passwords.
        starting = {part for part, start in work.items() if not start.done()}
        kept = starting - {plan.part for plan in remake}
        looking = begin(partial(self._look_again, kept))
        set_up = yield from self._until_logged_in(logging_in)
        image_contents.remember(
            self._postgres.id, labels.POSTGRES, set_up.version if set_up else ""
        )
        found = yield from attend(looking, _LOGIN)
        yield from attend(syncing, _LOGIN)
        server = find.server(found, starting=starting)
        server = yield from attend(begin(partial(far.seen_from_here, server, self._line)), _LOGIN)
        self._is_ready = True
        notes = set_up.notes if set_up else ()
        if self._is_new and plans.copies:  # for the next instance of this image
            provide = partial(template.provide, self._connection, self._postgres, plans.owner)
            copy = self._identity.object_name(labels.POSTGRES)
            self._begin(partial(provide, tried=plans.seed.template, copy=copy))
        yield Progress(step=Step.READY, server=server, notes=notes)

    def _prepare(self) -> str:
        """Network and volumes, where they are not there; the network's id."""
        network = begin(self._find_network)
        if self._is_new:
            create.make_volumes(self._client, self._spec, self._identity, self._data)
        return network.result()

    def _find_network(self) -> str:
        if (joins := self._connection.joins) is not None:
            return joins
        there = self._found.networks
        used = [network for network in there if network in self._found.attached()]
        if not there:
            return create.make_network(self._client, self._spec, self._identity)
        return [*used, *there][0]

    def _certify(self) -> tuple[ServerTls | None, ServerTls | None]:
        """What Postgres and PgBouncer show their clients; None for one that has no TLS.

        Begun before all else: making certificates takes as long as making a network.
        """
        name, asker = self._spec.name, self._identity
        if not self._spec.has_tls:
            return None, None
        owner = begin(partial(image_contents.server_user_id, self._client, self._postgres, asker))
        asked = begin(partial(image_contents.postgres_has_tls, self._client, self._postgres, asker))
        text = image_contents.banner(self._client, self._pooler, labels.PGBOUNCER, asker)
        runs_as = owner.result() if asked.result() else None
        owners = (runs_as, NOBODY if has_tls(text) else None)
        if owners == (None, None):
            certificates.remove(name)
            return None, None
        made = certificates.ensure(name)
        postgres, pooler = (
            None if owner is None else ServerTls(certificates=made, owner=owner) for owner in owners
        )
        return postgres, pooler

    def _plan(self, certifying: Future[tuple[ServerTls | None, ServerTls | None]]) -> Plans:
        client, spec, asker = self._client, self._spec, self._identity
        joins = self._connection.joins
        net = config.Net.joined(spec.port, spec.pool_port) if joins else config.Net()
        asked = begin(partial(image_contents.has_init_files, client, self._postgres, asker))
        carried = begin(
            partial(limits.look, client, self._postgres, asker, is_far=self._connection.is_far)
        )
        owner = image_contents.user_id(client, self._postgres, asker)
        text = image_contents.binary_version(client, self._pooler, labels.PGBOUNCER, asker)
        version = parse_version(text)
        package = image_contents.pooler_package(client, self._pooler, version, asker)
        # Its auth query runs in the database a client wants; so that is where it has to get in.
        everywhere = version[:2] < AUTH_DBNAME
        has_init_files = asked.result()
        copies = template.is_copyable(self._postgres, has_init_files=has_init_files)
        seed = data.seed(self._connection, spec, self._found, self._postgres, copies=copies)
        postgres_tls, pooler_tls = certifying.result()
        postgres = config.for_postgres(
            spec,
            self._postgres,
            layout=self._data[labels.LAYOUT],
            owner=owner,
            pooler_everywhere=everywhere,
            makes_database=has_init_files,
            seed=seed,
            tls=postgres_tls,
            net=net,
        )
        pooler = config.for_pgbouncer(
            spec,
            self._pooler,
            version,
            package=package,
            limits=carried.result(),
            tls=pooler_tls,
            net=net,
        )
        if self._line is not None:
            self._there = far.ports(client, spec, self._found)
            postgres, pooler = (_published(each, self._there) for each in (postgres, pooler))
        reaper = (config.for_reaper(spec, self._postgres, net),) if spec.reaper else ()
        return Plans(
            blueprints=(postgres, pooler, *reaper),
            login=Login(
                spec,
                first_password=seed.password if self._is_unsettled else None,
                looks_up_everywhere=everywhere,
                is_initdb_at_work=self._is_unsettled and seed.template is None,
            ),
            seed=seed,
            copies=copies,
            owner=owner,
        )

    def _has_read_its_files(self, part: str) -> bool:
        """Whether it did so when it started, so that they were whole, and synced before READY."""
        return self._found.is_sound(part) and not self._is_unsettled

    def _outdated(
        self, plans: Iterable[Blueprint], reading: Mapping[str, Future[dict[str, bytes]]]
    ) -> list[Blueprint]:
        """Those whose container has to be made anew: missing, half-made, changed or damaged."""
        return [
            plan
            for plan in plans
            if self._is_changed(plan)
            or (plan.part in reading and not plan.is_in(reading[plan.part].result()))
        ]

    def _is_changed(self, plan: Blueprint) -> bool:
        container = self._found.containers.get(plan.part)
        if container is None or self._found.is_half_there(plan.part):
            return True
        if plan.part in self._found.cut_off:
            return True
        if container["Config"]["Labels"].get(labels.MADE_FROM) != plan.digest(
            self._spec, self._identity
        ):
            return True
        if self._network not in self._found.attached(plan.part):
            return True  # its network was pruned; it would not start
        # A tag that moved on is no reason to restart what runs.
        image = self._pooler if plan.part == labels.PGBOUNCER else self._postgres
        return not self._found.is_running(plan.part) and container["Image"] != image.id

    def _check_ports(self, todo: list[Blueprint]) -> None:
        """Raise PortInUse before anything is stopped, started or waited for."""
        if self._line is not None:
            Forwarder(self._spec.name).require_free(self._spec)
            return
        ours = {
            container["Config"]["Labels"].get(labels.PORT)
            for part, container in self._found.containers.items()
            if self._found.is_running(part) and part not in self._found.cut_off
        }
        holder = partial(find.publisher, self._client)
        for port in (plan.labels.get(labels.PORT) for plan in todo):
            if port is not None and port not in ours:
                with suppress(UsageError):  # whether who is not root may listen is the engine's
                    ports.require_free(self._spec, int(port), holder=holder)

    def _clear(self, remake: list[Blueprint], plans: Iterable[Blueprint]) -> None:
        """Remove what will be made anew, and what is no longer wanted."""
        kept = {plan.part for plan in plans} - {plan.part for plan in remake}
        unwanted = self._found.containers.keys() - kept
        together(
            partial(stop.remove_questions, self._client, self._found),
            *(partial(stop.remove_container, self._client, self._found, p) for p in unwanted),
        )

    def _sync(self) -> None:
        create.sync(self._client, self._identity.object_name(labels.POSTGRES))

    def _look_again(self, starting: Collection[str]) -> Found:
        """The instance as it is now, without what requests of a killed devdb made meanwhile.

        `starting`: parts whose containers are those that were found.
        """
        known = {part: self._found.containers[part] for part in starting}
        now = find.look(self._client, self._identity, known=known)
        for network in now.networks:
            if network != self._network:
                stop.remove_network(self._client, network)
        return now

    def _bring_up(
        self, todo: list[Blueprint], remake: list[Blueprint], *, copies: bool
    ) -> dict[str, Future[None]]:
        """Make and start the containers, each a little later than the one before.

        Engines set up one network at a time, and Postgres has the most to do once it has its own:
        all the more where the data is not copied, but made by initdb.
        """
        head_start = None if self._is_new and not copies else _HEAD_START
        work: dict[str, Future[None]] = {}
        before: tuple[Future[None], Event] | None = None
        for plan in todo:
            begun = Event()
            start = partial(self._start_container, plan, plan in remake, before, begun, head_start)
            work[plan.part] = self._begin(start)
            before = work[plan.part], begun
        return work

    def _start_container(
        self,
        plan: Blueprint,
        make: bool,
        before: tuple[Future[None], Event] | None,
        begun: Event,
        head_start: float | None,
    ) -> None:
        """`begun` is set when the engine is told to start it; `before` is the same of another."""
        try:
            if before is not None:
                before[1].wait()
            since = time.monotonic()
            if make and not self._given_up.is_set():
                create.make_container(
                    self._client, self._spec, self._identity, plan, self._network, self._data
                )
            if before is not None:
                left = None if head_start is None else head_start - time.monotonic() + since
                wait([before[0]], timeout=left)
            begun.set()
            if plan.part == labels.REAPER:
                self._has_passwords.wait()
            if not self._given_up.is_set() or self._is_ready:
                self._start(plan)
        finally:
            begun.set()

    def _start(self, plan: Blueprint) -> None:
        """Raises PortInUse where its port is somebody else's; on another machine it gets others."""
        for tries_left in reversed(range(_PORT_TRIES)):
            try:
                create.start_container(self._client, self._spec, self._identity, plan.part)
            except PortInUse:
                if self._line is None or not tries_left:
                    raise
            else:
                return
            self._there[plan.part] = far.another(self._client, self._there.values())
            plan = _published(plan, self._there)
            create.make_container(
                self._client, self._spec, self._identity, plan, self._network, self._data
            )
            self._forward()

    def _forward(self) -> None:
        """Have its ports come here, where they are on another machine."""
        if self._line is not None:
            with self._moving:
                far.forward(self._spec, self._line, dict(self._there), self._given_up)

    def _attend_parts(self, work: dict[str, Future[None]]) -> Iterator[Progress]:
        """Wait until both servers' containers have been started."""
        for step, part, image in (
            (Step.POSTGRES, labels.POSTGRES, self._postgres),
            (Step.PGBOUNCER, labels.PGBOUNCER, self._pooler),
        ):
            progress = Progress(step=step, detail=image.reference)
            yield progress
            if part in work:
                yield from attend(work[part], progress)

    def _until_logged_in(
        self, logging_in: Future[SetUp | None]
    ) -> Generator[Progress, None, SetUp | None]:
        yield _LOGIN
        look = partial(
            watch, self._client, self._spec, self._identity, self._given_up, self._changing
        )
        watching = begin(look)
        both: list[Future[Any]] = [logging_in, watching]
        while not wait(both, HEARTBEAT, FIRST_COMPLETED).done:
            if self._forwarding.done():
                self._forwarding.result()
            yield _LOGIN
        if not logging_in.done():
            watching.result()
        return logging_in.result()

    def _log_in(self, login: Login, work: dict[str, Future[None]]) -> SetUp | None:
        """Log in until it is ready; None when it is given up. `work`: the starts of containers.

        A connection that is tried while a network is being made loses a packet, and a second with
        it.
        """
        wait([start for part, start in work.items() if part == labels.POSTGRES])
        done = login.until_set_up(self._given_up)
        if done is None:
            return None
        settling = begin(self._settled if self._is_unsettled else lambda: None)
        wait([start for part, start in work.items() if part == labels.PGBOUNCER])
        done = login.until_ready(
            done,
            self._given_up,
            pooler_ran=labels.PGBOUNCER not in work,
            revive=self._restart_pooler,
        )
        if done is not None:
            settling.result()
        return done

    def _restart_pooler(self) -> None:
        """Its resolver (c-ares) keeps what it was told of Postgres' address for up to an hour.

        Podman gives another one at every start; and it may have asked before there was any.
        """
        from docker.errors import NotFound

        with self._changing, suppress(NotFound):  # removed meanwhile: watch() says so
            self._client.restart(self._identity.object_name(labels.PGBOUNCER))

    def _settled(self) -> None:
        self._has_passwords.set()
        create.finish(self._client, self._identity)

    def _give_up(self) -> None:
        self._given_up.set()
        self._has_passwords.set()
        super()._give_up()

    def _take_back(self, *, stop_started: bool) -> None:
        import requests
        from docker.errors import DockerException

        if self._is_new or (stop_started and not self._had_forwarder):
            with suppress(DevdbError):
                Forwarder(self._spec.name).end()
        with suppress(DevdbError, DockerException, requests.RequestException):
            if self._is_new:
                stop.destroy(self._client, self._identity)
                # Last: a server that lives on, should this be killed, goes on to be as wanted.
                certificates.remove(self._spec.name)
            elif stop_started:
                started = [p for p in labels.PARTS if not self._found.is_running(p)]
                now = find.look(self._client, self._identity)
                stop.stop(self._client, now, started)


def _published(plan: Blueprint, there: Mapping[str, int]) -> Blueprint:
    return replace(plan, ports=dict.fromkeys(plan.ports, there[plan.part]))
