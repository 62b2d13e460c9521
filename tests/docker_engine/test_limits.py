"""What the engine carries, and what its containers may do."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest
import world
from docker import APIClient
from inside import login
from knocking import knock

from devdb.engines.docker import config, create, image_contents, labels, limits
from devdb.engines.docker.engine import DockerEngine
from devdb.engines.docker.image import find_image
from devdb.engines.docker.limits import Limits
from devdb.engines.images import wanted_images
from devdb.errors import StartFailed
from devdb.model import Server, Spec

Starts = Callable[[Spec], Server]
REAPER = "while :; do sleep 1; done"
ENTRY_POINT = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID", "KILL"}


def asking_for(spec: Spec, clients: int) -> Spec:
    return replace(spec, pooler_settings=(("max_client_conn", str(clients)),))


def test_without_a_wish_as_many_get_in_as_both_the_files_and_the_port_carry(spec: Spec) -> None:
    plenty = 65_536
    assert Limits(files=plenty, published=plenty).clients(spec) == 10_000
    assert Limits(files=plenty, published=2500).clients(spec) == 2500
    assert Limits(files=1024, published=plenty).clients(spec) == 1024 - 100 - 150
    assert Limits(files=plenty).clients(spec) == 1000
    few = replace(spec, settings=(("max_connections", "500"),))
    assert Limits(files=1024, published=plenty).clients(few) == 1024 - 500 - 150


def test_a_wish_is_granted_inside_the_network_and_the_url_s_number_is_told(spec: Spec) -> None:
    found, wanting = Limits(files=20_000, published=2500), asking_for(spec, 10_000)
    assert (found.clients(wanting), found.by_url(wanting)) == (10_000, 2500)
    assert "2500" in (found.note(wanting) or "")
    assert found.note(spec) is None
    narrow = replace(found, files=5000)
    assert narrow.clients(wanting) == 5000 - 100 - 150
    assert "4750 clients, not 10000" in (narrow.note(wanting) or "")
    assert Limits(files=20_000).note(wanting) is None


def test_files_are_asked_for_where_a_container_gets_too_few(
    engine: DockerEngine, spec: Spec, client: APIClient
) -> None:
    reference = wanted_images(None, None, None)[1]
    image = find_image(client, reference)
    assert image is not None
    for wanted in (None, 3000):
        plan = config.for_pgbouncer(spec, image, (1, 24, 0), limits=Limits(to_ask_for=wanted))
        identity = labels.identity_of_new(spec.name)
        network = create.make_network(client, spec, identity)
        create.make_container(client, spec, identity, plan, network, {})
        container = client.inspect_container(identity.object_name(labels.PGBOUNCER))
        asked = container["HostConfig"]["Ulimits"] or []
        assert [(each["Soft"], each["Hard"]) for each in asked] == [(wanted, wanted)] * bool(wanted)
        engine.stop(spec.name, destroy=True)


def test_what_the_engine_gives_a_container_is_asked_and_leaves_nothing(
    start: Starts, spec: Spec, client: APIClient
) -> None:
    start(spec)
    run = client.exec_create(world.container(spec.name, "postgres"), ["sh", "-c", "ulimit -n"])
    soft = client.exec_start(run["Id"]).decode().strip()
    image = find_image(client, wanted_images(None, None, None)[0])
    assert image is not None
    found = limits.look(client, image, labels.identity_of_new(spec.name), is_far=False)
    assert (found.to_ask_for is None) == (str(found.files) == soft)
    mine = client.containers(all=True, filters=labels.query(spec.name))
    assert labels.QUESTION not in {item["Labels"][labels.PART] for item in mine}


def test_who_comes_by_the_url_and_is_too_many_is_refused_and_the_url_goes_on(
    start: Starts, spec: Spec
) -> None:
    most = start(spec).max_clients
    assert most is not None
    extra = 200
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < most + extra + 100:
        pytest.skip(f"this process may not have {most + extra} clients")
    with ExitStack() as stack:
        # One of the start's own logins may not have gone yet.
        assert {answer[:1] for answer in knock(stack, spec.pooled, most - 5)} == {b"R"}
        knock(stack, spec.pooled, 5)
        for answer in knock(stack, spec.pooled, extra):
            assert b"no more connections allowed" in answer
    world.eventually(lambda: login(spec.pooled) == "in", "the URL's next client")


def test_containers_may_do_what_they_need_and_no_more(
    start: Starts, spec: Spec, client: APIClient
) -> None:
    start(replace(spec, reaper=REAPER))
    for part in ("postgres", "pgbouncer", "reaper"):
        container = client.inspect_container(world.container(spec.name, part))
        host = container["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        added = {name.removeprefix("CAP_") for name in host["CapAdd"] or []}
        assert added == (ENTRY_POINT if part == "postgres" else set())
        assert any(option.startswith("no-new-privileges") for option in host["SecurityOpt"])
        run = client.exec_create(container["Id"], ["cat", "/proc/1/status"], user="0")
        status = dict(
            line.split(":", 1) for line in client.exec_start(run["Id"]).decode().splitlines()
        )
        assert status["NoNewPrivs"].strip() == "1"
        if part != "postgres":
            assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == 0


def test_questions_are_asked_without_any_privilege(engine: DockerEngine, client: APIClient) -> None:
    image = find_image(client, wanted_images(None, None, None)[0])
    assert image is not None
    container = image_contents.question(
        client, image.id, ["true"], labels.Identity("test-question", "")
    )
    try:
        host = client.inspect_container(container)["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        assert host["NetworkMode"] == "none"
    finally:
        client.remove_container(container, force=True)


def test_a_container_that_may_do_more_or_less_is_made_anew(spec: Spec, client: APIClient) -> None:
    image = find_image(client, wanted_images(None, None, None)[1])
    assert image is not None
    plan = config.for_pgbouncer(spec, image, (1, 24, 0))
    identity = labels.identity_of_new(spec.name)
    others = (replace(plan, capabilities=("KILL",)), replace(plan, open_files=5000))
    assert len({each.digest(spec, identity) for each in (plan, *others)}) == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_disk_that_is_full_at_the_next_start_is_said_and_costs_no_data(
    engine: DockerEngine, spec: Spec, start: Starts, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.disk("size=150m") as place:
        create = APIClient.create_volume

        def on_it(client: APIClient, name: str, **rest: Any) -> Any:
            if name == labels.identity_of_new(spec.name).object_name(labels.DATA):
                rest["driver_opts"] = {"type": "none", "o": "bind", "device": str(place)}
            return create(client, name, **rest)

        monkeypatch.setattr(APIClient, "create_volume", on_it)
        start(spec)
        engine.stop(spec.name)
        filler = world.fill(place)
        with pytest.raises(StartFailed, match="No space left") as caught:
            start(spec)
        assert "Make room" in caught.value.hint
        assert f"devdb up -d -n {spec.name}" in caught.value.hint
        filler.unlink()
        start(spec)
        engine.stop(spec.name, destroy=True)  # before its disk goes
