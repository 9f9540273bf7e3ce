"""Live trades from Binance's combined aggTrade streams."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from trading.exchange.binance.market_socket import connect_streams, until_end_or_silence
from trading.exchange.binance.stream_frames import agg_trade_decoder, check_notice
from trading.exchange.binance.supervisor import supervise
from trading.exchange.config import ExchangeConfig
from trading.exchange.protocols import FeedListener


class BinanceFeed:
    """``MarketFeed`` over one combined stream (at most 1024 symbols, the venue's limit).

    A stream that is silent for ``reconnect.stale_after_ms`` is replaced like a broken one.
    """

    def __init__(self, config: ExchangeConfig) -> None:
        self._config = config
        self._frames = 0

    async def run(self, symbols: tuple[str, ...], listener: FeedListener) -> None:
        async def attempt(alive: Callable[[], None]) -> str:
            return await self._stream(symbols, listener, alive)

        await supervise("market feed", self._config.reconnect, attempt, listener.on_feed_lost)

    async def _stream(
        self, symbols: tuple[str, ...], listener: FeedListener, alive: Callable[[], None]
    ) -> str:
        on_tick = listener.on_tick
        decode = agg_trade_decoder.decode

        def on_frame(frame: memoryview | bytes) -> None:
            self._frames += 1
            try:
                trade = decode(frame).data
            except msgspec.MsgspecError:
                check_notice(frame)
                return
            on_tick(trade)

        streams = [f"{symbol.lower()}@aggTrade" for symbol in symbols]
        socket = await connect_streams(streams, self._config, on_frame)
        try:
            alive()
            listener.on_feed_connected()
            await socket.subscribe_rest()
            patience_s = self._config.reconnect.stale_after_ms / 1000
            return await until_end_or_silence(socket, lambda: self._frames, patience_s)
        finally:
            await socket.shut_down()
