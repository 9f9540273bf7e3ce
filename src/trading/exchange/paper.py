"""Dry runs: live data, paper fills, no signed request.

Orders go to a ``SimulatedExchange`` in this process whose tape is the venue's live stream and whose
book is the venue's own: an order that takes liquidity walks the live levels, one that rests waits
behind what rests there. Data is asked of the venue's public endpoints without a key.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol

from trading.clock import Clock
from trading.errors import ExchangeError
from trading.exchange.protocols import ExchangeClient, FeedListener, MarketFeed
from trading.exchange.simulated import SimulatedAccountClient
from trading.model.market import Bar, Book, Instrument, Tick
from trading.model.order import OrderReport
from trading.model.signals import BookTop
from trading.simulator.config import SimulatorConfig
from trading.simulator.exchange import SimulatedExchange
from trading.simulator.live_book import LiveBook

log = logging.getLogger(__name__)

BOOK_LEVELS = 100  # of the live book that a paper order may walk
HISTORY_BARS = 60  # enough for a last price and the 5 min average that limit prices are held to


class PaperClient(SimulatedAccountClient):
    """Paper account; instruments, bars, books and time are the real venue's."""

    def __init__(
        self,
        public: ExchangeClient,
        exchange: SimulatedExchange,
        clock: Clock,
    ) -> None:
        # A name of its own: paper orders and positions must never pass for real ones in the store.
        super().__init__(exchange, clock, venue=f"{public.venue}-paper", account_id="paper")
        self._public = public

    async def connect(self) -> None:
        await self._public.connect()

    async def close(self) -> None:
        await self._public.close()

    async def server_time_ms(self) -> int:
        return await self._public.server_time_ms()

    async def instruments(self, symbols: tuple[str, ...]) -> dict[str, Instrument]:
        """The venue's instruments; each becomes tradable on paper, from its recent bars on."""
        found = await self._public.instruments(symbols)
        for symbol, instrument in found.items():
            if symbol not in self.exchange.instruments:
                self.exchange.add_instrument(instrument)
                await self._load_history(symbol)
        return found

    async def bars(
        self, symbol: str, interval: str, *, start_ms: int | None = None, limit: int = 500
    ) -> tuple[Bar, ...]:
        return await self._public.bars(symbol, interval, start_ms=start_ms, limit=limit)

    async def order_book(self, symbol: str, depth: int = 20) -> Book:
        return await self._public.order_book(symbol, depth)

    async def _load_history(self, symbol: str) -> None:
        try:
            bars = await self._public.bars(symbol, "1m", limit=HISTORY_BARS)
        except ExchangeError as error:
            # The first live tick opens the paper market just as well.
            log.warning("no recent bars of %s for the paper market: %s", symbol, error)
            return
        self.exchange.load_history(symbol, bars)


class LiveBooks(Protocol):
    """Order books of a venue, kept up to date; asked from any thread."""

    async def run(self, symbols: tuple[str, ...], on_lost: Callable[[str], None]) -> None: ...

    def top(self, symbol: str, levels: int) -> BookTop | None: ...


class PaperFeed:
    """The venue's feed, shown to the paper market before anybody else sees it, and its books."""

    def __init__(self, live: MarketFeed, client: PaperClient, books: LiveBooks) -> None:
        self._live = live
        self._client = client
        self._books = books

    async def run(self, symbols: tuple[str, ...], listener: FeedListener) -> None:
        books = asyncio.create_task(self._books.run(symbols, _note_lost_books))
        try:
            await self._live.run(symbols, _Tee(self._client, listener))
        finally:
            books.cancel()
            await asyncio.gather(books, return_exceptions=True)


def _note_lost_books(reason: str) -> None:
    log.warning("the paper market's books are gone until their stream is back: %s", reason)


class _Tee:
    def __init__(self, client: PaperClient, listener: FeedListener) -> None:
        self._client = client
        self._listener = listener
        self.on_feed_connected = listener.on_feed_connected
        self.on_feed_lost = listener.on_feed_lost

    def on_tick(self, tick: Tick) -> None:
        self._client.exchange.on_tick(tick)
        self._client.deliver_reports()
        self._listener.on_tick(tick)


class PaperUserStream:
    """Reports of paper orders, handed over to the loop that runs this stream."""

    def __init__(self, client: PaperClient) -> None:
        self._client = client

    async def run(
        self, on_report: Callable[[OrderReport], None], on_gap: Callable[[str], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        # Fills come on the feed's thread; the callback belongs to this loop's.
        self._client.on_report = lambda report: _call_soon(loop, on_report, report)
        on_gap("paper user stream has just begun")
        try:
            await asyncio.Event().wait()
        finally:
            self._client.on_report = None


class PaperVenue:
    """``Venue`` of a dry run on any venue."""

    def __init__(
        self,
        public: ExchangeClient,
        feed: MarketFeed,
        clock: Clock,
        simulator: SimulatorConfig,
        books: LiveBooks,
    ) -> None:
        def live_book(instrument: Instrument) -> LiveBook:
            return LiveBook(instrument, partial(books.top, instrument.symbol, BOOK_LEVELS))

        exchange = SimulatedExchange(simulator, (), clock, live_book)
        self._client = PaperClient(public, exchange, clock)
        self._feed = PaperFeed(feed, self._client, books)
        self._user_stream = PaperUserStream(self._client)

    @property
    def client(self) -> PaperClient:
        return self._client

    @property
    def feed(self) -> PaperFeed:
        return self._feed

    @property
    def user_stream(self) -> PaperUserStream:
        return self._user_stream


def _call_soon(
    loop: asyncio.AbstractEventLoop, on_report: Callable[[OrderReport], None], report: OrderReport
) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(on_report, report)
