"""The certificates: what a client that verifies everything accepts, kept with the right modes."""

import os
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest

from devdb import certificates, paths
from devdb.certificates import NAMES, Certificates, make
from devdb.errors import DevdbError
from devdb.pgbouncer import has_tls


def handshake(server: Certificates, ca: str, name: str, directory: Path) -> str:
    """Speak TLS over a pair of sockets, as strictly as OpenSSL can; returns the version."""
    chain = directory / "chain.pem"
    chain.write_text(server.certificate + server.key)
    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.load_cert_chain(chain)
    asking = ssl.create_default_context(cadata=ca)
    asking.verify_flags |= ssl.VERIFY_X509_STRICT
    left, right = socket.socketpair()

    def serve() -> None:
        try:
            listening.wrap_socket(left, server_side=True).close()
        except (ssl.SSLError, ConnectionError):
            left.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with asking.wrap_socket(right, server_hostname=name) as secured:
            return str(secured.version())
    finally:
        right.close()
        thread.join(timeout=10)


@pytest.mark.parametrize("name", NAMES)
def test_client_that_verifies_everything_accepts_it(tmp_path: Path, name: str) -> None:
    made = make("shop")
    assert handshake(made, made.ca, name, tmp_path) == "TLSv1.3"


def test_another_name_and_another_ca_are_refused(tmp_path: Path) -> None:
    made = make("shop")
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname"):
        handshake(made, made.ca, "example.org", tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made, make("shop").ca, "127.0.0.1", tmp_path)


def test_key_is_shown_to_nobody() -> None:
    assert "PRIVATE" not in repr(make("shop"))


def test_kept_for_the_next_start(home: Path) -> None:
    made = certificates.ensure("shop")
    assert certificates.ensure("shop") == made
    directory = paths.instance_dir("shop") / "tls"
    assert certificates.ca_path("shop").read_text() == made.ca
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert modes == {"ca.crt": 0o644, "server.crt": 0o644, "server.key": 0o600}


@pytest.mark.parametrize("lost", ["ca.crt", "server.crt", "server.key"])
def test_half_of_them_is_none(home: Path, lost: str) -> None:
    first = certificates.ensure("shop")
    (paths.instance_dir("shop") / "tls" / lost).unlink()
    second = certificates.ensure("shop")
    assert second.ca != first.ca
    assert certificates.ensure("shop") == second


@pytest.mark.parametrize("damage", ["", "half", "zeros", "\xff", "another instance's"])
@pytest.mark.parametrize("name", ["ca.crt", "server.crt", "server.key"])
def test_what_no_client_would_accept_is_made_anew(home: Path, name: str, damage: str) -> None:
    first = certificates.ensure("shop")
    directory = paths.instance_dir("shop") / "tls"
    path = directory / name
    whole = path.read_bytes()
    another = make("shop")
    others = {"ca.crt": another.ca, "server.crt": another.certificate, "server.key": another.key}
    path.write_bytes(
        {
            "half": whole[: len(whole) // 2],
            "zeros": bytes(len(whole)),
            "another instance's": others[name].encode(),
        }.get(damage, damage.encode("latin-1"))
    )
    second = certificates.ensure("shop")
    assert second.ca != first.ca
    assert handshake(second, second.ca, "localhost", home) == "TLSv1.3"
    assert certificates.ensure("shop") == second
    assert {each.name for each in directory.iterdir()} == {"ca.crt", "server.crt", "server.key"}


def test_removed_without_a_trace(home: Path) -> None:
    certificates.remove("shop")
    certificates.ensure("shop")
    (paths.instance_dir("shop") / "tls" / ".server.key-12345678").touch()
    certificates.remove("shop")
    assert not (paths.instance_dir("shop") / "tls").exists()


def test_directory_that_cannot_be_written_is_an_error(home: Path) -> None:
    paths.instance_dir("shop").parent.mkdir(parents=True)
    paths.instance_dir("shop").touch()
    with pytest.raises(DevdbError, match="certificates"):
        certificates.ensure("shop")
    assert not os.path.isdir(paths.instance_dir("shop"))  # noqa: PTH112


def test_long_names_fit(tmp_path: Path) -> None:
    made = make("x" * 200)
    assert handshake(made, made.ca, "localhost", tmp_path)


def test_pgbouncer_says_whether_it_was_built_with_tls() -> None:
    debian = "PgBouncer 1.18.0\nlibevent 2.1.12-stable\nadns: c-ares 1.18.1\ntls: OpenSSL 3.0.20\n"
    assert has_tls(debian)
    assert not has_tls("PgBouncer 1.24.1\nlibevent 2.1.12-stable\nadns: evdns2\n")
