"""The certificates of an instance: a CA of its own, and one for its servers, signed by it.

Both servers show the same one. The CA's key is thrown away: nobody can sign another with it.
What is read back is believed when a client that verifies everything would: a power cut, or
somebody, may have left anything in these files.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from devdb import paths
from devdb.errors import DevdbError
from devdb.marker import make_private_directory
from devdb.replacing import in_place_of

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

NAMES = ("127.0.0.1", "::1", "localhost")
"""Whom the certificate is for. Node compares with `localhost` where it was given an address."""
_LIFETIME = timedelta(days=3650)
_CLOCK_SET_BACK = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Certificates:
    """As PEM texts; `certificate` and `key` are the servers', `ca` is for the clients."""

    ca: str
    certificate: str
    key: str = field(repr=False)


def ca_path(name: str) -> Path:
    """Where clients find the CA of the instance; there once it was started."""
    return _directory(name) / "ca.crt"


def ensure(name: str, *, shown: Certificates | None = None) -> Certificates:
    """The instance's certificates, made if they are not there, or are no good.

    `shown` are those that its servers have where others use it too: they are taken before all.
    Making them takes 0.1 s, most of it an import; they are on the disk when this returns.

    For the holder of the instance's lock. Raises DevdbError when they cannot be read or written.
    """
    directory = _directory(name)
    try:
        if shown is not None and _read(directory) != shown:
            _keep(directory, shown)
        if kept := _load(directory):
            return kept
        made = make(name)
        _keep(directory, made)
    except OSError as error:
        raise DevdbError(
            f"Cannot keep certificates in {directory}: {error.strerror or error}.",
            paths.way_out(error, directory),
        ) from error
    return made


def _keep(directory: Path, made: Certificates) -> None:
    make_private_directory(directory)
    # The CA goes first and comes last: where it is, the others are, and are its.
    (directory / "ca.crt").unlink(missing_ok=True)
    _write(directory / "server.key", made.key, 0o600)
    _write(directory / "server.crt", made.certificate, 0o644)
    _write(directory / "ca.crt", made.ca, 0o644)


def remove(name: str) -> None:
    """Delete the instance's certificates; nothing to do when there are none. Raises DevdbError."""
    directory = _directory(name)
    try:
        for file in ("ca.crt", "server.crt", "server.key"):
            (directory / file).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            for leftover in directory.glob(".*"):
                leftover.unlink()
            directory.rmdir()
    except OSError as error:
        raise DevdbError(
            f"Cannot delete {error.filename or directory}: {error.strerror or error}.",
            f"Fix its owner or mode, then: devdb rm {name}",
        ) from error


def make(name: str) -> Certificates:
    """New ones, for an instance of that name; elliptic curves, so it takes milliseconds."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca = _ca(name, ca_key)
    certificate = _certificate(name, key, ca, ca_key)
    return Certificates(
        ca=ca.public_bytes(Encoding.PEM).decode(),
        certificate=certificate.public_bytes(Encoding.PEM).decode(),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )


def _ca(name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    subject = _subject(f"devdb {name} CA")
    builder = _builder(subject, subject, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.add_extension(_usage(signs_certificates=True), critical=True).sign(key, SHA256())


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509.oid import ExtendedKeyUsageOID

    names = [
        x509.DNSName(each) if each[-1].isalpha() else x509.IPAddress(ip_address(each))
        for each in NAMES
    ]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    constraints = x509.BasicConstraints(ca=False, path_length=None)
    return (
        _builder(_subject(f"devdb {name}"), ca.subject, key.public_key())
        .add_extension(constraints, critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(server, critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer, critical=False)
        .sign(ca_key, SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    from cryptography import x509

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SET_BACK)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(common_name: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _directory(name: str) -> Path:
    return paths.instance_dir(name) / "tls"


def _load(directory: Path) -> Certificates | None:
    kept = _read(directory)
    return kept if kept is not None and _shake_hands(directory, kept.ca) else None


def _read(directory: Path) -> Certificates | None:
    try:
        ca, certificate, key = (
            (directory / file).read_text(encoding="ascii")
            for file in ("ca.crt", "server.crt", "server.key")
        )
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return Certificates(ca, certificate, key)


def _shake_hands(directory: Path, ca: str) -> bool:
    """Whether a client that trusts this CA alone accepts a server with the certificate and the key.

    Not when one of the three cannot be read, the key is not the certificate's, or that is not the
    CA's or has ended. In memory it takes 4 ms; reading them with what made them is an import of 60.
    """
    import ssl

    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        # An encrypted key is none of ours: without a password OpenSSL asks the terminal for one.
        listening.load_cert_chain(directory / "server.crt", directory / "server.key", password="")
        asking = ssl.create_default_context(cadata=ca)
        client = asking.wrap_bio(to_client, to_server, server_hostname=NAMES[0])
        server = listening.wrap_bio(to_server, to_client, server_side=True)
        for end in (client, server, client):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    except (ssl.SSLError, ValueError):  # an empty CA is a ValueError
        return False
    return client.cipher() is not None


def _write(path: Path, text: str, mode: int) -> None:
    """Whole or not at all and on the disk, with exactly that mode."""
    with in_place_of(path, durable=True) as (file, temporary):
        file.write(text.encode("ascii"))
        temporary.chmod(mode)
