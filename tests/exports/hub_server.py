"""A stand-in for the part of the Hugging Face hub's HTTP API that an upload uses."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.http_server import serve_beside

SHA = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the server knows.

    Args:
        token: the one that it accepts.
        visibility: of each repository by its name.
    """

    token: str
    visibility: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)  # committed, by path
    stored: dict[str, bytes] = field(default_factory=dict)  # large files, by their SHA-256
    requests: list[str] = field(default_factory=list)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        name = self.path.removeprefix("/api/models/")
        visibility = self.hub.visibility.get(name)
        if visibility is None:
            self._reply(404, {"error": "Repository not found"})
        else:
            self._reply(200, {"id": name, "private": visibility == "private", "sha": SHA, "tags": [], "siblings": []})

    def do_PUT(self) -> None:
        content = self._read()
        self.hub.stored[hashlib.sha256(content).hexdigest()] = content
        self._reply(200, {})

    def do_POST(self) -> None:
        content = self._read()
        self.hub.requests.append(self.path)
        if self.headers["Authorization"] != f"Bearer {self.hub.token}":
            self._reply(401, {"error": f"Invalid credentials: {self.headers['Authorization']}"})
        elif self.path == "/api/repos/create":
            self._create(json.loads(content))
        elif self.path == "/api/validate-yaml":
            self._reply(200, {"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            self._reply(200, {"files": [_choose_mode(file) for file in json.loads(content)["files"]]})
        elif self.path.endswith("/info/lfs/objects/batch"):
            self._reply(200, {"transfer": "basic", "objects": [self._offer(o) for o in json.loads(content)["objects"]]})
        elif "/commit/" in self.path:
            self._commit([json.loads(line) for line in content.splitlines()])
        else:
            self._reply(404, {"error": f"no such route: {self.path}"})

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization']}/{asked['name']}"
        if name in self.hub.visibility:
            self._reply(409, {"error": "You already created this model repo", "url": f"{self.hub.url}/{name}"})
        else:
            self.hub.visibility[name] = asked["visibility"]
            self._reply(200, {"url": f"{self.hub.url}/{name}", "name": name})

    def _offer(self, wanted: dict[str, Any]) -> dict[str, Any]:
        return {**wanted, "actions": {"upload": {"href": f"{self.hub.url}/store/{wanted['oid']}"}}}

    def _commit(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                self.hub.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.hub.files[value["path"]] = self.hub.stored[value["oid"]]
        name = self.path.removeprefix("/api/models/").partition("/commit/")[0]
        self._reply(200, {"commitUrl": f"{self.hub.url}/{name}/commit/{SHA}", "commitOid": SHA})

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _reply(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def _choose_mode(file: dict[str, Any]) -> dict[str, Any]:
    mode = "lfs" if file["path"].endswith(".safetensors") else "regular"
    return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, "oid": None}


@contextmanager
def serve_hub(token: str) -> Iterator[Hub]:
    """Serve a hub on a free port of this machine."""
    hub = Hub(token=token)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OwnHandler", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    with serve_beside(server):
        yield hub
