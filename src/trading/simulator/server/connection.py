"""A WebSocket as the server sees it: an outgoing queue, message limit, limited life."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from trading.simulator.server.config import ExchangeServerConfig
from trading.simulator.server.rate_limits import RateLimiter

CLIENT_MESSAGES_PER_S = 5
MAX_QUEUED_MESSAGES = 100_000
FLUSH_TIMEOUT_S = 0.5


class Connection:
    """Sends in order, without ever blocking the sender; a consumer that falls behind is cut."""

    def __init__(
        self, socket: web.WebSocketResponse, transport: asyncio.Transport | None = None
    ) -> None:
        self.socket = socket
        self._transport = transport
        self.combined = False
        self.streams: set[str] = set()
        self.microseconds = False
        self.heard_ns = time.monotonic_ns()
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(MAX_QUEUED_MESSAGES)
        self._closing: asyncio.Task[bool] | None = None

    def send(self, payload: Any) -> None:
        self.send_bytes(orjson.dumps(payload))

    def send_bytes(self, frame: bytes) -> None:
        """Queue one text frame."""
        try:
            self._queue.put_nowait(frame)
        except asyncio.QueueFull:
            self.close(WSCloseCode.POLICY_VIOLATION, "slow consumer")

    def close(self, code: int = WSCloseCode.GOING_AWAY, reason: str = "") -> None:
        """Begin to close; returns at once."""
        if self._closing is None:
            closing = self.socket.close(code=code, message=reason.encode())
            self._closing = asyncio.ensure_future(closing)

    async def closed(self) -> None:
        """Wait until the closing that was begun is over."""
        if self._closing is not None:
            await self._closing

    def abort(self) -> None:
        """Cut the TCP connection, without a closing handshake."""
        if self._transport is not None:
            self._transport.abort()

    async def flush(self) -> None:
        """Wait until all that is queued has been written, at most half a second."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._queue.join(), FLUSH_TIMEOUT_S)

    async def write(self) -> None:
        """Write what is queued until cancelled or disconnected."""
        while True:
            frame = await self._queue.get()
            try:
                await self.socket.send_frame(frame, WSMsgType.TEXT)
            except ConnectionError:
                return
            finally:
                self._queue.task_done()


class ConnectionRegistry:
    """All open WebSockets by kind ("market" or "user"), so that they can be closed together."""

    def __init__(self, config: ExchangeServerConfig, limiter: RateLimiter) -> None:
        self._config = config
        self._limiter = limiter
        self._open: dict[Connection, str] = {}

    def open(self, kind: str | None = None) -> list[Connection]:
        return [conn for conn, its_kind in self._open.items() if kind in (None, its_kind)]

    def drop(self, kind: str | None = None) -> int:
        """Cut TCP connections without a closing handshake; returns how many."""
        dropped = self.open(kind)
        for connection in dropped:
            connection.abort()
        return len(dropped)

    async def serve(
        self,
        request: web.Request,
        kind: str,
        on_message: Callable[[Connection, bytes], Awaitable[None]],
        on_open: Callable[[Connection], None],
        on_closed: Callable[[Connection], None],
    ) -> web.WebSocketResponse:
        """Run one WebSocket from handshake to close."""
        self._limiter.connect(request.remote or "unknown")
        socket = web.WebSocketResponse(autoping=False, max_msg_size=1 << 20)
        await socket.prepare(request)
        connection = Connection(socket, request.transport)
        self._open[connection] = kind
        writer = asyncio.create_task(connection.write())
        pinger = asyncio.create_task(self._ping(connection))
        end_of_life = asyncio.get_running_loop().call_later(
            self._config.connection_life_s, connection.close
        )
        try:
            on_open(connection)
            await self._read(connection, on_message)
        finally:
            end_of_life.cancel()
            writer.cancel()
            pinger.cancel()
            self._open.pop(connection, None)
            on_closed(connection)
        return socket

    async def _ping(self, connection: Connection) -> None:
        """Ping at the interval; close what has not answered for too long."""
        while True:
            await asyncio.sleep(self._config.ping_interval_s)
            silent_s = (time.monotonic_ns() - connection.heard_ns) / 1e9
            if silent_s > self._config.pong_timeout_s:
                connection.close(WSCloseCode.POLICY_VIOLATION, "Pong timeout")
                return
            with contextlib.suppress(ConnectionError):
                await connection.socket.ping(str(time.time_ns() // 1_000_000).encode())

    async def _read(
        self, connection: Connection, on_message: Callable[[Connection, bytes], Awaitable[None]]
    ) -> None:
        second, count = 0, 0
        async for message in connection.socket:
            if message.type is WSMsgType.PONG:
                connection.heard_ns = time.monotonic_ns()
            now = int(time.monotonic())
            second, count = (now, 1) if now != second else (second, count + 1)
            if count > CLIENT_MESSAGES_PER_S and connection.streams:
                connection.close(WSCloseCode.POLICY_VIOLATION, "Too many requests")
                await connection.closed()
                return
            if message.type is WSMsgType.PING:
                await connection.socket.pong(message.data)
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            data = message.data
            await on_message(connection, data.encode() if isinstance(data, str) else data)
