"""Best levels of order books from Binance's partial depth streams, once a second for each pair."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from trading.clock import Clock
from trading.exchange.binance.market_socket import connect_streams, until_end_or_silence
from trading.exchange.binance.stream_frames import check_notice
from trading.exchange.binance.supervisor import supervise
from trading.exchange.config import ExchangeConfig
from trading.model.signals import BookTop

# Binance offers 5, 10 and 20.
DEPTH_LEVELS = (5, 10, 20)
_Levels = tuple[tuple[float, float], ...]


class _Depth(msgspec.Struct, frozen=True, gc=False):
    bids: _Levels
    asks: _Levels


class _DepthFrame(msgspec.Struct, frozen=True, gc=False):
    """A frame of a combined stream that carries partial depth; only the stream names the pair."""

    stream: str
    data: _Depth


_decoder = msgspec.json.Decoder(_DepthFrame, strict=False)  # numbers come as strings


class BinanceBookFeed:
    """Books over one combined stream, stamped with our clock: the venue's frames have no time.

    A stream that is silent for ``reconnect.stale_after_ms`` is replaced like a broken one.
    """

    def __init__(self, config: ExchangeConfig, clock: Clock, levels: int = 10) -> None:
        """``levels`` is rounded up to what the venue offers. Raises ValueError beyond 20."""
        offered = [count for count in DEPTH_LEVELS if count >= levels]
        if not offered:
            raise ValueError(f"levels must be at most {DEPTH_LEVELS[-1]}, not {levels}")
        self._levels = offered[0]
        self._config = config
        self._clock = clock
        self._frames = 0

    async def run(
        self,
        symbols: tuple[str, ...],
        on_book: Callable[[BookTop], None],
        on_lost: Callable[[str], None],
    ) -> None:
        """Deliver until cancelled; reconnects by itself and tells ``on_lost`` why it had to."""

        async def attempt(alive: Callable[[], None]) -> str:
            return await self._stream(symbols, on_book, alive)

        await supervise("book feed", self._config.reconnect, attempt, on_lost)

    async def _stream(
        self,
        symbols: tuple[str, ...],
        on_book: Callable[[BookTop], None],
        alive: Callable[[], None],
    ) -> str:
        def on_frame(frame: memoryview | bytes) -> None:
            self._frames += 1
            try:
                found = _decoder.decode(frame)
            except msgspec.MsgspecError:
                check_notice(frame)
                return
            symbol = found.stream.partition("@")[0].upper()
            depth = found.data
            on_book(BookTop(symbol, depth.bids, depth.asks, self._clock.now_ms()))

        streams = [f"{symbol.lower()}@depth{self._levels}" for symbol in symbols]
        socket = await connect_streams(streams, self._config, on_frame)
        try:
            alive()
            await socket.subscribe_rest()
            patience_s = self._config.reconnect.stale_after_ms / 1000
            return await until_end_or_silence(socket, lambda: self._frames, patience_s)
        finally:
            await socket.shut_down()
