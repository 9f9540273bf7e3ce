"""A WebSocket as the server sees it: an outgoing queue, message limit, limited life."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import WSCloseCode, WSMsgType, web

from trading.simulator.server.faults import Fault, FaultKind, Faults
from trading.simulator.server.rate_limits import RateLimiter

MAX_QUEUED_MESSAGES = 100_000
FLUSH_TIMEOUT_S = 0.5
LATE_ERROR = {
    "id": "given-up-long-ago",
    "status": 504,
    "error": {
        "code": -1007,
        "msg": "Timeout waiting for response from backend server. Send status unknown;"
        " execution status unknown.",
    },
}


class Connection:
    """Sends in order, without ever blocking the sender; a consumer that falls behind is cut."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None = None,
        copies: Callable[[], int] = lambda: 1,
    ) -> None:
        """``copies`` says how often an event is sent, which on a bad day is not once."""
        self.socket = socket
        self._transport = transport
        self._copies = copies
        self._frozen = False
        self.combined = False
        self.streams: set[str] = set()
        self.microseconds = False
        self.heard_ns = time.monotonic_ns()
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(MAX_QUEUED_MESSAGES)
        self._closing: asyncio.Task[bool] | None = None

    @property
    def is_frozen(self) -> bool:
        return self._frozen

    def freeze(self) -> None:
        """Neither say nor answer anything from now on, and stay connected."""
        self._frozen = True

    def send(self, payload: Any) -> None:
        """Queue an answer or a notice."""
        self._put(orjson.dumps(payload))

    def send_bytes(self, frame: bytes) -> None:
        """Queue an event."""
        for _ in range(self._copies()):
            self._put(frame)

    def _put(self, frame: bytes) -> None:
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
        if self.is_frozen:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._queue.join(), FLUSH_TIMEOUT_S)

    async def write(self) -> None:
        """Write what is queued until cancelled or disconnected."""
        while True:
            frame = await self._queue.get()
            if self._frozen:
                await asyncio.Event().wait()
            try:
                await self.socket.send_frame(frame, WSMsgType.TEXT)
            except ConnectionError:
                return
            finally:
                self._queue.task_done()


@dataclass(frozen=True, slots=True)
class SocketHabits:
    """How a market treats the sockets of its clients."""

    ping_interval_s: float
    pong_timeout_s: float
    messages_per_s: int  # that a client may send on a market socket


class ConnectionRegistry:
    """All open WebSockets by kind ("market" or "user"), so that they can be closed together."""

    def __init__(
        self, life_s: float, habits: SocketHabits, limiter: RateLimiter, faults: Faults
    ) -> None:
        """Sockets are closed after ``life_s``."""
        self._life_s = life_s
        self._habits = habits
        self._limiter = limiter
        self._faults = faults
        self._open: dict[Connection, str] = {}
        faults.on_strike(self._suffer)

    def open(self, kind: str | None = None) -> list[Connection]:
        return [conn for conn, its_kind in self._open.items() if kind in (None, its_kind)]

    def drop(self, kind: str | None = None) -> int:
        """Cut TCP connections without a closing handshake; returns how many."""
        dropped = self.open(kind)
        for connection in dropped:
            connection.abort()
        return len(dropped)

    def announce_shutdown(self) -> None:
        """Tell every client that its socket is going to be closed."""
        notice = {"e": "serverShutdown", "E": time.time_ns() // 1_000_000}
        for connection, kind in self._open.items():
            if kind == "user":
                connection.send({"event": notice})
            elif connection.combined:
                connection.send({"stream": "!serverShutdown", "data": notice})
            else:
                connection.send(notice)

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
        connection = Connection(socket, request.transport, lambda: self._faults.copies(kind))
        self._open[connection] = kind
        writer = asyncio.create_task(connection.write())
        pinger = asyncio.create_task(self._ping(connection))
        end_of_life = asyncio.get_running_loop().call_later(self._life_s, connection.close)
        try:
            on_open(connection)
            await self._read(connection, kind, on_message)
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
            await asyncio.sleep(self._habits.ping_interval_s)
            silent_s = (time.monotonic_ns() - connection.heard_ns) / 1e9
            if silent_s > self._habits.pong_timeout_s:
                connection.close(WSCloseCode.POLICY_VIOLATION, "Pong timeout")
                return
            if connection.is_frozen:
                continue
            with contextlib.suppress(ConnectionError):
                await connection.socket.ping(str(time.time_ns() // 1_000_000).encode())

    async def _read(
        self,
        connection: Connection,
        kind: str,
        on_message: Callable[[Connection, bytes], Awaitable[None]],
    ) -> None:
        second, count = 0, 0
        async for message in connection.socket:
            if connection.is_frozen:
                continue
            if message.type is WSMsgType.PONG:
                connection.heard_ns = time.monotonic_ns()
            now = int(time.monotonic())
            second, count = (now, 1) if now != second else (second, count + 1)
            if count > self._habits.messages_per_s and kind == "market":
                connection.close(WSCloseCode.POLICY_VIOLATION, "Too many requests")
                await connection.closed()
                return
            if message.type is WSMsgType.PING:
                await connection.socket.pong(message.data)
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            data = message.data
            await on_message(connection, data.encode() if isinstance(data, str) else data)

    def _suffer(self, fault: Fault) -> None:
        """What a fault of the venue as a whole does to the sockets that are open."""
        match fault.kind:
            case FaultKind.MARKET_DROPPED:
                self.drop("market")
            case FaultKind.USER_DROPPED:
                self.drop("user")
            case FaultKind.MARKET_FROZEN:
                self._each("market", Connection.freeze)
            case FaultKind.USER_FROZEN:
                self._each("user", Connection.freeze)
            case FaultKind.USER_LATE_ERROR:
                self._each("user", lambda connection: connection.send(LATE_ERROR))
            case FaultKind.SHUTDOWN_ANNOUNCED:
                self.announce_shutdown()
                loop = asyncio.get_running_loop()
                for connection in self.open():
                    loop.call_later(fault.duration_ms / 1000, connection.close)
            case FaultKind.MAINTENANCE:
                self._each(None, Connection.close)

    def _each(self, kind: str | None, treat: Callable[[Connection], None]) -> None:
        for connection in self.open(kind):
            treat(connection)
