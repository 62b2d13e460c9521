"""Logging in: the client's side of SCRAM-SHA-256, without input and output."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import secrets
import struct

from devdb.wire import framing
from devdb.wire.refusal import Stranger

_OK = 0
"""What an `R` says of a login that has come to its end."""
_SASL, _SASL_CONTINUE, _SASL_FINAL = 10, 11, 12
_MOST_ROUNDS = 1_000_000
"""Of hashing that a stranger may ask for; Postgres' own default is 4096."""


class Scram:
    """The client's side of one SCRAM-SHA-256 exchange (RFC 5802, section 3); sends nothing."""

    def __init__(self, password: str) -> None:
        self._password = password.encode()
        self._first = f"n=,r={secrets.token_urlsafe(18)}"
        self._expected = b""
        self.is_mutual = False
        """Whether the server has proved that it knows the password's verifier."""

    def respond(self, request: bytes) -> bytes | None:
        """The message that answers the server's request for authentication, the content of an `R`.

        None where it asks for nothing (more). Raises Stranger.
        """
        code, body = int.from_bytes(request[:4], "big"), request[4:]
        if code == _SASL and b"SCRAM-SHA-256\0" in body:
            first = self.first()
            text = b"SCRAM-SHA-256\0" + struct.pack("!i", len(first)) + first
            return framing.message(b"p", text)
        if code == _SASL_CONTINUE:
            return framing.message(b"p", self.answer(body))
        if code == _SASL_FINAL:
            self.verify(body)
        elif code != _OK:
            raise Stranger("the server does not offer SCRAM-SHA-256")
        return None

    def require_proof(self) -> None:
        """Raises Stranger unless the server has proved that it knows the password."""
        if not self.is_mutual:
            raise Stranger("the server let us in without proving that it knows the password")

    def first(self) -> bytes:
        """The client's first message."""
        return f"n,,{self._first}".encode()

    def answer(self, challenge: bytes) -> bytes:
        """The answer to the server's first message; raises Stranger."""
        try:
            text = challenge.decode()
            nonce, salt64, count = (part[2:] for part in text.split(",")[:3])
            salt, rounds = base64.b64decode(salt64), int(count)
        except ValueError:
            raise Stranger("what the server sends is no SCRAM") from None
        if not nonce.startswith(self._first[5:]):
            raise Stranger("the server answered somebody else's login")
        if not 0 < rounds <= _MOST_ROUNDS:
            raise Stranger(f"the server asks for {rounds} rounds of hashing")
        key, server_key = scram_keys(self._password, salt, rounds)
        final = f"c=biws,r={nonce}"
        message = f"{self._first},{text},{final}".encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        self._expected = base64.b64encode(hmac.digest(server_key, message, "sha256"))
        return f"{final},p={base64.b64encode(proof).decode()}".encode()

    def verify(self, final: bytes) -> None:
        """Look at the server's last message; raises Stranger when it proves nothing."""
        # Before a challenge nothing is expected, and nothing proves anything.
        if not self._expected or not hmac.compare_digest(final, b"v=" + self._expected):
            raise Stranger("the server does not know the password")
        self.is_mutual = True


@functools.lru_cache(maxsize=32)
def scram_keys(password: bytes, salt: bytes, rounds: int) -> tuple[bytes, bytes]:
    """ClientKey and ServerKey of RFC 5802, section 3, with SHA-256.

    Kept, as the RFC allows: a role's salt stays, and most of a login's time goes into this.
    """
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, rounds)
    client = hmac.digest(salted, b"Client Key", "sha256")
    server = hmac.digest(salted, b"Server Key", "sha256")
    return client, server
