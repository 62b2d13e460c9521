"""The lines that the log view keeps: which are shown, and at which row, however they came."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from devdb.journal import Entry
from devdb.tui.logs import kept as room
from devdb.tui.logs.kept import Choices, Kept
from devdb.tui.logs.line import LONGEST, Line, line_of

PARTS = ("postgres", "pgbouncer", "reaper")


def line(text: str, part: str = "postgres", **fields: bool) -> Line:
    return line_of(Entry(part=part, text=text, **fields))  # type: ignore[arg-type]


texts = st.text(st.sampled_from("aAbx 语é"), max_size=12)
lines = st.builds(
    line,
    texts,
    st.sampled_from(PARTS),
    belongs=st.booleans(),
    is_housekeeping=st.booleans(),
)
choices = st.builds(
    Choices,
    words=st.text(st.sampled_from("abB"), max_size=2),
    part=st.sampled_from([None, *PARTS]),
    everything=st.booleans(),
    wrap=st.booleans(),
)


def expected(lines: list[Line], wanted: Choices) -> list[Line]:
    """What is to be shown, told plainly: messages of which a line has the words."""
    messages: list[list[Line]] = []
    for each in lines:
        if wanted.part not in (None, each.part) or (each.is_housekeeping and not wanted.everything):
            continue
        if each.belongs and messages and messages[-1][-1].part == each.part:
            messages[-1].append(each)
        else:
            messages.append([each])
    words = wanted.words.lower()
    found = [message for message in messages if any(words in each.text.lower() for each in message)]
    return [each for message in found for each in message]


def of(kept: Kept) -> list[Line]:
    return [kept.lines[number - kept.first] for number in kept.shown]


@given(st.lists(st.lists(lines, max_size=6), max_size=6), st.lists(choices, max_size=4))
def test_it_shows_the_same_however_lines_came_and_choices_changed(
    batches: list[list[Line]], changes: list[Choices]
) -> None:
    kept, came = Kept(Choices(), limit=10_000), list[Line]()
    kept.fit(5)
    for number, batch in enumerate(batches):
        if number < len(changes):
            kept.choose(changes[number])
        kept.add(batch)
        came += batch
        assert of(kept) == expected(came, kept.choices)
    for change in changes:
        kept.choose(change)
        assert of(kept) == expected(came, change)
        check_rows(kept)


def check_rows(kept: Kept) -> None:
    """Every row shows the piece of the line that it should."""
    pieces = [(each, place) for each in of(kept) for place in range(len(kept.pieces(each)))]
    assert kept.rows == len(pieces)
    assert [kept.at(kept.top + row) for row in range(kept.rows)] == pieces
    for number in kept.shown:
        assert kept.number_at(kept.row_of(number)) == number


@given(st.lists(lines, max_size=30), st.integers(1, 9))
def test_wrapped_pieces_fit_and_lose_nothing(batch: list[Line], width: int) -> None:
    kept = Kept(Choices(wrap=True, everything=True))
    kept.fit(width)
    kept.add(batch)
    check_rows(kept)
    for each in batch:
        pieces = kept.pieces(each)
        assert "".join(pieces) == each.text
        assert all(cell_len(piece) <= max(width, 2) for piece in pieces)


def test_the_oldest_go_and_numbers_stay_what_they_are() -> None:
    kept = Kept(Choices(), limit=100)
    for number in range(1000):
        kept.add([line(f"line {number}", is_housekeeping=number % 10 == 0)])
        assert 90 <= len(kept.lines) <= 100 or number < 100
        assert kept.lines[-1 if number else 0].text == f"line {number}"
    assert of(kept)[0].text == f"line {kept.shown[0]}"
    assert kept.hidden == sum(each.is_housekeeping for each in kept.lines)
    assert kept.parts == {"postgres": len(kept.lines)}
    check_rows(kept)


def test_long_lines_are_bounded_one_by_one_and_together() -> None:
    kept = Kept(Choices())
    huge = line("x" * 1_000_000)
    assert len(huge.text) < LONGEST + 40
    assert huge.text.endswith("… (1,000,000 characters)")
    most = room.CHARACTERS // len(huge.text)
    kept.add([huge] * (most + 500))
    assert len(kept.lines) == most


def test_control_characters_are_shown_and_a_tab_is_room() -> None:
    shown = line("\ta\x1b[2J", belongs=True)
    assert shown.text == "    a\\x1b[2J"
    assert shown.level == ""
