"""One connection to Binance's market streams, for many messages a second.

picows hands every frame over where it was read, without a task or a copy in between; the general
purpose sockets of python-binance cost ten times as much a message. Like those, a connection here
ends with its first failure and says why; a supervisor replaces it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import cast

from picows import (
    WSAutoPingStrategy,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from trading.errors import SpikeguardError
from trading.exchange.binance.allow_list import HostAllowList
from trading.exchange.config import ExchangeConfig

log = logging.getLogger(__name__)

MAX_FRAME_BYTES = 16 * 1024 * 1024
# Streams beyond those that fit into the address are asked for in messages, whose number a second
# the venue limits to five.
MAX_ADDRESS_CHARS = 4_000
STREAMS_A_MESSAGE = 200
MESSAGE_PAUSE_S = 0.25
# How often within the patience a silent socket is looked at: it is found late by a part of it.
LOOKS_A_PATIENCE = 10

OnFrame = Callable[[memoryview | bytes], None]


class MarketSocket(WSListener):
    """Delivers the text frames of one connection to ``on_frame``; ``ended`` tells why it ended.

    What ``on_frame`` raises ends the connection. It must not keep a memoryview it was given.
    """

    def __init__(self, on_frame: OnFrame, rest: Sequence[str] = ()) -> None:
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._on_frame = on_frame
        self._rest = list(rest)
        self._parts: list[bytes] = []
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is WSMsgType.TEXT and frame.fin:
            self._deliver(frame.get_payload_as_memoryview())
        elif kind is WSMsgType.TEXT or kind is WSMsgType.CONTINUATION:
            self._parts.append(frame.get_payload_as_bytes())
            if frame.fin:
                whole, self._parts = b"".join(self._parts), []
                self._deliver(whole)
        elif kind is WSMsgType.CLOSE:
            self._end(f"closed by the venue: {frame.get_close_code()} {frame.get_close_reason()}")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._end("the connection was lost")

    async def subscribe_rest(self) -> None:
        """Ask for the streams that the address did not hold, as fast as the venue permits."""
        for number, at in enumerate(range(0, len(self._rest), STREAMS_A_MESSAGE), 1):
            if self._transport is None or self.ended.done():
                return
            params = self._rest[at : at + STREAMS_A_MESSAGE]
            request = {"method": "SUBSCRIBE", "params": params, "id": number}
            self._transport.send(WSMsgType.TEXT, json.dumps(request).encode())
            await asyncio.sleep(MESSAGE_PAUSE_S)

    async def shut_down(self) -> None:
        """Close the connection and wait until it is closed."""
        if self._transport is not None:
            self._transport.disconnect()
            await self._transport.wait_disconnected()

    def _deliver(self, payload: memoryview | bytes) -> None:
        try:
            self._on_frame(payload)
        except Exception as error:
            if not isinstance(error, SpikeguardError):
                log.exception("a message could not be handled")
            self._end(f"{type(error).__name__}: {error}")

    def _end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)


async def until_end_or_silence(
    socket: MarketSocket, frames: Callable[[], int], patience_s: float
) -> str:
    """The reason for the connection's end; no frame for ``patience_s`` is one."""
    loop = asyncio.get_running_loop()
    heard, heard_at = frames(), loop.time()
    while True:
        with contextlib.suppress(TimeoutError):
            # Not `wait_for`, which forgets a cancellation that comes with the connection's end.
            async with asyncio.timeout(patience_s / LOOKS_A_PATIENCE):
                return await asyncio.shield(socket.ended)
        if frames() != heard:
            heard, heard_at = frames(), loop.time()
        elif loop.time() - heard_at >= patience_s:
            return f"no message for {patience_s:g} s"


async def connect_streams(
    streams: Sequence[str], config: ExchangeConfig, on_frame: OnFrame, *, base_url: str = ""
) -> MarketSocket:
    """Connect to a combined stream, at the venue's own address if not given.

    ``MarketSocket.subscribe_rest`` asks for the streams that did not fit into the address.

    Raises:
        ConfigurationError: the address is not the venue's; nothing was sent.
        Exception: what picows raises when there is no connection; a redirect is refused.
    """
    lengths = accumulate(len(stream) + 1 for stream in streams)
    fitting = max(1, sum(length <= MAX_ADDRESS_CHARS for length in lengths))
    host = base_url or config.resolved_endpoints().stream_url
    url = f"{host}/stream?streams={'/'.join(streams[:fitting])}"
    return await connect_socket(url, config, on_frame, streams[fitting:])


async def connect_socket(
    url: str, config: ExchangeConfig, on_frame: OnFrame, rest: Sequence[str] = ()
) -> MarketSocket:
    """Connect to ``url``; ``rest`` are streams that are still to be asked for.

    Raises as ``connect_streams`` does.
    """
    HostAllowList(config.resolved_endpoints()).check_url(url)
    every_s = config.reconnect.ping_interval_s
    _, socket = await ws_connect(
        lambda: MarketSocket(on_frame, rest),
        url,
        websocket_handshake_timeout=config.reconnect.connect_timeout_s,
        enable_auto_ping=True,
        auto_ping_idle_timeout=every_s,
        auto_ping_reply_timeout=every_s,
        auto_ping_strategy=WSAutoPingStrategy.PING_PERIODICALLY,
        max_frame_size=MAX_FRAME_BYTES,
        max_redirects=0,
        logger_name=log,
    )
    return cast(MarketSocket, socket)
