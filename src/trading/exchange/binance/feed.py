"""Live trades from Binance's combined aggTrade streams."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from trading.exchange.binance.market_socket import connect_streams, until_end_or_silence
from trading.exchange.binance.stream_frames import AggTrade, agg_trade_decoder, check_notice
from trading.exchange.binance.supervisor import supervise
from trading.exchange.config import ExchangeConfig
from trading.exchange.protocols import FeedListener


class BinanceFeed:
    """``MarketFeed`` over one combined stream (at most 1024 symbols, the venue's limit).

    A stream that is silent for ``reconnect.stale_after_ms`` is replaced like a broken one. A trade
    that comes twice is delivered once. Where trades are left out, which their numbers show, the
    listener is told of a loss and of the connection, as if the stream had been away.
    """

    def __init__(self, config: ExchangeConfig, *, base_url: str = "") -> None:
        """``base_url``: where the streams are, if not at the venue's own spot address."""
        self._config = config
        self._base_url = base_url
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
        numbers = TradeNumbers()

        def tell_gap(reason: str) -> None:
            listener.on_feed_lost(reason)
            listener.on_feed_connected()

        def on_frame(frame: memoryview | bytes) -> None:
            self._frames += 1
            try:
                trade = decode(frame).data
            except msgspec.MsgspecError:
                check_notice(frame)
                return
            if numbers.is_new(trade, tell_gap):
                on_tick(trade)

        streams = [f"{symbol.lower()}@aggTrade" for symbol in symbols]
        socket = await connect_streams(streams, self._config, on_frame, base_url=self._base_url)
        try:
            alive()
            listener.on_feed_connected()
            await socket.subscribe_rest()
            patience_s = self._config.reconnect.stale_after_ms / 1000
            return await until_end_or_silence(socket, lambda: self._frames, patience_s)
        finally:
            await socket.shut_down()


class TradeNumbers:
    """Which trade came last on a connection, by pair."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def is_new(self, trade: AggTrade, on_gap: Callable[[str], None]) -> bool:
        """Whether ``trade`` has not come before; ``on_gap`` is told when some were left out."""
        symbol, number = trade.symbol, trade.aggregate_id
        last = self._last.get(symbol)
        if last is not None and number != last + 1:
            if number <= last:
                return False
            # Whoever hears of it asks for the missing minutes of all pairs.
            self._last.clear()
            on_gap(f"{number - last - 1} trades of {symbol} were left out")
        self._last[symbol] = number
        return True
