"""Local order books over real sockets that break, leave out events and repeat them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from venue_server import (
    RecordingProxy,
    ServedExchange,
    eventually,
    limit_buy,
    running,
    served_exchange,
    unfenced,
)

from trading.clock import SystemClock
from trading.errors import ExchangeConnectionError
from trading.exchange.binance.adapter import BinanceClient
from trading.exchange.binance.depth_feed import BinanceLocalBooks
from trading.exchange.binance.local_book import BookSnapshot
from trading.model.order import Side
from trading.simulator.server.faults import Fault, FaultKind

SYMBOL = "BTCUSDT"


@asynccontextmanager
async def local_books(
    served: ServedExchange, stream_url: str | None = None
) -> AsyncIterator[tuple[BinanceLocalBooks, BinanceClient, list[str]]]:
    config = served.config(stream_url=stream_url)
    client = BinanceClient(config, served.credentials, SystemClock())
    await client.connect()
    books = BinanceLocalBooks(config, SystemClock(), client.book_snapshot)
    lost: list[str] = []
    try:
        async with running(books.run((SYMBOL,), lost.append)):
            await eventually(lambda: agree(served, books))
            yield books, client, lost
    finally:
        await client.close()


def agree(served: ServedExchange, books: BinanceLocalBooks) -> bool:
    """Whether the local book is the venue's own."""
    top = books.top(SYMBOL, 1000)
    if top is None or books.update_id(SYMBOL) != served.server.context.streams.book_version(SYMBOL):
        return False
    levels = served.exchange.levels(SYMBOL, 1000)
    truth = {side: [(float(p), float(q)) for p, q in rows] for side, rows in levels.items()}
    return list(top.bids) == truth[Side.BUY] and list(top.asks) == truth[Side.SELL]


async def test_the_book_follows_every_trade_and_every_order() -> None:
    async with served_exchange() as served, local_books(served) as (books, client, lost):
        for number in range(5):
            served.tick(10_000.0 + number)
            await client.submit_order(limit_buy(f"sg-{number}", str(9_900 - number)), unfenced)
            await eventually(lambda: agree(served, books))
        await client.cancel_order(SYMBOL, "sg-3")
        await eventually(lambda: agree(served, books))
        assert books.rebuilt == 1
        assert lost == []


async def test_a_gap_in_the_stream_is_seen_at_the_next_event_and_the_book_built_anew() -> None:
    async with served_exchange() as served, local_books(served) as (books, _, lost):
        served.server.faults.plan(Fault(kind=FaultKind.MARKET_GAP, duration_ms=150))
        served.tick(10_010.0)
        await asyncio.sleep(0.25)
        served.tick(10_020.0)
        await eventually(lambda: agree(served, books))
        assert books.rebuilt == 2
        assert lost == []


async def test_repeated_events_change_nothing() -> None:
    async with served_exchange() as served, local_books(served) as (books, _, _):
        served.server.faults.plan(Fault(kind=FaultKind.MARKET_REPEATED, duration_ms=400))
        for number in range(3):
            served.tick(10_010.0 + number)
            await eventually(lambda: agree(served, books))
        assert books.rebuilt == 1


async def test_no_book_is_shown_while_the_stream_is_away_and_it_comes_back_by_itself() -> None:
    async with served_exchange() as served:
        proxy = RecordingProxy(served.server.port)
        await proxy.start()
        port = proxy.port
        async with local_books(served, f"ws://127.0.0.1:{port}") as (books, _, lost):
            await proxy.stop()
            await eventually(lambda: lost)
            assert books.top(SYMBOL, 5) is None
            served.tick(10_050.0)
            await proxy.start(port)
            await eventually(lambda: agree(served, books))
        await proxy.stop()


async def test_a_snapshot_that_cannot_be_had_is_asked_for_again() -> None:
    async with served_exchange() as served:
        client = BinanceClient(served.config(), served.credentials, SystemClock())
        await client.connect()
        asked = 0

        async def fetch(symbol: str, depth: int) -> BookSnapshot:
            nonlocal asked
            asked += 1
            if asked < 3:
                raise ExchangeConnectionError("reset")
            return await client.book_snapshot(symbol, depth)

        books = BinanceLocalBooks(served.config(), SystemClock(), fetch)
        async with running(books.run((SYMBOL,), lambda _: None)):
            await eventually(lambda: books.top(SYMBOL, 5))
        assert asked == 3
        await client.close()


async def test_a_snapshot_between_two_events_of_the_stream_joins_the_later_one() -> None:
    """The book may come back to what it was before, or pass a price that it has left by then."""
    async with served_exchange() as served, local_books(served) as (books, client, _):
        before = books.rebuilt
        for low, high in ((10_000.0, 10_100.0), (10_100.0, 10_000.0), (10_000.0, 10_001.0)):
            served.tick(low)
            await asyncio.sleep(0.15)
            served.tick(high)
            await client.book_snapshot(SYMBOL, 100)
            snapshot = await client.book_snapshot(SYMBOL, 100)
            with books._lock:
                books._books[SYMBOL].load(snapshot, 0)
            served.tick(low)
            await eventually(lambda: agree(served, books))
        assert books.rebuilt == before
