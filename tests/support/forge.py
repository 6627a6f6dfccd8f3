"""A forge's API on loopback: what it was asked, and answers as a test wants them."""

import json
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support import loopback


class Api:
    """Takes every POST."""

    def __init__(self) -> None:
        self.asked: queue.Queue[tuple[str, str, dict[str, Any]]] = queue.Queue()
        self.answers: list[tuple[int, str]] = []
        """Status and text of the next ones; 201 after them."""
        self.url = ""

    def next(self) -> tuple[str, str, dict[str, Any]]:
        """Path, log-on and body of the next request."""
        return self.asked.get(timeout=20)

    def so_far(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Every request that came and was not taken."""
        return [self.asked.get_nowait() for _ in range(self.asked.qsize())]

    @contextmanager
    def serving(self) -> Iterator["Api"]:
        """Serve meanwhile."""
        with loopback.serving(_handler(self)) as target:
            self.url = f"http://{target}"
            yield self


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            token = self.headers.get("Authorization") or self.headers["PRIVATE-TOKEN"]
            status, text = api.answers.pop(0) if api.answers else (201, "{}")
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())
            api.asked.put((self.path, token, body))

        def log_message(self, *_: object) -> None:
            """Nothing: what matters is asserted."""

    return Handler
