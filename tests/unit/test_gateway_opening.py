"""What a Postgres client begins with, as bytes that may be anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devdb.gateway import opening
from devdb.gateway.opening import Cancel, Encryption, Refusal, Startup
from devdb.wire import framing

WORDS = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), min_size=1)
PARAMETERS = st.dictionaries(WORDS.filter(lambda word: not word.startswith("_pq_.")), WORDS)


def body(message: bytes) -> bytes:
    return message[4:]


@given(PARAMETERS, WORDS)
def test_a_startup_is_read_as_it_was_written(parameters: dict[str, str], user: str) -> None:
    given_ones = {**parameters, "user": user}
    message = framing.startup(given_ones)
    assert opening.length(message[:4], least=8) == len(message) - 4
    assert opening.request(body(message)) == Startup(given_ones, b"")


@given(st.binary(max_size=200), st.sampled_from([0x30000, 0x30002, 80877102, 80877103, 0]))
def test_any_bytes_are_understood_or_refused(rest: bytes, code: int) -> None:
    for content in (rest, code.to_bytes(4, "big") + rest):
        try:
            found = opening.request(content)
        except Refusal as refusal:
            fields = framing.fields(refusal.message[5:])
            assert fields["S"] == fields["V"] == "FATAL"
            assert fields["C"]
            assert fields["M"]
        else:
            assert isinstance(found, Startup | Cancel | Encryption)
    try:
        assert framing.message(b"", opening.password(rest).encode())[4:] + b"\0" == rest
    except Refusal:
        assert not rest.endswith(b"\0") or rest == b"\0" or b"\0" in rest[:-1] or not _is_utf8(rest)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("count", [0, 4, 7, 65537, 1 << 31, (1 << 32) - 1])
def test_a_length_that_cannot_be_is_refused(count: int) -> None:
    with pytest.raises(Refusal):
        opening.length(count.to_bytes(4, "big"), least=8)


def test_the_key_of_a_cancel_is_no_secret_that_shows() -> None:
    found = opening.request(body(framing.request(framing.CANCEL_REQUEST, b"12345678")))
    assert found == Cancel(b"12345678")
    assert "12345678" not in repr(found)


@pytest.mark.parametrize(
    ("addresses", "port"),
    [
        ([], None),
        ([""], None),
        (["db.example.com"], None),
        (["db.example.com:"], None),
        (["db.example.com:5432"], 5432),
        (["[::1]"], None),
        (["[::1]:15432"], 15432),
        ([":15432"], 15432),
    ],
)
def test_of_an_address_the_port_counts(addresses: list[str], port: int | None) -> None:
    assert opening.port(addresses) == port


@given(st.lists(st.text(), min_size=1, max_size=2))
def test_any_address_is_understood_or_refused(addresses: list[str]) -> None:
    try:
        found = opening.port(addresses)
    except LookupError as error:
        assert str(error).startswith("devdb: ")  # noqa: PT017 - not every one is refused
    else:
        assert len(addresses) == 1
        assert found is None or 0 <= found <= 99999
