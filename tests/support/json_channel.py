"""A local server that speaks the protocol of apprise's json:// channels."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PASSWORD = "a-word-that-nobody-may-see"


class JsonChannel:
    """``received`` holds the messages as they came; ``open`` is set while it answers at all."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.status = 200
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()
        channel = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                channel.asked.set()
                channel.open.wait(20)
                if channel.status == 200:
                    channel.received.append(json.loads(body))
                self.send_response(channel.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Its address as apprise takes it."""
        return f"json://user:{PASSWORD}@127.0.0.1:{self._server.server_address[1]}/"

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.received]

    def wait_for(self, part: str, timeout_s: float = 30.0) -> dict[str, Any]:
        """The first message whose title has ``part`` in it; fails the test without one."""
        ends_s = time.monotonic() + timeout_s
        while time.monotonic() < ends_s:
            for message in list(self.received):
                if part in message["title"]:
                    return message
            time.sleep(0.01)
        raise AssertionError(f"no message {part!r}; there are {self.titles}")

    def close(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def json_channel() -> Iterator[JsonChannel]:
    channel = JsonChannel()
    try:
        yield channel
    finally:
        channel.close()
