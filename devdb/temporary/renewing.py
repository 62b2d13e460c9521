"""The passwords of temporary databases after their instance got another one to derive them from."""

from __future__ import annotations

from devdb import postgres
from devdb.model import Spec
from devdb.temporary import registry
from devdb.wire import Identifier


def renew(spec: Spec) -> None:
    """Give each temporary and claimed database's role the password that its URL now says.

    Raises DevdbError.
    """
    with registry.session(spec) as session:
        for one in registry.listing(session, spec):
            if session.query("SELECT FROM pg_roles WHERE rolname = {}", one.role):
                verifier = postgres.verifier(one.direct.password)
                session.query("ALTER ROLE {} PASSWORD {}", Identifier(one.role), verifier)
