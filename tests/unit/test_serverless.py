"""The HTTP URL, as text."""

import pytest

from devdb.urls.serverless import http_port, http_url


def test_its_own_url_reads_back() -> None:
    assert http_port(http_url(17654)) == 17654


@pytest.mark.parametrize(
    ("text", "port"),
    [
        (" http://localhost:1/ ", 1),
        ("http://[::1]:2/sql?x#y", 2),
        ("HTTP://127.0.0.1", 80),
        ("https://127.0.0.1:1", None),
        ("http://127.0.0.1:99999", None),
        ("http://127.0.0.1:x", None),
        ("http://[", None),
        ("http://127.0.0.1.example.com:1", None),
        ("http://db:17654", None),
        ("postgresql://localhost:1/x", None),
        ("127.0.0.1:17654", None),
        ("", None),
    ],
)
def test_the_port_of_this_machine_that_a_text_leads_to(text: str, port: int | None) -> None:
    assert http_port(text) == port
