"""Live trades from Binance's combined aggTrade streams."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from trading.errors import ExchangeConnectionError
from trading.exchange.binance.client import VenueClient
from trading.exchange.binance.sockets import StreamManager, StreamSocket
from trading.exchange.binance.supervisor import supervise
from trading.exchange.config import ExchangeConfig
from trading.exchange.protocols import FeedListener
from trading.model.market import Tick

SERVER_SHUTDOWN = "serverShutdown"


class AggTrade(msgspec.Struct):
    """The fields of an aggTrade that we use; defaults let other events through the decoder."""

    e: str
    s: str = ""
    p: float = 0.0
    q: float = 0.0
    T: int = 0
    m: bool = False


class CombinedFrame(msgspec.Struct):
    """A frame of a combined stream."""

    data: AggTrade | None = None


class BinanceFeed:
    """``MarketFeed`` over one combined stream (at most 1024 symbols, the venue's limit).

    Every connection has a client and a socket of its own. A stream that is silent for
    ``reconnect.stale_after_ms`` is replaced like a broken one.
    """

    def __init__(self, config: ExchangeConfig) -> None:
        self._config = config
        self._decoder = msgspec.json.Decoder(CombinedFrame, strict=False)
        self._frames = 0

    async def run(self, symbols: tuple[str, ...], listener: FeedListener) -> None:
        async def attempt(alive: Callable[[], None]) -> str:
            return await self._stream(symbols, listener, alive)

        await supervise("market feed", self._config.reconnect, attempt, listener.on_feed_lost)

    async def _stream(
        self, symbols: tuple[str, ...], listener: FeedListener, alive: Callable[[], None]
    ) -> str:
        on_tick = listener.on_tick
        decode = self._decoder.decode

        def on_frame(frame: Any) -> None:
            self._frames += 1
            trade = decode(frame).data
            if trade is None:
                return
            if trade.e == "aggTrade":
                on_tick(Tick(trade.s, trade.p, trade.q, trade.T, trade.m))
            elif trade.e == SERVER_SHUTDOWN:
                raise ExchangeConnectionError("the venue announced its shutdown")

        client = VenueClient(self._config, None)
        try:
            manager = StreamManager(client, self._config, on_frame)
            socket = manager.multiplex_socket([f"{symbol.lower()}@aggTrade" for symbol in symbols])
            try:
                await socket.connect()
                alive()
                listener.on_feed_connected()
                return await self._wait_for_end(socket)
            finally:
                await socket.shut_down()
        finally:
            await client.close_connection()

    async def _wait_for_end(self, socket: StreamSocket) -> str:
        """The reason for the connection's end; silence beyond the watchdog's limit is one."""
        patience_s = self._config.reconnect.stale_after_ms / 1000
        while True:
            frames_before = self._frames
            with contextlib.suppress(TimeoutError):
                return await asyncio.wait_for(asyncio.shield(socket.ended), patience_s)
            if self._frames == frames_before:
                return f"no message for {patience_s:g} s"
