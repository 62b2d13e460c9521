"""Postgres' own protocol, to Postgres and to PgBouncer: a session, and its parts for the gateway.

It speaks just enough of https://www.postgresql.org/docs/current/protocol.html to log in with
SCRAM-SHA-256 (RFC 7677), both sides proving that they know the password, and to run simple
queries. It reads no environment and no file, and gives no password away: a server that asks for
one in another way is refused. No TLS: it is for servers on 127.0.0.1.
"""

from __future__ import annotations

from devdb.wire.quoting import Identifier as Identifier
from devdb.wire.quoting import quoted as quoted
from devdb.wire.refusal import FAILURES as FAILURES
from devdb.wire.refusal import Refused as Refused
from devdb.wire.refusal import Stranger as Stranger
from devdb.wire.scram import Scram as Scram
from devdb.wire.scram import scram_keys as scram_keys
from devdb.wire.session import Row as Row
from devdb.wire.session import Session as Session
from devdb.wire.session import offers_tls as offers_tls
