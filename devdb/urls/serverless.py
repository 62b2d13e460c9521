"""Serverless drivers: the HTTP URL, and the lines that lead them to it, as one text."""

from __future__ import annotations

from urllib.parse import urlsplit

from devdb.model import HOST, LOCAL

HTTP_URL = "DEVDB_HTTP_URL"
"""The variable with the HTTP URL, which the lines read."""
DRIVERS = (
    *("@neondatabase/serverless", "@prisma/adapter-neon", "kysely-neon"),
    *("@vercel/postgres", "@vercel/postgres-kysely"),
)
"""The packages that speak HTTP and WebSocket; drizzle-orm does with the first and the fourth."""

SNIPPET = """\
import { neonConfig } from '@neondatabase/serverless'

if (process.env.DEVDB_HTTP_URL) {
  const { origin, host } = new URL(process.env.DEVDB_HTTP_URL)
  neonConfig.fetchEndpoint = `${origin}/sql`
  neonConfig.wsProxy = (name, port) => `${host}/v2?address=${name}:${port}`
  neonConfig.useSecureWebSocket = false
}
"""
"""What a project says once, before its first query; without the variable it changes nothing."""


def http_url(port: int) -> str:
    """The URL of the gateway at that port."""
    return f"http://{HOST}:{port}"


def http_port(text: str) -> int | None:
    """The port of this machine that an HTTP URL leads to; None: it is none, or leads elsewhere."""
    try:
        url = urlsplit(text.strip())
        port = url.port or 80
    except ValueError:
        return None
    is_here = url.scheme == "http" and url.hostname in LOCAL
    return port if is_here else None
