"""The end of a dead server's log on the dashboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from driving import NAME, Driver

from devdb.engines.fake import FakeEngine
from devdb.model import LogLine
from devdb.tui.app import DevdbApp
from devdb.tui.lastwords import LastWords, since_start

START = "2026-01-02 03:04:05.678 UTC [1] LOG:  starting PostgreSQL 18.0 on x86_64-pc-linux-gnu"
UP = "2026-01-02 03:04:06.678 UTC [9] LOG process up: PgBouncer 1.25.2, libevent 2.1.12"


def of(part: str, *texts: str) -> list[LogLine]:
    return [LogLine(part=part, text=text) for text in texts]


def test_lines_of_an_earlier_life_are_left_out() -> None:
    earlier = of("postgres", "FATAL: of yesterday", START, "PANIC: of an hour ago")
    last = of("postgres", START, "FATAL: of now")
    pooler = of("pgbouncer", "before", UP, "after")
    assert since_start([*earlier, *pooler, *last]) == (*pooler[1:], *last)


def test_a_start_that_another_server_tells_of_is_none() -> None:
    lines = of("pgbouncer", "one", "a query with starting PostgreSQL in it", "two")
    assert since_start(lines) == tuple(lines)
    assert since_start([]) == ()


class Wordy(FakeEngine):
    """Its servers have said a lot, in two lives."""

    def logs(self, name: str, *, tail: int, follow: bool) -> Iterator[LogLine | None]:
        del name, follow
        words = [f"2026-01-02 03:04:07.1 UTC [1] LOG:  said {n} " + "x" * 200 for n in range(20)]
        yield from of("postgres", "of an earlier life", START, *words)[-tail:]


@pytest.mark.parametrize(("size", "count"), [((80, 24), 8), ((40, 12), 4), ((20, 5), 1)])
def test_as_many_are_shown_as_leave_room_for_the_urls(
    drive: Callable[..., DevdbApp],
    use_engine: Callable[[FakeEngine], None],
    size: tuple[int, int],
    count: int,
) -> None:
    engine = Wordy()
    use_engine(engine)

    async def scenario(user: Driver) -> None:
        dashboard = await user.ready()
        engine.kill(NAME, "postgres")
        words = dashboard.query_one(LastWords)
        # A line each.
        await user.until(lambda: words.display and words.size.height == count + 1, "last words")
        shown = str(words.visual).splitlines()
        assert len(shown) == count + 1
        assert shown[-2].startswith("03:04:07 LOG:  said 19")
        assert shown[-1] == "r stops and starts the instance, l shows the whole log"
        assert not any("earlier life" in line for line in shown)
        cards = [dashboard.query_one(f"#url-{key}") for key in "tp"]
        await user.until(lambda: all(card.region.height for card in cards), "both URLs")

    drive(scenario, size=size)
