"""A client of `POST /sql`, whose headers and body are the test's own."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from typing import Any

from gateway import serving

from devdb.gateway.bounds import Bounds
from devdb.gateway.target import Target
from devdb.model import HOST, Endpoint, Spec
from devdb.urls import url

RAW = {"Neon-Raw-Text-Output": "true", "Neon-Array-Mode": "true"}
"""What the driver always sends."""


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        assert self.headers["content-type"].startswith("application/json"), self.body
        return json.loads(self.body)

    @property
    def rows(self) -> Any:
        assert self.status == 200, self.body
        return self.json["rows"]

    @property
    def error(self) -> dict[str, str | None]:
        """What a 400 says."""
        assert self.status == 400, (self.status, self.body)
        found: dict[str, str | None] = self.json
        return found

    @property
    def line(self) -> str:
        """What a 500 says: one line, which people see as it is."""
        assert self.status == 500, (self.status, self.body)
        assert self.headers["content-type"].startswith("text/plain")
        text = self.body.decode().rstrip("\n")
        assert text
        assert "\n" not in text
        return text


class Asking:
    """Asks the gateway of that target, as who the endpoint says."""

    def __init__(self, target: Target, endpoint: Endpoint) -> None:
        self.target = target
        self.endpoint = endpoint

    def of(self, **changes: Any) -> Asking:
        """The same, with changes of the endpoint."""
        return Asking(self.target, replace(self.endpoint, **changes))

    def query(self, query: str, *params: object, **headers: str) -> Reply:
        """One statement, as the driver asks: raw text, rows as arrays."""
        return self.post({"query": query, "params": list(params)}, headers | RAW)

    def rows(self, query: str, *params: object) -> Any:
        return self.query(query, *params).rows

    def batch(self, *queries: str, headers: dict[str, str] | None = None) -> Reply:
        return self.post({"queries": [{"query": each} for each in queries]}, RAW | (headers or {}))

    def post(self, body: object, headers: dict[str, str] | None = None) -> Reply:
        """What comes back to a body: text or bytes as they are, all else as JSON."""
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        given = {"Neon-Connection-String": url(self.endpoint), **(headers or {})}
        return self.send("POST", data, given)

    def send(self, method: str, body: bytes | str, headers: dict[str, str]) -> Reply:
        connection = HTTPConnection(HOST, self.target.port, timeout=serving.PATIENCE)
        try:
            data = body.encode() if isinstance(body, str) else body
            connection.request(method, "/sql", data, headers)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    @contextmanager
    def sent(self, query: str) -> Iterator[socket.socket]:
        """The connection on which a query was sent whose answer nobody reads."""
        body = json.dumps({"query": query}).encode()
        lines = [
            "POST /sql HTTP/1.1",
            "Host: localhost",
            f"Neon-Connection-String: {url(self.endpoint)}",
        ]
        with socket.create_connection((HOST, self.target.port), serving.PATIENCE) as client:
            client.sendall(serving.request(*lines, body=body))
            yield client


@contextmanager
def gateway(spec: Spec, *, bounds: Bounds | None = None, **changes: Any) -> Iterator[Target]:
    """The instance's, in a thread; with changes of what it knows of it."""
    target = replace(serving.target(spec), **changes)
    with serving.thread(target, bounds):
        yield target
