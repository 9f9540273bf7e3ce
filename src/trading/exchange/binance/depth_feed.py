"""Local order books of many pairs: depth differences over one socket, snapshots over REST."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable

import msgspec

from trading.clock import Clock
from trading.errors import ExchangeError, RateLimitedError
from trading.exchange.binance.local_book import BookSnapshot, DepthDiff, LocalBook
from trading.exchange.binance.market_socket import connect_streams, until_end_or_silence
from trading.exchange.binance.stream_frames import check_notice
from trading.exchange.binance.supervisor import supervise
from trading.exchange.config import ExchangeConfig
from trading.model.signals import BookTop

log = logging.getLogger(__name__)

# Levels beyond a snapshot's are known once they change. One of 1,000 levels weighs 50, one of 100
# only 5: so the books of hundreds of pairs come back within the venue's limit of 6,000 a minute.
SNAPSHOT_LEVELS, FEWER_LEVELS = 1000, 100
MANY_PAIRS = 40
FIRST_RETRY_S, LAST_RETRY_S = 0.1, 5.0

FetchSnapshot = Callable[[str, int], Awaitable[BookSnapshot]]


class DepthFrame(msgspec.Struct, frozen=True, gc=False):
    """A frame of a combined stream that carries depth differences alone."""

    data: DepthDiff


_decoder = msgspec.json.Decoder(DepthFrame, strict=False)  # numbers come as strings


class BinanceLocalBooks:
    """Books of the pairs given to ``run``. ``top`` may be asked from any thread.

    A book that a gap, a repetition or a lost stream put in doubt is not shown until it has been
    built anew. ``fetch`` gives a snapshot of so many levels and raises only ``ExchangeError``.
    """

    def __init__(
        self,
        config: ExchangeConfig,
        clock: Clock,
        fetch: FetchSnapshot,
        *,
        base_url: str = "",
    ) -> None:
        """``base_url``: where the streams are, if not at the venue's own spot address."""
        self._config = config
        self._clock = clock
        self._fetch = fetch
        self._base_url = base_url
        self._books: dict[str, LocalBook] = {}
        self._lock = threading.Lock()
        self._frames = 0
        self.rebuilt = 0  # books put together from a snapshot so far

    async def run(self, symbols: tuple[str, ...], on_lost: Callable[[str], None]) -> None:
        """Keep the books until cancelled; reconnects by itself and tells ``on_lost`` why."""
        with self._lock:
            self._books = {symbol: LocalBook(symbol) for symbol in symbols}

        async def attempt(alive: Callable[[], None]) -> str:
            return await self._stream(alive)

        await supervise("order books", self._config.reconnect, attempt, on_lost)

    def top(self, symbol: str, levels: int) -> BookTop | None:
        """The best ``levels`` of both sides; None while the pair's book is not in sync."""
        with self._lock:
            book = self._books.get(symbol)
            return None if book is None else book.top(levels)

    def update_id(self, symbol: str) -> int | None:
        """Which of the venue's updates the book has come to; None while it is not in sync."""
        with self._lock:
            book = self._books.get(symbol)
            return book.update_id if book is not None and book.is_synced else None

    async def _stream(self, alive: Callable[[], None]) -> str:
        wanted: asyncio.Queue[str] = asyncio.Queue()

        def on_frame(frame: memoryview | bytes) -> None:
            self._frames += 1
            try:
                diff = _decoder.decode(frame).data
            except msgspec.MsgspecError:
                check_notice(frame)
                return
            with self._lock:
                book = self._books.get(diff.s)
                followed = book is None or book.apply(diff)
            if not followed:
                log.info("the order book of %s has a gap", diff.s)
                wanted.put_nowait(diff.s)

        streams = [f"{symbol.lower()}@depth@100ms" for symbol in self._books]
        socket = await connect_streams(streams, self._config, on_frame, base_url=self._base_url)
        try:
            alive()
            await socket.subscribe_rest()
            for symbol in self._books:
                wanted.put_nowait(symbol)
            loading = asyncio.create_task(self._load(wanted))
            try:
                patience_s = self._config.reconnect.stale_after_ms / 1000
                return await until_end_or_silence(socket, lambda: self._frames, patience_s)
            finally:
                loading.cancel()
                await asyncio.gather(loading, return_exceptions=True)
        finally:
            with self._lock:
                for book in self._books.values():
                    book.reset()
            await socket.shut_down()

    async def _load(self, wanted: asyncio.Queue[str]) -> None:
        """Fetch one snapshot after the other, for as long as the stream lasts."""
        pause_s = FIRST_RETRY_S
        levels = SNAPSHOT_LEVELS if len(self._books) <= MANY_PAIRS else FEWER_LEVELS
        while True:
            symbol = await wanted.get()
            try:
                snapshot = await self._fetch(symbol, levels)
            except ExchangeError as error:
                log.warning("no snapshot of %s's order book: %s", symbol, error)
                wanted.put_nowait(symbol)
                if isinstance(error, RateLimitedError):
                    await asyncio.sleep(error.retry_after_s)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LAST_RETRY_S)
                continue
            with self._lock:
                joined = self._books[symbol].load(snapshot, self._clock.now_ms())
            if joined:
                self.rebuilt += 1
                pause_s = FIRST_RETRY_S
            else:
                wanted.put_nowait(symbol)
                await asyncio.sleep(pause_s)
