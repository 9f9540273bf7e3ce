"""Order books over a real socket, up to the spike that they make."""

from __future__ import annotations

import pytest
from venue_server import eventually, running, served_exchange

from trading.clock import SystemClock
from trading.exchange.binance.book_feed import BinanceBookFeed
from trading.exchange.config import ExchangeConfig
from trading.model.signals import BookTop


async def test_books_arrive_with_their_best_levels_first_and_our_time() -> None:
    books: list[BookTop] = []
    lost: list[str] = []
    async with served_exchange() as served:
        served.tick(10_001.5, 0.25)
        feed = BinanceBookFeed(served.config(), SystemClock(), levels=7)
        before_ms = SystemClock().now_ms()
        async with running(feed.run(("BTCUSDT",), books.append, lost.append)):
            await eventually(lambda: books)
    book = books[0]
    assert book.symbol == "BTCUSDT"
    assert 0 <= book.time_ms - before_ms < 10_000
    assert 0 < len(book.bids) <= 10
    assert 0 < len(book.asks) <= 10
    bid_prices, ask_prices = [price for price, _ in book.bids], [price for price, _ in book.asks]
    assert bid_prices == sorted(bid_prices, reverse=True)
    assert ask_prices == sorted(ask_prices)
    assert bid_prices[0] < ask_prices[0]
    assert all(quantity > 0 for _, quantity in (*book.bids, *book.asks))


async def test_the_book_feed_comes_back_after_a_drop() -> None:
    books: list[BookTop] = []
    lost: list[str] = []
    async with served_exchange() as served:
        served.tick(10_001.5, 0.25)
        feed = BinanceBookFeed(served.config(), SystemClock())
        async with running(feed.run(("BTCUSDT",), books.append, lost.append)):
            await eventually(lambda: books)
            served.server.drop_websockets("market")
            await eventually(lambda: lost)
            count = len(books)
            await eventually(lambda: len(books) > count)


def test_more_levels_than_the_venue_offers_are_refused() -> None:
    with pytest.raises(ValueError, match="levels must be at most 20, not 21"):
        BinanceBookFeed(ExchangeConfig(), SystemClock(), levels=21)
