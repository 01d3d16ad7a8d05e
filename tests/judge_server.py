"""A small HTTP server that behaves like OpenAI's API: chat completions, errors, and what it was asked."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.http_server import serve_beside

Reply = Callable[[str], str | int]  # from a prompt to a reply, or to the status of an error


@dataclass
class JudgeServer:
    """What the server does and got."""

    url: str
    reply: Reply
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)

    @property
    def prompts(self) -> list[str]:
        return [request["messages"][0]["content"] for request in self.requests]


@contextlib.contextmanager
def serve_judge(reply: Reply) -> Iterator[JudgeServer]:
    """Run a server on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append(request)
            state.keys.append(self.headers["Authorization"])
            answer = state.reply(request["messages"][0]["content"]) if self.path == "/v1/chat/completions" else 404
            if isinstance(answer, int):
                self.send({"error": {"message": f"error {answer}", "type": "error"}}, answer)
            else:
                message = {"role": "assistant", "content": answer}
                choice = {"index": 0, "message": message, "finish_reason": "stop"}
                self.send(
                    {"id": "1", "object": "chat.completion", "created": 0, "model": "judge-2026", "choices": [choice]}
                )

        def send(self, value: dict[str, Any], status: int = 200) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = JudgeServer(url=f"http://127.0.0.1:{server.server_port}/v1", reply=reply)
    with serve_beside(server):
        yield state


def read_answers(prompt: str) -> tuple[str, str]:
    """Return the two answers in a prompt of the default template."""
    first, second = prompt.split("Answer A:\n")[1].split("\n\nAnswer B:\n")
    return first, second.split("\n\nWhich answer")[0]
