"""A real redis-server on a free port, and a way to it that can be cut."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

ANSWER_TIMEOUT_S = 60

needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None, reason="redis-server is not installed"
)


class RedisServer:
    """redis-server without persistence, so that a restart loses everything but what was saved."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.client = Redis(port=self.port, decode_responses=True)
        self.start()

    def start(self) -> None:
        options = f"--port {self.port} --bind 127.0.0.1 --save '' --appendonly no".split()
        self._process = subprocess.Popen(
            ["redis-server", *options, "--dir", str(self._folder)], stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while True:
            try:
                self.client.ping()
            except RedisError:
                assert time.monotonic() < deadline, "redis-server did not start"
                time.sleep(0.005)
            else:
                return

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def stop(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(60)

    def close(self) -> None:
        self.client.close()
        self.stop()


class Line:
    """A TCP proxy to ``port``: one gateway's line to Redis.

    While it is ``cut`` nothing passes, and nobody is told; what was sent meanwhile arrives once it
    is mended, late, as TCP delivers it. Requests alone can be held back, too.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._open = _flag()  # for both directions
        self._released = _flag()  # for requests that are held
        self._held: Callable[[bytes], bool] = lambda _: False
        self.requests = 0  # that have passed
        self.held = 0
        self._delay_s = 0.0  # of what Redis answers
        self._broken = False
        self._closed = False
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._open.clear()

    def hold(self, which: Callable[[bytes], bool]) -> None:
        """Keep back every request that ``which`` picks, until ``mend``. Answers pass."""
        self._held = which
        self._released.clear()

    def break_off(self) -> None:
        """Reset all connections, and new ones."""
        self._broken = True
        self._drop_all()

    def slow_down(self, answers_s: float) -> None:
        """Have every answer of Redis take ``answers_s`` from now on."""
        self._delay_s = answers_s

    def mend(self) -> None:
        self._broken = False
        self._delay_s = 0.0
        self._held = lambda _: False
        self._released.set()
        self._open.set()

    def close(self) -> None:
        self._closed = True
        self._open.set()
        self._released.set()
        self._listener.close()
        self._drop_all()

    def _drop_all(self) -> None:
        with self._lock:
            for each in self._sockets:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._broken:
                near.close()
                continue
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        self._open.wait()
        try:
            far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        for each in (near, far):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._sockets |= {near, far}
        back = threading.Thread(target=self._pump, args=(far, near, True), daemon=True)
        back.start()
        self._pump(near, far, False)
        back.join()
        with self._lock:
            self._sockets -= {near, far}
        near.close()
        far.close()

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if is_answer and self._delay_s:
                    time.sleep(self._delay_s)
                if not is_answer and self._held(data):
                    self.held += 1
                    self._released.wait()
                self._open.wait()
                sink.sendall(data)
                self.requests += not is_answer
        self._open.wait()
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


def _flag() -> threading.Event:
    event = threading.Event()
    event.set()
    return event
