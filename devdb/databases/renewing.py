"""The passwords of temporary databases after their instance got another one to derive them from."""

from __future__ import annotations

from devdb import postgres
from devdb.databases import registry
from devdb.model import Spec
from devdb.wire import Identifier


def renew(spec: Spec) -> None:
    """Give each database's own role the password that its URL now says.

    Raises DevdbError.
    """
    with registry.session(spec) as session:
        for one in registry.listing(session, spec):
            if one.role == one.name and session.query(
                "SELECT FROM pg_roles WHERE rolname = {}", one.role
            ):
                verifier = postgres.verifier(one.direct.password)
                session.query("ALTER ROLE {} PASSWORD {}", Identifier(one.role), verifier)
