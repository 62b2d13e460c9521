"""Which ports an instance gets."""

from __future__ import annotations

from collections.abc import Collection

from devdb.config import Settings
from devdb.engines.ports import is_taken
from devdb.errors import PortInUse
from devdb.listeners import owner
from devdb.model import Spec

FIRST_DIRECT = 15432
FIRST_POOLED = 16543
FIRST_HTTP = 17654
LOCK = ".ports"
"""The lock of who chooses some."""
PAIRS = 1000
"""The ranges end below 32768, where Linux begins to hand out ports for outgoing connections."""


def choose(
    wanted: tuple[int | None, int | None],
    others: Collection[Spec],
    *,
    skip: int = 0,
    besides: int | None = None,
) -> tuple[int, int]:
    """The direct and the pooled port of a new instance.

    What is asked for is taken or refused (PortInUse), never moved; else it is the first free
    pair from 15432/16543 upward that no other instance holds. `skip` leaves out that many,
    `besides` is one that the instance itself has another use for.
    """
    for port in wanted:
        if port is not None:
            refuse_if_taken(port, others)
    held = _held(others) | {port for port in (*wanted, besides) if port is not None}
    for index in range(PAIRS):
        direct, pooled = wanted[0] or FIRST_DIRECT + index, wanted[1] or FIRST_POOLED + index
        pair = zip((direct, pooled), wanted, strict=True)
        chosen = [port for port, asked_for in pair if asked_for is None]
        if any(port in held or is_taken(port) for port in chosen):
            continue
        if skip == 0:
            return direct, pooled
        skip -= 1
    raise PortInUse(
        f"No pair of ports is free from {FIRST_DIRECT} and {FIRST_POOLED} upward.",
        "Name two with --port and --pool-port.",
    )


def choose_http(wanted: int | None, others: Collection[Spec], own: Collection[int]) -> int:
    """The HTTP port of an instance that has none, besides its `own` other two.

    What is asked for is taken or refused (PortInUse), never moved; else it is the first free one
    from 17654 upward that no other instance holds.
    """
    if wanted is not None:
        refuse_if_taken(wanted, others)
        return wanted
    held = {*_held(others), *own}
    for port in range(FIRST_HTTP, FIRST_HTTP + PAIRS):
        if port not in held and not is_taken(port):
            return port
    raise PortInUse(f"No port is free from {FIRST_HTTP} upward.", "Name one with --http-port.")


def _held(others: Collection[Spec]) -> set[int]:
    return {port for spec in others for port in spec.ports}


def settle(
    settings: Settings, others: Collection[Spec], refused: PortInUse | None, *, skip: int
) -> tuple[tuple[int, int], tuple[str, ...]]:
    """The ports of a new instance: the preset's if they are free, else in words why they are not.

    `refused` is what was said when they seemed free and were not; `skip` as in `choose`.
    """
    liked = of_provider(settings)
    if liked is not None and refused is None:
        try:
            return choose(liked, others, besides=settings.http_port), ()
        except PortInUse as error:
            refused = error
    asked = (settings.port, settings.pool_port)
    pair = choose(asked, others, skip=skip, besides=settings.http_port)
    if liked is None or refused is None:
        return pair, ()
    instead = f"instead of {settings.preset}'s {liked[0]} and {liked[1]}"
    why = refused.message[0].lower() + refused.message[1:]
    return pair, (f"ports {pair[0]} and {pair[1]} {instead}: {why}",)


def stays(spec: Spec, settings: Settings) -> tuple[str, ...]:
    """That an instance does not move for a preset that was given to this very command."""
    liked = of_provider(settings)
    asked_now = settings.source("preset") == "--preset"
    if liked is None or liked == (spec.port, spec.pool_port) or not asked_now:
        return ()
    move = f"devdb up -n {spec.name} --port {liked[0]} --pool-port {liked[1]}"
    return (f"'{spec.name}' keeps its ports {spec.port} and {spec.pool_port}; to move it: {move}",)


def of_provider(settings: Settings) -> tuple[int, int] | None:
    """Where the provider of the preset listens, unless a port is asked for by number.

    Raises UsageError for an unknown preset.
    """
    if settings.preset is None:
        return None
    from devdb.urls import presets  # 5 ms that who has no preset does not need

    if settings.preset == presets.AUTO:
        return None
    provider = presets.preset(settings.preset)
    return None if settings.port or settings.pool_port else provider.ports


def refuse_if_taken(port: int, others: Collection[Spec]) -> None:
    """Raises PortInUse, naming the owner where the system tells, or UsageError if not allowed."""
    for spec in others:
        if port in spec.ports:
            raise PortInUse(
                f"Port {port} belongs to the instance '{spec.name}'.",
                f"Ask for another one, or delete that instance: devdb rm {spec.name}",
            )
    if is_taken(port):
        raise PortInUse(
            f"Port {port} is in use by {owner(port)}.",
            "End that, or ask for another port.",
        )
