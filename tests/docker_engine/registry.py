"""A registry of images as small as can be: enough of its protocol for `docker pull`."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CHUNK = 64 * 1024


class Registry:
    """Serves the images that were put into it; every other one is unknown to it."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.hang = threading.Event()
        """While set, blobs stop half-way, for good."""
        self.done = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    def __enter__(self) -> Registry:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.done.set()
        self._server.shutdown()
        self._server.server_close()

    def reference(self, name: str) -> str:
        """The name by which the engine finds the image here."""
        return f"127.0.0.1:{self._server.server_port}/{name}"

    def put(self, name: str, layers: list[bytes]) -> None:
        """An image whose layers have one file each, with that content."""
        compressed, plain = [], []
        for index, content in enumerate(layers):
            tar = _tar(f"layer-{index}", content)
            plain.append(_digest(tar))
            compressed.append(self._blob(gzip.compress(tar, compresslevel=0)))
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": plain},
        }
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                **self._blob(json.dumps(config).encode()),
            },
            "layers": [
                {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", **layer}
                for layer in compressed
            ],
        }
        repository, tag = name.rsplit(":", 1)
        body = json.dumps(manifest).encode()
        for reference in (tag, _digest(body)):
            self.manifests[f"/v2/{repository}/manifests/{reference}"] = body

    def _blob(self, content: bytes) -> dict[str, Any]:
        digest = _digest(content)
        self.blobs[digest] = content
        return {"size": len(content), "digest": digest}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.requests.append(self.path)
                if self.path == "/v2/":
                    self.answer(200, b"{}", "application/json")
                elif self.path in registry.manifests:
                    self.answer(200, registry.manifests[self.path], MANIFEST)
                elif (digest := self.path.rsplit("/", 1)[-1]) in registry.blobs:
                    self.answer(200, registry.blobs[digest], "application/octet-stream")
                else:
                    error = {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "no such image"}]}
                    self.answer(404, json.dumps(error).encode(), "application/json")

            do_HEAD = do_GET  # noqa: N815 - the name http.server looks for

            def answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                if kind == MANIFEST:
                    self.send_header("Docker-Content-Digest", _digest(body))
                self.end_headers()
                if self.command == "GET":
                    self.send(body, stops="/blobs/" in self.path)

            def send(self, body: bytes, *, stops: bool) -> None:
                try:
                    for begin in range(0, len(body), _CHUNK):
                        if stops and registry.hang.is_set() and begin > len(body) // 2:
                            registry.done.wait()
                            raise OSError("the test is over")
                        self.wfile.write(body[begin : begin + _CHUNK])
                        self.wfile.flush()
                except OSError:
                    self.close_connection = True  # the engine has had enough

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def _tar(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
