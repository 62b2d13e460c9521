"""Who may ask the server anything: a browser that was given the address, for its own page."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Knows the port and the token, which stands in no argument, header or log."""

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self.port}/{self.token}/"

    def admits(self, target: str, hosts: Sequence[str], origins: Sequence[str]) -> str | None:
        """What is asked for below the token; None where nothing is to be told, not even why.

        `target` is the request's, `hosts` and `origins` are all its headers of that name. A page
        that got its own name to lead here (DNS rebinding) has that name in Host, and whatever a
        foreign page sends has it in Origin.
        """
        if len(hosts) != 1 or hosts[0] not in (f"{HOST}:{self.port}", f"localhost:{self.port}"):
            return None
        if any(origin != f"http://{hosts[0]}" for origin in origins):
            return None
        start, _, rest = target.partition("?")[0].removeprefix("/").partition("/")
        given = start.encode("utf-8", "surrogateescape")
        is_ours = hmac.compare_digest(given, self.token.encode())
        return rest if is_ours and target.startswith(f"/{self.token}/") else None


def headers(connect: str | None = None) -> dict[str, str]:
    """What each answer says of what may be done with it; `connect`: the page's WebSocket."""
    # Styles are written by the terminal's script as it runs.
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        f"font-src 'self'; img-src data:; connect-src {connect}; "
        if connect
        else "default-src 'none'; "
    )
    return {
        "Content-Security-Policy": (
            f"{policy}base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
        "Server": "devdb",
    }
