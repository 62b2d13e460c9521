"""An endpoint as text: the canonical URL, and what may be shown of it."""

from __future__ import annotations

from urllib.parse import quote

from devdb.masking import masked as masked
from devdb.model import Endpoint, Spec
from devdb.urls.serverless import http_url

SCHEME = "postgresql"


def url(endpoint: Endpoint) -> str:
    """`postgresql://user:password@host:port/database`, which every client and parser reads alike.

    No parameters: there is not one that all of them accept (`devdb.urls.clients` has each
    client's own spelling).
    """
    return f"{SCHEME}://{authority(endpoint)}/{encoded(endpoint.database)}"


def http(spec: Spec) -> str | None:
    """The HTTP URL, where the instance's gateway listens; None where it has no port for one.

    No secret is in it: who asks there brings the credentials.
    """
    return http_url(spec.http_port) if spec.http_port else None


def authority(endpoint: Endpoint) -> str:
    """The `user:password@host:port` of a URL."""
    return f"{encoded(endpoint.user)}:{encoded(endpoint.password)}@{address(endpoint)}"


def address(endpoint: Endpoint) -> str:
    """`host:port`, an IPv6 host in brackets."""
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port}"


def encoded(text: str) -> str:
    """Percent-encoded UTF-8; only letters, digits, `-`, `.` and `_` stay as they are.

    Not `~` either: a shell that reads a `.env` expands it after a colon.
    """
    return quote(text, safe="").replace("~", "%7E")
